// How fast the CPU kernels between the matrix products run, beside ATen's operations for the same work.
// A figure is the best of three medians of five. ATen's operations are those of the plain
// engine: a bias is written before the product that adds to it, a residual sum and a column sum are passes of
// their own. Their temporaries come from the program's own allocator, so what is compared is the work alone.
#include "esmscale/kernels/cpu/rows.h"

#include "esmscale/kernels/cpu/gelu.h"
#include "esmscale/kernels/cpu/isa.h"
#include "esmscale/kernels/cpu/layer_norm.h"
#include "esmscale/train/process/host_memory.h"
#include "kernel_timing.h"

#include <cstdio>
#include <string>

#include <ATen/ops/add.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace {

using namespace esmscale;
using namespace esmscale::kernels;

struct RowKernel {
  const char* name;
  int64_t items;  // rows or blocks
  double bytes;   // read and written in arrays of T rows
  std::function<void(cpu::Range)> run;
  std::function<void()> aten;
};

void print(const RowKernel& kernel, double numbers) {
  std::printf("%-22s", kernel.name);
  for (int threads : {1, 2}) {
    at::set_num_threads(threads);
    const double ours = median_seconds([&] { on_threads(even_cuts(kernel.items, threads), kernel.run); });
    std::printf("  %6.2f ns/nr %5.1f GB/s", 1e9 * ours / numbers, 1e-9 * kernel.bytes / ours);
    if (!kernel.aten) {
      std::printf("  %17s", "");
      continue;
    }
    const double aten = median_seconds(kernel.aten);
    std::printf("  %6.2f ns/nr %4.1fx", 1e9 * aten / numbers, aten / ours);
  }
  std::printf("\n");
}

void table(int64_t rows, int64_t width) {
  Floats x = normals(rows * width), y = x, z = x, gamma = normals(width), beta = gamma, mean(rows),
         rstd(rows);
  Floats partials(cpu::row_blocks(rows) * width), more = partials, third = partials;
  const double array = 4.0 * rows * width;
  const cpu::LayerNormForward ln{width,        x.data(),    y.data(), beta.data(), z.data(),
                                 gamma.data(), beta.data(), y.data(), mean.data(), rstd.data()};
  const cpu::LayerNormRecompute again{width,        z.data(),    mean.data(), rstd.data(),
                                      gamma.data(), beta.data(), y.data()};
  const cpu::LayerNormBackward dln{width,    z.data(), mean.data(),     rstd.data(), gamma.data(),
                                   x.data(), y.data(), partials.data(), more.data(), third.data()};
  const cpu::GeluForward gelu{width, x.data(), beta.data(), y.data()};
  const cpu::GeluBackward dgelu{width, x.data(), beta.data(), z.data(), z.data(), y.data(), partials.data()};

  const at::Tensor a = at::randn({rows, width}), b = at::randn({rows, width}), g = at::randn({width});
  const at::Tensor product = at::empty_like(a), gradient = at::randn({rows, width});
  const auto norm = at::native_layer_norm(a, {width}, g, g, 1e-5);
  const auto write_bias = [&] { product.copy_(g.expand_as(product)); };

  const RowKernel kernels[] = {
      {"residual + LayerNorm", rows, 4 * array, [&](cpu::Range r) { cpu::layer_norm_forward(ln, r); },
       [&] {
         write_bias();
         at::native_layer_norm(at::add(a, product), {width}, g, g, 1e-5);
       }},
      {"LayerNorm again", rows, 2 * array, [&](cpu::Range r) { cpu::layer_norm_recompute(again, r); }, {}},
      {"LayerNorm backward", cpu::row_blocks(rows), 4 * array,
       [&](cpu::Range r) { cpu::layer_norm_backward(dln, r, rows); },
       [&] {
         const auto back = at::native_layer_norm_backward(b, a, {width}, std::get<1>(norm), std::get<2>(norm),
                                                          g, g, {true, true, true});
         gradient.add_(std::get<0>(back)).sum(0);
       }},
      {"bias + GELU", rows, 2 * array, [&](cpu::Range r) { cpu::gelu_forward(gelu, r); },
       [&] {
         write_bias();
         at::gelu(a);
       }},
      {"bias + GELU backward", cpu::row_blocks(rows), 4 * array,
       [&](cpu::Range r) { cpu::gelu_backward(dgelu, r, rows); }, [&] { at::gelu_backward(b, a).sum(0); }},
      {"column sums", cpu::row_blocks(rows), array,
       [&](cpu::Range r) { cpu::column_sums(x.data(), width, partials.data(), r, rows); }, [&] { a.sum(0); }},
  };
  std::printf("\n%ld rows of %ld numbers\n%-22s  %39s  %39s\n", rows, width, "",
              "one thread: ours, ATen, its time / ours", "two threads");
  for (const RowKernel& kernel : kernels) print(kernel, static_cast<double>(rows * width));
}

}  // namespace

int main() {
  train::install_counting_allocator();
  const at::NoGradGuard off;
  std::printf("instructions: %s\n", std::string(cpu::name(cpu::active_isa())).c_str());
  table(2048, 320);
  table(2048, 1280);
  table(8192, 1280);
}

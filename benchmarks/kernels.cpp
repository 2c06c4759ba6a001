// How fast the CPU kernels run, beside the machine's own measure: LibTorch's sgemm on one and two threads.
//   benchmark_kernels [attention] [rows] [isas]      (no word: all three)
// A figure is the best of three medians of five, in CPU time a thread. FLOPs are those executed: attention 4
// S² K forward and 10 S² K backward a head (five products, one of them the scores again). Lengths are like
// UniRef50's: mean about 350, at most 1,024.
#include "esmscale/core/random.h"
#include "esmscale/kernels/attention.h"
#include "esmscale/kernels/gelu.h"
#include "esmscale/kernels/isa.h"
#include "esmscale/kernels/layer_norm.h"
#include "esmscale/kernels/rows.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace {

using namespace esmscale::kernels;
using Floats = std::vector<float>;

double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// CPU time a thread: on a quiet machine the time by the clock, and on a busy one what it would have been.
double median_seconds(int threads, const std::function<void()>& action) {
  action();
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    std::array<double, 5> seconds;
    for (double& one : seconds) {
      const double start = cpu_seconds();
      action();
      one = (cpu_seconds() - start) / threads;
    }
    std::nth_element(seconds.begin(), seconds.begin() + 2, seconds.end());
    best = std::min(best, seconds[2]);
  }
  return best;
}

// Runs action(range) on each of the ranges between neighbouring cuts, one thread a range.
void on_threads(const std::vector<int64_t>& cuts, const std::function<void(Range)>& action) {
  std::vector<std::thread> others;
  for (size_t i = 1; i + 1 < cuts.size(); ++i)
    others.emplace_back([&, i] { action({cuts[i], cuts[i + 1]}); });
  action({cuts[0], cuts[1]});
  for (std::thread& other : others) other.join();
}

std::vector<int64_t> even_cuts(int64_t total, int threads) {
  std::vector<int64_t> cuts;
  for (int i = 0; i <= threads; ++i) cuts.push_back(total * i / threads);
  return cuts;
}

Floats normals(int64_t count) {
  esmscale::RandomStream random(1, esmscale::Purpose::test, static_cast<uint64_t>(count));
  Floats numbers(static_cast<size_t>(count));
  for (float& x : numbers) x = static_cast<float>(random.normal());
  return numbers;
}

// Log-normal lengths cut at 1,024, about `rows` rows in all.
std::vector<int32_t> real_like(int64_t rows) {
  esmscale::RandomStream random(2, esmscale::Purpose::test, 0);
  std::vector<int32_t> cu_seqlens{0};
  while (cu_seqlens.back() < rows)
    cu_seqlens.push_back(cu_seqlens.back() +
                         std::clamp(static_cast<int32_t>(std::exp(5.67 + 0.68 * random.normal())), 20, 1024));
  return cu_seqlens;
}

double sgemm_gflops(int threads, int64_t m, int64_t k, int64_t n) {
  at::set_num_threads(threads);
  const at::Tensor a = at::randn({m, k}), b = at::randn({k, n});
  const int repeats = static_cast<int>(1 + 2e9 / (2.0 * m * k * n));
  return 2e-9 * m * k * n * repeats / median_seconds(threads, [&] {
           for (int i = 0; i < repeats; ++i) at::mm(a, b);
         });
}

double sgemm_peak(int threads) {
  return std::max(sgemm_gflops(threads, 1024, 1024, 1024), sgemm_gflops(threads, 4096, 1024, 1024));
}

struct AttentionSpeed {
  double forward, backward;  // GFLOP/s
};

AttentionSpeed attention_speed(int64_t heads, int64_t head_dim, const std::vector<int32_t>& cu_seqlens,
                               int threads) {
  const int64_t rows = cu_seqlens.back(), width = heads * head_dim;
  const Floats qkv = normals(rows * 3 * width), bias = normals(3 * width), dout = normals(rows * width);
  Floats out(rows * width), lse(heads * rows), dqkv(qkv.size()), dbias((cu_seqlens.size() - 1) * 3 * width);
  Floats inv_freq;
  for (int64_t i = 0; i < head_dim / 2; ++i) inv_freq.push_back(std::pow(1e4f, -2.0f * i / head_dim));
  const RotaryTable rotary(1024, inv_freq);
  const auto rows_of = [width](auto& packed, int64_t part) {
    return HeadRows{packed.data() + part * width, 3 * width};
  };
  const AttentionInputs in{.heads = heads,
                           .head_dim = head_dim,
                           .cu_seqlens = cu_seqlens,
                           .q = rows_of(qkv, 0),
                           .k = rows_of(qkv, 1),
                           .v = rows_of(qkv, 2),
                           .bias = bias.data(),
                           .rotary = &rotary,
                           .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                           .query_rows = {}};
  const AttentionForward forward{in, out.data(), lse.data()};
  const AttentionBackward backward{.in = in,
                                   .out = out.data(),
                                   .lse = lse.data(),
                                   .dout = dout.data(),
                                   .dq = rows_of(dqkv, 0),
                                   .dk = rows_of(dqkv, 1),
                                   .dv = rows_of(dqkv, 2),
                                   .dbias_partials = dbias.data()};
  double squares = 0;
  for (size_t n = 0; n + 1 < cu_seqlens.size(); ++n)
    squares += std::pow(cu_seqlens[n + 1] - cu_seqlens[n], 2);
  const auto cuts = attention_cuts(in, threads);
  const double gflop = squares * static_cast<double>(width) * 1e-9;
  return {
      4 * gflop /
          median_seconds(threads, [&] { on_threads(cuts, [&](Range r) { attention_forward(forward, r); }); }),
      10 * gflop / median_seconds(threads, [&] {
        on_threads(cuts, [&](Range r) { attention_backward(backward, r); });
      })};
}

// LibTorch's fused CPU kernel, sequence by sequence, its inputs already split by head.
AttentionSpeed libtorch_speed(int64_t heads, int64_t head_dim, const std::vector<int32_t>& cu_seqlens,
                              int threads) {
  at::set_num_threads(threads);
  double squares = 0;
  std::vector<at::Tensor> qkv;
  for (size_t n = 0; n + 1 < cu_seqlens.size(); ++n) {
    const int64_t length = cu_seqlens[n + 1] - cu_seqlens[n];
    squares += std::pow(length, 2);
    qkv.push_back(at::randn({3, 1, heads, length, head_dim}));
  }
  const double gflop = squares * static_cast<double>(heads * head_dim) * 1e-9;
  const auto attend = [](const at::Tensor& x) { return at::scaled_dot_product_attention(x[0], x[1], x[2]); };
  const double forward = median_seconds(threads, [&] {
    const at::NoGradGuard no_grad;
    for (const at::Tensor& x : qkv) attend(x);
  });
  for (at::Tensor& x : qkv) x.requires_grad_();
  const double both = median_seconds(threads, [&] {
    for (at::Tensor& x : qkv) attend(x).sum().backward();
  });
  return {4 * gflop / forward, 10 * gflop / (both - forward)};
}

void attention_table() {
  const auto cu_seqlens = real_like(8192);
  std::printf("\nattention, %zu sequences of mean length %.0f, GFLOP/s executed and share of sgemm\n",
              cu_seqlens.size() - 1, cu_seqlens.back() / (cu_seqlens.size() - 1.0));
  std::printf("%-8s %5s %4s %9s | %16s %16s | %10s %10s\n", "threads", "heads", "dim", "sgemm", "forward",
              "backward", "torch fwd", "torch bwd");
  for (int threads : {1, 2}) {
    const double peak = sgemm_peak(threads);
    for (auto [heads, head_dim] : {std::pair{20, 16}, {20, 24}, {20, 32}, {20, 64}, {10, 128}}) {
      const AttentionSpeed ours = attention_speed(heads, head_dim, cu_seqlens, threads);
      const AttentionSpeed torch = libtorch_speed(heads, head_dim, cu_seqlens, threads);
      std::printf("%-8d %5d %4d %9.1f | %8.1f (%3.0f%%)  %8.1f (%3.0f%%)  | %10.1f %10.1f\n", threads, heads,
                  head_dim, peak, ours.forward, 100 * ours.forward / peak, ours.backward,
                  100 * ours.backward / peak, torch.forward, torch.backward);
      std::fflush(stdout);
    }
  }
}

void isa_table() {
  const auto cu_seqlens = real_like(4096);
  std::printf("\nattention by instruction set, one thread, 20 heads of 16, GFLOP/s executed\n");
  for (Isa isa : supported_isas()) {
    select_isa(isa);
    const AttentionSpeed speed = attention_speed(20, 16, cu_seqlens, 1);
    std::printf("%-9s forward %7.1f  backward %7.1f\n", std::string(name(isa)).c_str(), speed.forward,
                speed.backward);
  }
}

struct RowKernel {
  const char* name;
  int64_t items;  // rows or blocks
  double bytes;   // read and written in arrays of T rows
  std::function<void(Range)> run;
};

void rows_table(int64_t rows, int64_t width) {
  Floats x = normals(rows * width), y = x, z = x, gamma = normals(width), beta = gamma, mean(rows),
         rstd(rows);
  Floats partials(row_blocks(rows) * width), more = partials, third = partials;
  const double array = 4.0 * rows * width;
  const LayerNormForward ln{width,        x.data(),    y.data(), beta.data(), z.data(),
                            gamma.data(), beta.data(), y.data(), mean.data(), rstd.data()};
  const LayerNormAgain again{width, z.data(), mean.data(), rstd.data(), gamma.data(), beta.data(), y.data()};
  const LayerNormBackward dln{width,    z.data(), mean.data(),     rstd.data(), gamma.data(),
                              x.data(), y.data(), partials.data(), more.data(), third.data()};
  const GeluForward gelu{width, x.data(), beta.data(), y.data()};
  const GeluBackward dgelu{width, x.data(), beta.data(), z.data(), z.data(), y.data(), partials.data()};
  const RowKernel kernels[] = {
      {"residual + LayerNorm", rows, 4 * array, [&](Range r) { layer_norm_forward(ln, r); }},
      {"LayerNorm again", rows, 2 * array, [&](Range r) { layer_norm_again(again, r); }},
      {"LayerNorm backward", row_blocks(rows), 4 * array,
       [&](Range r) { layer_norm_backward(dln, r, rows); }},
      {"bias + GELU", rows, 2 * array, [&](Range r) { gelu_forward(gelu, r); }},
      {"bias + GELU backward", row_blocks(rows), 4 * array, [&](Range r) { gelu_backward(dgelu, r, rows); }},
      {"column sums", row_blocks(rows), array,
       [&](Range r) { column_sums(x.data(), width, partials.data(), r, rows); }},
  };
  std::printf("\n%ld rows of %ld numbers\n%-22s %21s %21s\n", rows, width, "", "one thread", "two threads");
  for (const RowKernel& kernel : kernels) {
    std::printf("%-22s", kernel.name);
    for (int threads : {1, 2}) {
      const double seconds =
          median_seconds(threads, [&] { on_threads(even_cuts(kernel.items, threads), kernel.run); });
      std::printf("  %6.2f ns/nr %5.1f GB/s", 1e9 * seconds / (rows * width), 1e-9 * kernel.bytes / seconds);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int count, char** words) {
  const auto wanted = [&](const std::string& word) {
    return count == 1 || std::find(words + 1, words + count, word) != words + count;
  };
  std::printf("instructions: %s\n", std::string(name(active_isa())).c_str());
  if (wanted("attention")) attention_table();
  if (wanted("rows")) {
    rows_table(2048, 320);
    rows_table(2048, 1280);
    rows_table(8192, 1280);
  }
  if (wanted("isas")) isa_table();
}

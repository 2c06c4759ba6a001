// How fast attention runs on the CPU, beside LibTorch's and the machine's own measure: LibTorch's sgemm on
// one and two threads.
//   benchmark_attention [lengths] [rotary] [isas]      (no word: all three)
// A figure is the best of three medians of five. FLOPs are those executed: attention 4
// S² K forward and 10 S² K backward a head (five products, one of them the scores again). Lengths are like
// UniRef50's: mean about 350, at most 1,024.
#include "esmscale/kernels/cpu/attention.h"

#include "esmscale/kernels/cpu/isa.h"
#include "kernel_timing.h"

#include <cmath>
#include <cstdio>
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace {

using namespace esmscale;
using namespace esmscale::kernels;

// Log-normal lengths cut at 1,024, about `rows` rows in all.
std::vector<int32_t> real_like(int64_t rows) {
  RandomStream random(2, Purpose::test, 0);
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
  return 2e-9 * m * k * n * repeats / median_seconds([&] {
           for (int i = 0; i < repeats; ++i) at::mm(a, b);
         });
}

double sgemm_peak(int threads) {
  return std::max(sgemm_gflops(threads, 1024, 1024, 1024), sgemm_gflops(threads, 4096, 1024, 1024));
}

struct AttentionSpeed {
  double forward, backward;  // GFLOP/s
};

double gflop_per_product(int64_t width, const std::vector<int32_t>& cu_seqlens) {
  double squares = 0;
  for (size_t n = 0; n + 1 < cu_seqlens.size(); ++n)
    squares += std::pow(cu_seqlens[n + 1] - cu_seqlens[n], 2);
  return 1e-9 * squares * static_cast<double>(width);
}

AttentionSpeed attention_speed(int64_t heads, int64_t head_dim, const std::vector<int32_t>& cu_seqlens,
                               int threads, bool turned = true) {
  at::set_num_threads(threads);
  const int64_t rows = cu_seqlens.back(), width = heads * head_dim;
  const Floats qkv = normals(rows * 3 * width), bias = normals(3 * width), dout = normals(rows * width);
  Floats out(rows * width), lse(heads * rows), dqkv(qkv.size()), dbias((cu_seqlens.size() - 1) * 3 * width);
  Floats inv_freq;
  for (int64_t i = 0; i < head_dim / 2; ++i) inv_freq.push_back(std::pow(1e4f, -2.0f * i / head_dim));
  const cpu::RotaryTable rotary(1024, inv_freq);
  const auto rows_of = [width](auto& packed, int64_t part) {
    return cpu::HeadRows{packed.data() + part * width, 3 * width};
  };
  const cpu::AttentionInputs in{.heads = heads,
                                .head_dim = head_dim,
                                .cu_seqlens = cu_seqlens,
                                .q = rows_of(qkv, 0),
                                .k = rows_of(qkv, 1),
                                .v = rows_of(qkv, 2),
                                .bias = bias.data(),
                                .rotary = turned ? &rotary : nullptr,
                                .scale = 1 / std::sqrt(static_cast<float>(head_dim)),
                                .query_rows = {}};
  const cpu::AttentionForward forward{in, out.data(), lse.data()};
  const cpu::AttentionBackward backward{.in = in,
                                        .out = out.data(),
                                        .lse = lse.data(),
                                        .dout = dout.data(),
                                        .dq = rows_of(dqkv, 0),
                                        .dk = rows_of(dqkv, 1),
                                        .dv = rows_of(dqkv, 2),
                                        .dbias_partials = dbias.data()};
  const auto cuts = cpu::attention_cuts(in, threads);
  const double gflop = gflop_per_product(width, cu_seqlens);
  return {4 * gflop / median_seconds([&] {
            on_threads(cuts, [&](cpu::Range r) { cpu::attention_forward(forward, r); });
          }),
          10 * gflop / median_seconds([&] {
            on_threads(cuts, [&](cpu::Range r) { cpu::attention_backward(backward, r); });
          })};
}

// LibTorch's fused CPU kernel, sequence by sequence, its inputs already split by head.
AttentionSpeed libtorch_speed(int64_t heads, int64_t head_dim, const std::vector<int32_t>& cu_seqlens,
                              int threads) {
  at::set_num_threads(threads);
  std::vector<at::Tensor> qkv;
  for (size_t n = 0; n + 1 < cu_seqlens.size(); ++n)
    qkv.push_back(at::randn({3, 1, heads, cu_seqlens[n + 1] - cu_seqlens[n], head_dim}));
  const double gflop = gflop_per_product(heads * head_dim, cu_seqlens);
  const auto attend = [](const at::Tensor& x) { return at::scaled_dot_product_attention(x[0], x[1], x[2]); };
  const double forward = median_seconds([&] {
    const at::NoGradGuard no_grad;
    for (const at::Tensor& x : qkv) attend(x);
  });
  for (at::Tensor& x : qkv) x.requires_grad_();
  const double both = median_seconds([&] {
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

// q and k as the plain engine turns them, forward and backward; seconds.
double aten_rotation_seconds(int64_t heads, int64_t head_dim, int64_t rows, int threads) {
  at::set_num_threads(threads);
  const at::Tensor cosine = at::randn({rows, 1, head_dim}), sine = at::randn({rows, 1, head_dim});
  const at::Tensor x = at::randn({rows, heads, head_dim}).requires_grad_(), gradient = at::randn(x.sizes());
  return 2 * median_seconds([&] {
           const auto halves = x.chunk(2, -1);
           (x * cosine + at::cat({-halves[1], halves[0]}, -1) * sine).backward(gradient);
         });
}

void rotary_table() {
  constexpr int64_t kHeads = 20, kHeadDim = 16;
  const auto cu_seqlens = real_like(4096);
  const double gflop = gflop_per_product(kHeads * kHeadDim, cu_seqlens);
  std::printf("\nrotary positions, %d rows, 20 heads of 16, forward and backward, ms\n", cu_seqlens.back());
  for (int threads : {1, 2}) {
    double ms[2];
    for (bool turned : {false, true}) {
      const AttentionSpeed speed = attention_speed(kHeads, kHeadDim, cu_seqlens, threads, turned);
      ms[turned] = 1e3 * gflop * (4 / speed.forward + 10 / speed.backward);
    }
    std::printf("%d threads: our attention %.2f without, %.2f with; ATen's rotation alone %.2f\n", threads,
                ms[0], ms[1], 1e3 * aten_rotation_seconds(kHeads, kHeadDim, cu_seqlens.back(), threads));
  }
}

void isa_table() {
  const auto cu_seqlens = real_like(4096);
  std::printf("\nattention by instruction set, one thread, 20 heads of 16, GFLOP/s executed\n");
  for (cpu::Isa isa : cpu::supported_isas()) {
    cpu::select_isa(isa);
    const AttentionSpeed speed = attention_speed(20, 16, cu_seqlens, 1);
    std::printf("%-9s forward %7.1f  backward %7.1f\n", std::string(cpu::name(isa)).c_str(), speed.forward,
                speed.backward);
  }
}

}  // namespace

int main(int count, char** words) {
  const auto wanted = [&](const std::string& word) {
    return count == 1 || std::find(words + 1, words + count, word) != words + count;
  };
  std::printf("instructions: %s\n", std::string(cpu::name(cpu::active_isa())).c_str());
  if (wanted("lengths")) attention_table();
  if (wanted("rotary")) rotary_table();
  if (wanted("isas")) isa_table();
}

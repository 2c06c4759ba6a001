// Joules of every class of kernel in a training step on one GPU, and how much FP8 would save: each kernel
// runs alone for some seconds, on numbers of the right spread, while the card's own counter of energy runs.
// At the power limit time follows energy, so a kernel's joules are what it costs a step.
//   benchmark_gpu_energy [WIDTH] [HEAD_DIM] [ROWS] [SECONDS]     default 1280 64 32768 1: a block of 650M
// Prints a line a kernel as soon as it is measured. Products: x [ROWS, in] · Wᵀ, its two gradients, in bf16
// and in e4m3 with one scale a tensor or one a row. Without a GPU it says so, with status 77.
#include "energy_counter.h"
#include "esmscale/core/random.h"
#include "esmscale/kernels/gpu/gpu.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {

using namespace esmscale;
namespace gpu = kernels::gpu;
using kernels::BFloat16;

void wait_for_gpu() {
  static const c10::impl::VirtualGuardImpl guard(at::kCUDA);
  guard.synchronizeDevice(0);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Bench {
 public:
  explicit Bench(double seconds) : seconds_(seconds) {
    std::printf("%-26s %9s %9s %7s %9s\n", "kernel", "µs", "rate", "W", "mJ");
  }

  // `work`: FLOPs, or bytes with is_bytes.
  void measure(const std::string& name, double work, bool is_bytes, const std::function<void()>& launch) {
    try {
      launch();
      wait_for_gpu();
    } catch (const std::exception& error) {
      const std::string reason = error.what();
      std::printf("%-26s not here: %s\n", name.c_str(), reason.substr(0, reason.find('\n')).c_str());
      std::fflush(stdout);
      return;
    }
    run_for(0.3 * seconds_, launch);
    const std::optional<double> before = counter_.joules();
    const auto [calls, seconds] = run_for(seconds_, launch);
    const std::optional<double> after = counter_.joules();
    const double joules = before && after ? *after - *before : NAN;
    std::printf("%-26s %9.1f %5.0f %s %7.0f %9.2f\n", name.c_str(), 1e6 * seconds / calls,
                work * calls / seconds / (is_bytes ? 1e9 : 1e12), is_bytes ? "GB/s" : "TF/s",
                joules / seconds, 1e3 * joules / calls);
    std::fflush(stdout);
  }

 private:
  static std::pair<double, double> run_for(double seconds, const std::function<void()>& launch) {
    double calls = 0;
    const double start = now();
    do {
      for (int i = 0; i < 50; ++i) launch();
      calls += 50;
      wait_for_gpu();
    } while (now() - start < seconds);
    return {calls, now() - start};
  }

  double seconds_;
  EnergyCounter counter_;
};

const at::TensorOptions kBf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
const at::TensorOptions kFp32 = at::TensorOptions(at::kCUDA).dtype(at::kFloat);

at::Tensor normal(at::IntArrayRef shape, double deviation) {
  return (at::randn(shape, kFp32) * deviation).to(at::kBFloat16);
}

// y = x Wᵀ and both gradients, [rows, in] to [rows, out].
void products(Bench& bench, const std::string& name, int64_t rows, int64_t in, int64_t out) {
  const at::Tensor x = normal({rows, in}, 1), w = normal({out, in}, 0.03), dy = normal({rows, out}, 0.01);
  at::Tensor y = at::empty({rows, out}, kBf16), dx = at::empty({rows, in}, kBf16),
             dw = at::empty({out, in}, kBf16);
  const double flops = 2.0 * static_cast<double>(rows * in * out);
  bench.measure(name + " bf16", flops, false, [&] { at::mm_out(y, x, w.t()); });
  bench.measure(name + " bf16 dx", flops, false, [&] { at::mm_out(dx, dy, w); });
  bench.measure(name + " bf16 dw", flops, false, [&] { at::mm_out(dw, dy.t(), x); });

  // Values of e4m3 reach 448; 64 leaves the largest of normal numbers room. Scales undo it.
  const auto e4m3 = [](const at::Tensor& t, double scale) { return (t * scale).to(at::kFloat8_e4m3fn); };
  const at::Tensor x8 = e4m3(x, 64), w8 = e4m3(w, 2048), dy8 = e4m3(dy, 4096), w8t = w8.t().contiguous();
  const auto scales = [](int64_t n, bool is_row) {
    return is_row ? at::ones({n, 1}, kFp32) : at::ones({1, n}, kFp32);
  };
  const at::Tensor one = at::ones({}, kFp32), by_row = scales(rows, true), by_out = scales(out, false),
                   by_in = scales(in, false);
  const auto product = [&](at::Tensor& result, const at::Tensor& a, const at::Tensor& b,
                           const at::Tensor& scale_a, const at::Tensor& scale_b) {
    at::_scaled_mm_out(result, a, b.t(), scale_a, scale_b, {}, {}, at::kBFloat16, /*use_fast_accum=*/true);
  };
  bench.measure(name + " e4m3 tensor", flops, false, [&] { product(y, x8, w8, one, one); });
  bench.measure(name + " e4m3 row", flops, false, [&] { product(y, x8, w8, by_row, by_out); });
  bench.measure(name + " e4m3 tensor dx", flops, false, [&] { product(dx, dy8, w8t, one, one); });
  bench.measure(name + " e4m3 row dx", flops, false, [&] { product(dx, dy8, w8t, by_row, by_in); });
}

BFloat16* data(const at::Tensor& x) {
  return static_cast<BFloat16*>(x.data_ptr());
}

void passes(Bench& bench, int64_t rows, int64_t width) {
  const gpu::Place place{.gpu = true};
  const int64_t inner = 4 * width;
  const at::Tensor x = normal({rows, width}, 1), branch = normal({rows, width}, 1), sum = at::empty_like(x),
                   y = at::empty_like(x), dy = normal({rows, width}, 0.01), dsum = at::zeros_like(x);
  const at::Tensor gamma = at::ones({width}, kFp32), beta = at::zeros({width}, kFp32),
                   mean = at::zeros({rows}, kFp32), rstd = at::ones({rows}, kFp32);
  const double array = 2.0 * static_cast<double>(rows * width);
  const gpu::NormForward<BFloat16> forward{.rows = rows,
                                           .width = width,
                                           .x = data(x),
                                           .branch = data(branch),
                                           .branch_bias = beta.data_ptr<float>(),
                                           .sum = data(sum),
                                           .gamma = gamma.data_ptr<float>(),
                                           .beta = beta.data_ptr<float>(),
                                           .y = data(y),
                                           .mean = mean.data_ptr<float>(),
                                           .rstd = rstd.data_ptr<float>()};
  bench.measure("LayerNorm", 4 * array, true, [&] { gpu::run(forward, place); });
  const int64_t blocks = gpu::norm_backward_blocks_at_once<BFloat16>(width, place);
  const at::Tensor partials = at::empty({blocks, 3, width}, kFp32);
  const gpu::NormBackward<BFloat16> backward{.rows = rows,
                                             .width = width,
                                             .sum = data(sum),
                                             .mean = mean.data_ptr<float>(),
                                             .rstd = rstd.data_ptr<float>(),
                                             .gamma = gamma.data_ptr<float>(),
                                             .dy = data(dy),
                                             .dsum = data(dsum),
                                             .branch_bias = true,
                                             .blocks = blocks,
                                             .partials = partials.data_ptr<float>()};
  bench.measure("LayerNorm backward", 4 * array, true, [&] { gpu::run(backward, place); });

  const at::Tensor z = normal({rows, inner}, 1), a = at::empty_like(z), da = normal({rows, inner}, 0.01),
                   bias = at::zeros({inner}, kFp32), sums = at::empty({gpu::blocks_of(rows), inner}, kFp32);
  const gpu::GeluForward<BFloat16> gelu{
      .rows = rows, .width = inner, .x = data(z), .bias = bias.data_ptr<float>(), .y = data(a)};
  bench.measure("GELU", 8 * array, true, [&] { gpu::run(gelu, place); });
  const gpu::GeluBackward<BFloat16> back{.rows = rows,
                                         .width = inner,
                                         .x = data(z),
                                         .bias = bias.data_ptr<float>(),
                                         .dy = data(da),
                                         .dx = data(a),
                                         .partials = sums.data_ptr<float>()};
  bench.measure("GELU backward", 12 * array, true, [&] { gpu::run(back, place); });
}

// Log-normal lengths like UniRef50's: mean about 350, at most 1,022 residues.
std::vector<int32_t> starts_of(int64_t rows) {
  RandomStream random(2, Purpose::test, 0);
  std::vector<int32_t> starts{0};
  while (starts.back() < rows) {
    const int length = std::clamp(static_cast<int>(std::exp(5.67 + 0.68 * random.normal())), 20, 1024);
    starts.push_back(std::min(starts.back() + length, static_cast<int32_t>(rows)));
  }
  return starts;
}

void attention(Bench& bench, int64_t rows, int64_t width, int64_t head_dim) {
  const gpu::Place place{.gpu = true};
  const int64_t heads = width / head_dim;
  const std::vector<int32_t> starts = starts_of(rows);
  double squares = 0;
  for (size_t i = 0; i + 1 < starts.size(); ++i) squares += std::pow(starts[i + 1] - starts[i], 2);
  const double product = 2 * squares * static_cast<double>(width);
  const std::vector<gpu::AttentionBlock> listed = gpu::attention_blocks(starts, starts);
  std::vector<int32_t> flat;
  for (const gpu::AttentionBlock& block : listed) flat.insert(flat.end(), {block.sequence, block.first});
  const at::Tensor starts_there = at::tensor(starts).to(at::kCUDA),
                   blocks_there = at::tensor(flat).to(at::kCUDA);
  const gpu::AttentionBlocks blocks{static_cast<gpu::AttentionBlock*>(blocks_there.data_ptr()),
                                    static_cast<int64_t>(listed.size())};
  const at::Tensor qkv = normal({rows, 3, heads, head_dim}, 0.7),
                   out = at::empty({rows, heads, head_dim}, kBf16), lse = at::empty({heads, rows}, kFp32),
                   v_bias = at::zeros({heads, head_dim}, kFp32);
  const gpu::Attention forward{.queries = rows,
                               .heads = heads,
                               .head_dim = head_dim,
                               .query_starts = starts_there.data_ptr<int32_t>(),
                               .key_starts = starts_there.data_ptr<int32_t>(),
                               .query_blocks = blocks,
                               .key_blocks = blocks,
                               .q = data(qkv),
                               .k = data(qkv) + width,
                               .v = data(qkv) + 2 * width,
                               .q_step = 3 * width,
                               .kv_step = 3 * width,
                               .v_bias = v_bias.data_ptr<float>(),
                               .out = data(out),
                               .minus_lse = lse.data_ptr<float>()};
  bench.measure("attention", 2 * product, false, [&] { gpu::run(forward, place); });

  const at::Tensor angles = at::randn({1024, head_dim / 2}, kFp32), cosines = angles.cos(),
                   sines = angles.sin(), positions = at::arange(rows, kFp32.dtype(at::kLong)).remainder(1024);
  const gpu::RotaryAngles rotary{positions.data_ptr<int64_t>(), cosines.data_ptr<float>(),
                                 sines.data_ptr<float>()};
  const at::Tensor x = qkv.clone(), bias = at::zeros({3, heads, head_dim}, kFp32);
  const gpu::Rotate<BFloat16> rotate{.rows = rows,
                                     .heads = heads,
                                     .head_dim = head_dim,
                                     .angles = rotary,
                                     .bias = bias.data_ptr<float>(),
                                     .x = data(x),
                                     .step = 3 * width,
                                     .parts = {.first = 0, .count = 2}};
  bench.measure("rotation", 8.0 * static_cast<double>(rows * width), true, [&] { gpu::run(rotate, place); });

  const at::Tensor dout = normal({rows, heads, head_dim}, 0.01), dqkv = at::empty_like(qkv),
                   delta = at::empty_like(lse), q_sums = at::empty({blocks.count, heads, head_dim}, kFp32),
                   kv_sums = at::empty({blocks.count, 2, heads, head_dim}, kFp32);
  const gpu::AttentionBackward backward{.forward = forward,
                                        .dout = data(dout),
                                        .minus_delta = delta.data_ptr<float>(),
                                        .query_angles = rotary,
                                        .key_angles = rotary,
                                        .dq = data(dqkv),
                                        .dk = data(dqkv) + width,
                                        .dv = data(dqkv) + 2 * width,
                                        .dq_step = 3 * width,
                                        .dkv_step = 3 * width,
                                        .q_partials = q_sums.data_ptr<float>(),
                                        .kv_partials = kv_sums.data_ptr<float>()};
  bench.measure("attention backward", 7 * product, false, [&] { gpu::run(backward, place); });
}

double argument(int count, char** values, int which, double otherwise) {
  return which < count ? std::atof(values[which]) : otherwise;
}

}  // namespace

int main(int count, char** values) {
  if (!at::hasCUDA()) {
    std::fprintf(stderr, "skipped: no GPU here\n");
    return 77;
  }
  const auto width = static_cast<int64_t>(argument(count, values, 1, 1280)),
             head_dim = static_cast<int64_t>(argument(count, values, 2, 64)),
             rows = static_cast<int64_t>(argument(count, values, 3, 32768));
  at::manual_seed(1);
  Bench bench(argument(count, values, 4, 1));
  products(bench, "qkv", rows, width, 3 * width);
  products(bench, "attention out", rows, width, width);
  products(bench, "ffn in", rows, width, 4 * width);
  products(bench, "ffn out", rows, 4 * width, width);
  passes(bench, rows, width);
  attention(bench, rows, width, head_dim);
}

// Matrix products on a GPU by the fastest of the algorithms that cuBLASLt suggests for their shape. Why: its
// first suggestion, which ATen's products take, is slower by 7% over a step's products at 650M parameters,
// and by 11% at 150M (docs/performance.md).
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale {

class DeviceProducts {
 public:
  DeviceProducts();
  ~DeviceProducts();

  // to = a b, or to += a b: bf16 matrices, `to` of bf16 or fp32 with rows of neighbours, sums in fp32. A
  // shape is timed when it comes for the third time, which waits for the GPU; from then on nothing does.
  // False, and nothing done, before that; for small products, other types and places; and where LibTorch is
  // to be deterministic, since times differ from run to run, and with them the order of sums.
  bool multiply(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b, bool add);

 private:
  struct Table;
  std::unique_ptr<Table> table_;  // null without CUDA
};

// Which of the suggestions to take: that of the least median time, but the first unless another is faster by
// a hundredth. times[i]: of suggestion i in each round; none where it failed. −1: all failed.
int fastest(std::vector<std::vector<float>> times);

}  // namespace esmscale

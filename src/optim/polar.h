// The nearest orthogonal matrix by matrix products alone.
#pragma once

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

// matrices: [N, R, C] fp32. About U·Vᵀ of each one's singular value decomposition U·S·Vᵀ: singular values of
// the result lie near 1, and 0 stays 0. Five iterations of Polar Express (Amsel et al. 2025,
// arXiv 2505.16932). Products have operands of `products` (fp32 or bf16) and fp32 sums; the result is fp32.
at::Tensor polar_factors(const at::Tensor& matrices_NRC, at::ScalarType products);

}  // namespace esmscale::optim

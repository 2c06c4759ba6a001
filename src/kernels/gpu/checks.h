// What a kernel's work must be, before it is launched.
#pragma once

#include "esmscale/core/error.h"
#include "esmscale/kernels/gpu/gpu.h"

#include <string>

namespace esmscale::kernels::gpu {

inline void require_multiple_of_8(const char* what, int64_t number) {
  if (number % 8 == 0) return;
  throw usage_error({"kernels for a GPU", std::string(what) + " that is a multiple of 8",
                     std::to_string(number), "use --set train.engine=plain"});
}

template <class Work>
void check(const Work& work) {
  require_multiple_of_8("a width", work.width);
}
template <class T>
void check(const NormBackward<T>& work) {
  require_multiple_of_8("a width", work.width);
  if (work.width > kLargestWidth<T>)
    throw usage_error({"kernels for a GPU", "a width of at most " + std::to_string(kLargestWidth<T>),
                       std::to_string(work.width), "use --set train.engine=plain, or train.precision=bf16"});
}
template <class T>
void check(const Rotate<T>& work) {
  require_multiple_of_8("a head_dim", work.head_dim);
}
template <class T>
void check(const RotateBackward<T>& work) {
  require_multiple_of_8("a head_dim", work.head_dim);
}
template <class T>
void check(const CrossEntropy<T>&) {}
inline void check(const AddPartials&) {}
inline void check(const Attention& work) {
  if (!attention_takes(work.head_dim))
    throw usage_error({"attention on a GPU", "a head_dim of 16, 24, 32 or 64", std::to_string(work.head_dim),
                       "use --set train.engine=plain"});
}
inline void check(const AttentionBackward& work) {
  check(work.forward);
}

}  // namespace esmscale::kernels::gpu

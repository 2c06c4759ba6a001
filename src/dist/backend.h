// The backends of Group: NCCL and Gloo.
#pragma once

#include <chrono>

#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace esmscale::dist {

c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int ranks,
                                            bool on_one_host, std::chrono::milliseconds timeout);
#ifdef ESMSCALE_HAS_CUDA
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int ranks,
                                            std::chrono::milliseconds timeout);
#endif

}  // namespace esmscale::dist

// The only file that sees Gloo's headers: they are the system's, older than the Gloo inside LibTorch, so
// nothing of theirs may be exported from here (cmake/Rooms.cmake), and only LibTorch creates their
// objects.
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include "dist/backend.h"

#include <cstdlib>

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace esmscale::dist {

c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int ranks,
                                            bool on_one_host, std::chrono::milliseconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(timeout);
  options->threads = 2;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface     ? Gloo::createDeviceForInterface(interface)
                             : on_one_host ? Gloo::createDeviceForHostname("127.0.0.1")
                                           : Gloo::createDefaultDevice());
  return c10::make_intrusive<Gloo>(store, rank, ranks, options);
}

}  // namespace esmscale::dist

// Collectives that do nothing and are complete at once: one process plays a rank of any number. LibTorch
// has such a backend too, in a header that asks for Python's.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace esmscale::dist {

class PretendedWork final : public c10d::Work {
 public:
  bool wait(std::chrono::milliseconds = kNoTimeout) override { return true; }
};

class PretendedBackend final : public c10d::Backend {
 public:
  PretendedBackend(int rank, int ranks) : Backend(rank, ranks) {}

  const std::string getBackendName() const override { return "pretended"; }
  void shutdown() override {}

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>&, const c10d::AllreduceOptions&) override {
    return done();
  }
  c10::intrusive_ptr<c10d::Work> broadcast(std::vector<at::Tensor>&, const c10d::BroadcastOptions&) override {
    return done();
  }
  c10::intrusive_ptr<c10d::Work> _reduce_scatter_base(at::Tensor&, at::Tensor&,
                                                      const c10d::ReduceScatterOptions&) override {
    return done();
  }
  c10::intrusive_ptr<c10d::Work> _allgather_base(at::Tensor&, at::Tensor&,
                                                 const c10d::AllgatherOptions&) override {
    return done();
  }

 private:
  static c10::intrusive_ptr<c10d::Work> done() { return c10::make_intrusive<PretendedWork>(); }
};

}  // namespace esmscale::dist

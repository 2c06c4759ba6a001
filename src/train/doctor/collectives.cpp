#include "esmscale/core/text.h"
#include "train/doctor/checks.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace esmscale::train::doctor {
namespace {

constexpr int64_t kFloat = 4;

// One collective over n ranks on `floats` floats, a multiple of n; whole numbers that fp32 holds exactly.
class Trial {
 public:
  Trial(const char* name, int64_t floats, const c10::Device& device, dist::Group& group)
      : name_(name), group_(group), n_(group.size()), rank_(group.rank()) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
    pattern_ = at::arange(floats, options).remainder(97);
    whole_ = at::empty({floats}, options);
    chunk_ = at::empty({floats / n_}, options);
  }

  void fill() {
    if (is("all-gather"))
      chunk_.copy_(part(pattern_, rank_)).add_(rank_);
    else
      whole_.copy_(pattern_).add_(rank_);
  }

  void run() {
    if (is("all-reduce")) return group_.all_reduce(whole_).wait();
    if (is("reduce-scatter")) return group_.reduce_scatter(chunk_, whole_).wait();
    if (is("all-gather")) return group_.all_gather(whole_, chunk_).wait();
    group_.broadcast(whole_, n_ - 1).wait();
  }

  // That every element is what the ranks' numbers make.
  bool is_right() const {
    const double ranks = n_, sum = ranks * (ranks - 1) / 2;
    if (is("all-reduce")) return whole_.equal(pattern_ * ranks + sum);
    if (is("reduce-scatter")) return chunk_.equal(part(pattern_, rank_) * ranks + sum);
    if (is("broadcast")) return whole_.equal(pattern_ + (ranks - 1));
    for (int rank = 0; rank < n_; ++rank)
      if (!part(whole_, rank).equal(part(pattern_, rank) + rank)) return false;
    return true;
  }

  // What the slowest link carries for every byte of the whole (the factors of nccl-tests).
  double bus_factor() const {
    const double ranks = n_;
    return is("broadcast") ? 1 : (is("all-reduce") ? 2 : 1) * (ranks - 1) / ranks;
  }

 private:
  bool is(std::string_view name) const { return name == name_; }
  at::Tensor part(const at::Tensor& whole, int rank) const {
    return whole.narrow(0, rank * chunk_.numel(), chunk_.numel());
  }

  const char* name_;
  dist::Group& group_;
  int n_, rank_;
  at::Tensor pattern_, whole_, chunk_;
};

void wait_for(const c10::Device& device) {
  if (device.is_cuda()) c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(device.index());
}

double median_seconds(Trial& trial, const c10::Device& device, int calls) {
  std::vector<double> seconds;
  for (int call = 0; call < calls; ++call) {
    wait_for(device);
    const auto begin = std::chrono::steady_clock::now();
    trial.run();
    wait_for(device);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + calls / 2, seconds.end());
  return seconds[static_cast<size_t>(calls / 2)];
}

std::vector<int64_t> sizes_up_to(int64_t largest) {
  std::vector<int64_t> sizes;
  for (const int64_t size : {int64_t{40}, int64_t{2} << 20, int64_t{25} << 20, int64_t{400} << 20})
    if (size < largest) sizes.push_back(size);
  sizes.push_back(largest);
  return sizes;
}

}  // namespace

Check collectives_check(const c10::Device& device, int64_t largest_bytes, dist::Ranks& ranks,
                        std::vector<CollectiveRate>& rates) {
  constexpr int kCalls = 5;
  dist::Group& group = ranks.group(device);
  std::vector<std::string> wrong;
  for (const int64_t size : sizes_up_to(largest_bytes))
    for (const char* name : {"all-reduce", "reduce-scatter", "all-gather", "broadcast"}) {
      const int64_t floats = (size / kFloat + group.size() - 1) / group.size() * group.size();
      Trial trial(name, floats, device, group);
      trial.fill();
      trial.run();  // connects, too
      if (!trial.is_right()) wrong.push_back(text(name, " of ", human_bytes(static_cast<double>(size))));
      const double seconds = median_seconds(trial, device, kCalls);
      const auto bytes = static_cast<double>(floats * kFloat);
      rates.push_back({name, floats * kFloat, seconds, trial.bus_factor() * bytes / seconds});
    }
  // Rank 0's rates are shown; what any rank found wrong counts.
  std::vector<std::string> findings;
  const std::vector<std::string> all = ranks.exchange("wrong collectives", join(wrong, ", "));
  for (size_t rank = 0; rank < all.size(); ++rank)
    if (!all[rank].empty()) findings.push_back(text("rank ", rank, ": ", all[rank]));
  if (findings.empty())
    return {.name = "collectives",
            .found = text("right sums and copies, up to ", human_bytes(static_cast<double>(largest_bytes)))};
  return {.name = "collectives",
          .result = CheckResult::error,
          .found = text("wrong results: ", join(findings, "; ")),
          .advice = "do not train here: send this to whoever runs the cluster (GPUs, drivers, network)"};
}

}  // namespace esmscale::train::doctor

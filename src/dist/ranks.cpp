#include "esmscale/dist/ranks.h"

#include "dist/backend.h"
#include "dist/store.h"
#include "dist/watch.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <ATen/ops/full.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

namespace esmscale::dist {
namespace {

constexpr double kGoodbyeSeconds = 10;
constexpr char kAfterTopic = '\n';

bool is_this_host(const std::string& host) {
  return host == "127.0.0.1" || host == "localhost" || host == "::1";
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// Ranks whose settings differ may come to different questions, and would take each other's answers.
std::string without_topic(const std::string& said, std::string_view topic, int by) {
  const size_t end = said.find(kAfterTopic);
  const std::string other = said.substr(0, end);
  if (other != topic)
    throw usage_error({.where = text("rank ", by),
                       .expected = text("to agree on ", topic),
                       .found = other,
                       .advice = "start every rank with the same command and settings"});
  return said.substr(end + 1);
}

// Texts of any content as one, and back: "3:abc1:d".
std::string joined(const std::vector<std::string>& texts) {
  std::string whole;
  for (const std::string& each : texts) whole += text(each.size(), ':', each);
  return whole;
}

std::vector<std::string> parted(std::string_view whole) {
  std::vector<std::string> texts;
  while (!whole.empty()) {
    const size_t colon = whole.find(':'), size = std::stoul(std::string(whole.substr(0, colon)));
    texts.emplace_back(whole.substr(colon + 1, size));
    whole.remove_prefix(colon + 1 + size);
  }
  return texts;
}

// The ranks that no longer beat, found by comparing their counts of beats before and after a while.
std::string silent_ranks(c10d::Store& store, int ranks, double limit_seconds) {
  std::vector<int64_t> beats;
  for (int r = 0; r < ranks; ++r) beats.push_back(store.add(beat_key(r), 0));
  sleep_for(3 * beat_seconds(limit_seconds));
  std::vector<std::string> silent;
  for (int r = 0; r < ranks; ++r)
    if (store.add(beat_key(r), 0) == beats[static_cast<size_t>(r)]) silent.push_back(text("rank ", r));
  return silent.empty() ? "" : join(silent, ", ") + (silent.size() == 1 ? " is gone" : " are gone");
}

// Says what this rank waits for while it waits long.
class Patience {
 public:
  explicit Patience(std::string what)
      : saying_([what = std::move(what)](const std::stop_token& stop) {
          constexpr double kFirst = 5, kAgain = 60;
          std::mutex mutex;
          std::condition_variable_any never;
          std::unique_lock lock(mutex);
          double waited = 0;
          for (double next = kFirst; !stop.stop_requested(); next = kAgain) {
            never.wait_for(lock, stop, std::chrono::duration<double>(next), [] { return false; });
            waited += next;
            if (!stop.stop_requested()) log_warning("waiting for ", what, ", ", waited, " s so far");
          }
        }) {}

 private:
  std::jthread saying_;
};

// Connects the ranks now, while nothing of the run is in memory yet: NCCL's communicator is made by the first
// collective.
void require_right_sum(Group& group, const c10::Device& device) {
  const at::Tensor sum = at::full({1}, group.rank() + 1.0, at::TensorOptions(device).dtype(at::kDouble));
  group.all_reduce(sum).wait();
  const double n = group.size(), expected = n * (n + 1) / 2, found = sum.item<double>();
  if (found != expected)
    throw Error({.where = text("an all-reduce between ", group.size(), " ranks"),
                 .expected = text("the sum ", expected),
                 .found = text(found),
                 .advice = "run esmscale doctor on the same nodes"});
}

}  // namespace

struct Ranks::Meeting {
  c10::intrusive_ptr<c10d::TCPStore> served;  // by this process; must go last
  c10::intrusive_ptr<c10d::Store> store;
  std::unique_ptr<Watch> watch;
  int64_t agreements = 0;
  size_t last_size = 0;         // of what this rank said in the last of them
  size_t last_answer_size = 0;  // on rank 0: of its answer
};

Ranks::Ranks() = default;

Ranks::Ranks(const Placement& placement, const RanksOptions& options)
    : placement_(placement), options_(options) {
  if (size() == 1 && !options.meet_alone) return;
  meeting_ = std::make_unique<Meeting>();
  const double timeout = options.collective_timeout_seconds;
  if (placement.hosts_store) meeting_->served = serve_store(placement.port, timeout);
  const std::string point = text(placement.host, ":", placement.port);
  {
    const Patience saying(text("rank 0 at ", point, " (MASTER_ADDR and MASTER_PORT), as rank ", rank()));
    meeting_->store = connect_to_store(placement, timeout);
  }
  {
    const Patience saying(text("all ", size(), " ranks to connect to ", point, ", as rank ", rank()));
    barrier("arrival");
  }
  meeting_->watch =
      std::make_unique<Watch>(connect_to_store(placement, timeout), placement, options.heartbeat_seconds);
}

Ranks::~Ranks() = default;

std::vector<std::string> Ranks::exchange(std::string_view topic, const std::string& mine) {
  if (!meeting_) return {mine};
  const auto key = [&](int64_t number, std::string_view whose) {
    return text("agreement/", number, "/", whose);
  };
  const std::string own = std::to_string(rank());
  const int64_t number = ++meeting_->agreements;
  const std::string whole = text(topic, kAfterTopic, mine);
  std::vector<std::string> said;
  try {
    set_long_text(*meeting_->store, key(number, own), whole);
    // Rank 0 gathers and answers: 3n messages where everybody's reading of everybody would take n².
    std::string all;
    if (is_first()) {
      for (int r = 0; r < size(); ++r)
        said.push_back(get_long_text(*meeting_->store, key(number, std::to_string(r))));
      all = joined(said);
      set_long_text(*meeting_->store, key(number, "all"), all);
    } else {
      said = parted(get_long_text(*meeting_->store, key(number, "all")));
    }
    // Everybody has spoken, so everybody has read the last answer.
    if (number > 1) {
      delete_long_text(*meeting_->store, key(number - 1, own), meeting_->last_size);
      if (is_first()) delete_long_text(*meeting_->store, key(number - 1, "all"), meeting_->last_answer_size);
    }
    meeting_->last_size = whole.size();
    meeting_->last_answer_size = all.size();
  } catch (const std::exception& error) {
    throw PeerLost({.where = text("rank ", rank(), ", ", topic),
                    .expected = text("all ", size(), " ranks; heard from ", said.size()),
                    .found = std::string(first_line(error.what())),
                    .advice = "see the other ranks' logs"});
  }
  for (size_t r = 0; r < said.size(); ++r) said[r] = without_topic(said[r], topic, static_cast<int>(r));
  return said;
}

std::string Ranks::from_first(std::string_view topic, const std::string& mine) {
  return exchange(topic, is_first() ? mine : "").front();
}

void Ranks::require_agreement(std::string_view what, const std::string& mine) {
  const std::vector<std::string> said = exchange(what, mine);
  for (size_t r = 1; r < said.size(); ++r)
    if (said[r] != said.front())
      throw usage_error({.where = text("rank ", r, ", ", what),
                         .expected = text(said.front(), ", as rank 0 has"),
                         .found = said[r],
                         .advice = "start every rank with the same program, configuration and data"});
}

void Ranks::require_agreements(const std::vector<std::pair<std::string, std::string>>& settings) {
  std::string whole;
  for (const auto& [what, mine] : settings) whole += text(what, '=', mine, '\n');
  const std::vector<std::string> said = exchange("settings", checksum_hex(whole));
  if (std::equal(said.begin() + 1, said.end(), said.begin())) return;
  for (const auto& [what, mine] : settings) require_agreement(what, mine);
}

Group& Ranks::group(const c10::Device& device) {
  if (!meeting_ || is_connected_) return group_;
  is_connected_ = true;
  const auto store = c10::make_intrusive<c10d::PrefixStore>("group", meeting_->store);
  const std::chrono::milliseconds timeout(static_cast<int64_t>(1000 * options_.collective_timeout_seconds));
  try {
#ifdef ESMSCALE_HAS_CUDA
    if (device.is_cuda()) group_ = Group(make_nccl(store, rank(), size(), timeout), false);
#endif
    if (device.is_cpu())
      group_ = Group(make_gloo(store, rank(), size(), is_this_host(placement_.host), timeout), true);
    require_right_sum(group_, device);
    return group_;
  } catch (const std::exception& error) {
    throw Error({.where = text("rank ", rank(), " of ", size()),
                 .expected = text("a connection to the others for ", device.is_cuda() ? "NCCL" : "Gloo"),
                 .found = std::string(first_line(error.what()))});
  }
}

bool Ranks::fail(const std::string& reason) noexcept {
  if (!meeting_) return true;
  group_.abandon();
  try {
    if (meeting_->watch) meeting_->watch->rest();
    const auto mine = as_stored(text("rank ", rank(), ": ", reason));
    const auto first = meeting_->store->compareSet(kFailureKey, {}, mine);
    return first == mine || !std::string(first.begin(), first.end()).ends_with(": " + reason);
  } catch (const std::exception&) {  // the store is gone: the others see that by themselves
    return true;
  }
}

std::string Ranks::reason_of_failure(double seconds) {
  if (!meeting_ || !meeting_->watch) return "";
  Watch& watch = *meeting_->watch;
  watch.hold_fire();
  for (double waited = 0; waited < seconds && watch.finding().empty(); waited += 0.1) sleep_for(0.1);
  if (!watch.finding().empty()) return watch.finding();
  try {
    return silent_ranks(*meeting_->store, size(), options_.heartbeat_seconds);
  } catch (const std::exception&) {
    return "the meeting point of the ranks is gone, and rank 0 or the launcher with it";
  }
}

void Ranks::finish() {
  if (!meeting_) return;
  barrier("the end");
  meeting_->watch->rest();
  meeting_->watch.reset();
  group_ = Group();
  // Whoever serves the store leaves last.
  meeting_->store->add("gone", 1);
  if (!meeting_->served) return;
  for (double waited = 0; waited < kGoodbyeSeconds && meeting_->store->add("gone", 0) < size();
       waited += 0.01)
    sleep_for(0.01);
}

}  // namespace esmscale::dist

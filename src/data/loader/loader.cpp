#include "esmscale/data/loader/loader.h"

#include "data/loader/batch_maker.h"
#include "data/loader/batch_plan.h"
#include "esmscale/core/error.h"
#include "esmscale/core/queue.h"
#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"
#include "esmscale/data/loader/masking.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

namespace esmscale::data {

namespace {

constexpr int64_t kRowsAhead = 1 << 20;

int64_t epoch_size(const Dataset& dataset, const LoaderOptions& options) {
  return options.sequences == 0 ? dataset.epoch_sequences() : options.sequences;
}

EpochSample sample_of(const Dataset& dataset, const LoaderOptions& options) {
  return {dataset, epoch_size(dataset, options), options.seed};
}

// Batches that may be ready ahead of the trainer: enough to hide slow reads, few enough to bound memory.
int64_t batches_ahead(const LoaderOptions& options) {
  const int64_t rows_of_rank = (options.batch_tokens + options.ranks - 1) / options.ranks;
  return std::clamp<int64_t>(kRowsAhead / rows_of_rank, 2, 64);
}

}  // namespace

template <class Require>
void require_ramp(const LoaderOptions& o, const Require& require) {
  const int64_t pack = std::max<int64_t>(1, o.pack_tokens);
  require(
      o.first_batch_tokens >= 0 && o.first_batch_tokens <= o.batch_tokens && o.first_batch_tokens % pack == 0,
      "train.first_batch_tokens is ", o.first_batch_tokens, ", not a multiple of train.pack_tokens (",
      o.pack_tokens, ") up to train.batch_tokens (", o.batch_tokens, ")");
  require(o.first_batch_tokens == 0 || o.batch_warmup_tokens > 0, "train.batch_warmup_tokens is ",
          o.batch_warmup_tokens, ", and train.first_batch_tokens asks for some");
}

// Batch number i is planned by one thread, made by worker i mod threads and taken from that worker's queue,
// so batches come in order whichever thread is fast.
struct Loader::Impl {
  struct Made {
    GlobalBatch batch;
    std::exception_ptr failure;
  };
  struct Worker {
    explicit Worker(size_t ahead) : made(ahead) {}
    BoundedQueue<BatchPlan> plans{2};
    BoundedQueue<Made> made;
  };

  Impl(const Dataset& data, const LoaderOptions& given, DataState from)
      : dataset(data), options(given), planner(sample_of(data, given), options, from) {
    const int64_t ahead = (batches_ahead(options) + options.threads - 1) / options.threads;
    for (int i = 0; i < options.threads; ++i) workers.emplace_back(ahead);
    try {
      for (Worker& worker : workers)
        threads.emplace_back([this, &worker](const std::stop_token& stop) { make(worker, stop); });
      threads.emplace_back([this] { plan(); });
    } catch (...) {  // the system refused a thread: the others must not wait for it
      stop();
      throw;
    }
  }

  ~Impl() { stop(); }

  void stop() {
    for (std::jthread& thread : threads) thread.request_stop();
    for (Worker& worker : workers) {
      worker.plans.close();
      worker.made.close();
    }
  }

  void plan() {
    try {
      for (size_t ticket = 0;; ++ticket) {
        std::optional<BatchPlan> next = planner.next();
        if (!next || !workers[ticket % workers.size()].plans.push(std::move(*next))) break;
      }
      for (Worker& worker : workers) worker.plans.close();
    } catch (...) {
      for (Worker& worker : workers) worker.plans.fail(std::current_exception());
    }
  }

  void make(Worker& worker, const std::stop_token& stopping) {
    try {
      BatchMaker maker(dataset, options, stopping);
      while (std::optional<BatchPlan> next = worker.plans.pop())
        if (stopping.stop_requested() || !worker.made.push({maker.make(*next), nullptr})) return;
      worker.made.close();
    } catch (...) {
      worker.made.push({{}, std::current_exception()});
    }
  }

  std::optional<GlobalBatch> next() {
    if (failure) std::rethrow_exception(failure);
    const auto begin = std::chrono::steady_clock::now();
    std::optional<Made> made = workers[taken % workers.size()].made.pop();
    if (!made) return std::nullopt;
    if (made->failure) std::rethrow_exception(failure = made->failure);
    ++taken;
    made->batch.wait_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(made->batch);
  }

  const Dataset& dataset;
  const LoaderOptions options;
  BatchPlanner planner;
  std::deque<Worker> workers;
  size_t taken = 0;
  std::exception_ptr failure;
  std::vector<std::jthread> threads;
};

void check_loader_options(const Dataset& dataset, const LoaderOptions& o, DataState from) {
  Violations wrong;
  const auto require = [&](bool holds, const auto&... what) { wrong.require(holds, text(what...)); };
  require(o.sequences >= 0 && o.sequences <= dataset.epoch_sequences(), "data.sequences is ", o.sequences,
          ", the data set has ", dataset.epoch_sequences(),
          dataset.manifest().clusters > 0 ? " clusters" : "");
  require(o.max_seq_len >= 3, "data.max_seq_len is ", o.max_seq_len, ", less than START, a residue and END");
  require(o.pack_tokens >= std::max<int64_t>(3, o.max_seq_len), "train.pack_tokens is ", o.pack_tokens,
          ", less than data.max_seq_len (", o.max_seq_len, ")");
  for (const auto& [name, rows] : {std::pair{"train.batch_tokens", o.batch_tokens},
                                   std::pair{"train.micro_batch_tokens", o.micro_batch_tokens}})
    require(rows > 0 && o.pack_tokens > 0 && rows % o.pack_tokens == 0, name, " is ", rows,
            ", not a multiple of train.pack_tokens (", o.pack_tokens, ")");
  require(o.ranks >= 1 && o.rank >= 0 && o.rank < o.ranks, "rank ", o.rank, " of ", o.ranks);
  require_ramp(o, require);
  const int64_t smallest = o.first_batch_tokens > 0 ? o.first_batch_tokens : o.batch_tokens;
  require(o.pack_tokens <= 0 || o.ranks <= smallest / o.pack_tokens, o.ranks, " ranks share ",
          smallest / std::max<int64_t>(1, o.pack_tokens), " packs (train.",
          o.first_batch_tokens > 0 ? "first_" : "", "batch_tokens / train.pack_tokens)");
  for (const auto& [name, rate] : {std::pair{"masking.mlm_probability", o.mlm_probability},
                                   std::pair{"masking.final_mlm_probability", o.final_mlm_probability}})
    require(rate >= 0 && rate <= 1, name, " is ", rate);
  require(o.epochs >= 1, "train.epochs is ", o.epochs);
  require(o.threads >= 1, "threads is ", o.threads);
  require(from.epoch >= 0 && from.next >= 0 && from.next <= epoch_size(dataset, o), "data state (epoch ",
          from.epoch, ", sequence ", from.next, ") lies outside the ", epoch_size(dataset, o), " sequences");
  wrong.refuse({.where = text("training data ", dataset.folder().string()),
                .expected = "options that agree with each other and with the data set",
                .found = ""});
}

BatchRamp batch_ramp(const LoaderOptions& o) {
  return {o.first_batch_tokens, o.batch_tokens, o.batch_warmup_tokens};
}

MaskRamp mask_ramp(const LoaderOptions& o) {
  return {.begin = o.mlm_probability, .end = o.final_mlm_probability, .planned_tokens = o.planned_tokens};
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options, DataState from) {
  check_loader_options(dataset, options, from);
  impl_ = std::make_unique<Impl>(dataset, options, from);
}

Loader::~Loader() = default;

std::optional<GlobalBatch> Loader::next() {
  return impl_->next();
}

int data_order_version(const Dataset& dataset) {
  return dataset.manifest().clusters > 0 ? kDataOrderVersion : kDataOrderWithoutClusters;
}

EpochTokens tokens_per_epoch(const Dataset& dataset, const LoaderOptions& options) {
  const EpochSample sample = sample_of(dataset, options);
  const int64_t epochs = dataset.manifest().clusters > 0 ? options.epochs : 1;
  EpochTokens sum;
  for (int64_t epoch = 0; epoch < epochs; ++epoch)
    for (int64_t i = 0; i < sample.size(); ++i) {
      const int64_t rows = rows_of(sample.length(sample.sequence(epoch, i)), options.max_seq_len - 2);
      sum.tokens += rows;
      sum.squared += static_cast<double>(rows * rows);
    }
  return {sum.tokens / epochs, sum.squared / static_cast<double>(epochs)};
}

int64_t unique_tokens(const Dataset& dataset, const LoaderOptions& options) {
  const SequenceRange last = dataset.cluster(epoch_size(dataset, options) - 1);
  int64_t tokens = 0;
  for (const uint32_t length : dataset.lengths().first(static_cast<size_t>(last.first + last.count)))
    tokens += rows_of(length, options.max_seq_len - 2);
  return tokens;
}

std::vector<uint32_t> epoch_lengths(const Dataset& dataset, int64_t sequences) {
  const EpochSample sample = sample_of(dataset, {.sequences = sequences});
  std::vector<uint32_t> lengths(static_cast<size_t>(sample.size()));
  for (int64_t i = 0; i < sample.size(); ++i)
    lengths[static_cast<size_t>(i)] = sample.length(sample.sequence(0, i));
  return lengths;
}

}  // namespace esmscale::data

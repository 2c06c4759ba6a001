#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "esmscale/dist/replicas.h"
#include "train/doctor/checks.h"
#include "train/run.h"
#include "train/step.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace esmscale::train::doctor {
namespace {

constexpr int kSteps = 20;
constexpr int kMicroBatches = 2;  // of each rank
constexpr uint64_t kSeed = 1;

config::RunConfig small_run(int zero_stage) {
  config::RunConfig config;
  config.model.layers = 2;
  config.model.width = 64;
  config.model.heads = 4;
  config.train.precision = config::Precision::fp32;
  config.parallel.zero_stage = zero_stage;
  config::resolve(config);
  return config;
}

// Four sequences of random letters, every sixth of them masked.
data::PackedBatch random_batch(const data::TokenList& tokens, uint64_t number) {
  constexpr int kSequences = 4, kLeast = 20, kMore = 40, kEvery = 6;
  constexpr std::string_view kLetters = "ACDEFGHIKLMNPQRSTVWY";
  RandomStream random(kSeed, Purpose::test, number);
  data::PackedBatch batch;
  batch.cu_seqlens.push_back(0);
  for (int sequence = 0; sequence < kSequences; ++sequence) {
    const auto length = static_cast<int>(kLeast + random.below(kMore));
    int32_t masks = 0;
    batch.tokens.push_back(tokens.start());
    for (int i = 0; i < length; ++i) {
      const int32_t letter = tokens.letter(data::letter_code(kLetters[random.below(kLetters.size())]));
      const bool is_masked = i % kEvery == 0;
      if (is_masked) {
        batch.masked_rows.push_back(static_cast<int32_t>(batch.tokens.size()));
        batch.targets.push_back(letter);
        ++masks;
      }
      batch.tokens.push_back(is_masked ? tokens.mask() : letter);
    }
    batch.tokens.push_back(tokens.end());
    batch.cu_seqlens.push_back(static_cast<int32_t>(batch.tokens.size()));
    batch.mask_counts.push_back(masks);
    batch.sequences.push_back(sequence);
  }
  batch.real_tokens = batch.rows();
  batch.real_sequences = kSequences;
  batch.real_masked = static_cast<int64_t>(batch.targets.size());
  return batch;
}

// The part that rank `rank` of `ranks` has of the batch of one step, as the loader deals it.
data::GlobalBatch batch_of(int step, int rank, int ranks, int all_ranks, const data::TokenList& tokens) {
  data::GlobalBatch batch;
  const int count = kMicroBatches * all_ranks;
  for (int i = rank; i < count; i += ranks)
    batch.micro_batches.push_back(random_batch(tokens, static_cast<uint64_t>(step * count + i)));
  return batch;
}

TrainingState beginning(const config::RunConfig& config, const c10::Device& device, dist::Group& group) {
  checkpoint::CheckpointInfo info;
  info.config = config;
  model::Weights weights = model::make_weights(config.model, device);
  model::initialise(weights, kSeed, {});
  const config::ShardLayout layout(weights.table, group.size());
  auto optimizer = optim::make_optimizer(config.optimizer, weights, layout,
                                         static_cast<int>(config.parallel.zero_stage), group);
  return {.info = std::move(info), .weights = std::move(weights), .optimizer = std::move(optimizer)};
}

struct Curve {
  std::vector<double> losses;
  std::string checksum;  // of the weights at the end
  double seconds = 0;    // of a step, without the first
};

// `all_ranks`: whose batches there are; the group may be one process's.
Curve train_small(int zero_stage, const c10::Device& device, dist::Group& group, int all_ranks) {
  constexpr double kRate = 1e-3;
  const config::RunConfig config = small_run(zero_stage);
  const data::TokenList& tokens = data::TokenList::of(config.model.alphabet);
  const TrainingState state = beginning(config, device, group);
  Machinery machinery(state, config, group);
  const StepParts parts{.engine = *machinery.engine,
                        .group = group,
                        .gradients = machinery.gradients,
                        .optimizer = *state.optimizer,
                        .weights = machinery.exchange,
                        .model = config.model,
                        .max_norm = config.train.grad_clip,
                        .tokens = tokens,
                        .requests = [] { return StopRequests{}; },
                        .abandons = {}};
  Curve curve;
  auto begin = std::chrono::steady_clock::now();
  for (int step = 0; step < kSteps; ++step) {
    if (step == 1) begin = std::chrono::steady_clock::now();
    const data::GlobalBatch batch = batch_of(step, group.rank(), group.size(), all_ranks, tokens);
    curve.losses.push_back(train_step(parts, batch, {.adam = kRate})->wait().loss);
  }
  curve.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / (kSteps - 1);
  curve.checksum = dist::checksum_of_bits(state.weights.flat);
  return curve;
}

double largest_difference(const Curve& a, const Curve& b) {
  double largest = 0;
  for (size_t step = 0; step < a.losses.size(); ++step)
    if (const double apart = std::abs(a.losses[step] - b.losses[step]); !(apart <= largest)) largest = apart;
  return largest;
}

std::string milliseconds(double seconds) {
  return fixed(1e3 * seconds, 1) + " ms";
}

Check training_check(const c10::Device& device, int zero_stage, const Curve& reference, dist::Ranks& ranks) {
  // Sums in another order, in fp32, through twenty updates by Adam: nats.
  constexpr double kAllowed = 1e-4;
  dist::Group& group = ranks.group(device);
  const Curve curve = train_small(zero_stage, device, group, group.size());
  group.wait_for_device_each_time(true);
  const Curve waiting = train_small(zero_stage, device, group, group.size());
  group.wait_for_device_each_time(false);

  const double from_one = largest_difference(curve, reference),
               from_waiting = largest_difference(curve, waiting);
  const std::vector<std::string> checksums = ranks.exchange("small weights", curve.checksum);
  const bool are_equal = std::all_of(checksums.begin(), checksums.end(),
                                     [&](const std::string& other) { return other == checksums.front(); });
  Check check{
      .name = text("training at stage ", zero_stage),
      .found = text(kSteps, " steps, loss ", fixed(curve.losses.front(), 4), " to ",
                    fixed(curve.losses.back(), 4), ", ", scientific(from_one, 0), " nats from one rank, ",
                    scientific(from_waiting, 0), " from a wait after every collective; weights ",
                    are_equal ? "bit-equal on all ranks; " : "NOT equal on all ranks; ",
                    milliseconds(curve.seconds), " a step, ", milliseconds(waiting.seconds), " with waits")};
  if (are_equal && from_one <= kAllowed && from_waiting <= kAllowed) return check;
  check.result = CheckResult::error;
  check.advice = "do not train here: the ranks compute something else than one rank does; send this report";
  return check;
}

}  // namespace

std::vector<Check> training_checks(const c10::Device& device, dist::Ranks& ranks) {
  dist::Group alone;  // one rank shards nothing, so its curve is that of every stage
  const Curve reference = train_small(/*zero_stage=*/0, device, alone, ranks.size());
  std::vector<Check> checks;
  for (const int stage : {0, 1, 2}) checks.push_back(training_check(device, stage, reference, ranks));
  return checks;
}

}  // namespace esmscale::train::doctor

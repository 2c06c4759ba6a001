#include "esmscale/study/arms/layouts.h"

#include "esmscale/config/hidden_matrices.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

struct Request {
  const config::RunConfig& base;
  const ArmGrid& grid;
};

std::string shown(double value) {
  return esmscale::to_text(Json(value));
}

// The rate at each multiple; that of matrices, where they have one, keeps its ratio to it.
Factor rates_of(const config::OptimizerConfig& optimizer, std::initializer_list<double> multiples) {
  Factor factor{.key = "optimizer.lr", .values = {}};
  for (const double multiple : multiples) {
    factor.values.push_back(shown(multiple * optimizer.lr));
    if (config::has_matrix_updates(optimizer.name))
      factor.with.push_back("optimizer.matrix_lr=" + shown(multiple * optimizer.matrix_lr));
  }
  return factor;
}

LayoutArms schedules(const Request&) {
  return {.factors = {factor_of("schedule.name=exponential,constant,linear,cosine,wsd")},
          .settings = {"schedule.decay_factor=0.1"}};
}

LayoutArms decay(const Request&) {
  return {.factors = {factor_of("schedule.name=linear,cosine"), factor_of("schedule.decay_factor=0.1,0")}};
}

LayoutArms rates(const Request& request) {
  return {.factors = {rates_of(request.base.optimizer, {1, 0.25, 0.5, 2, 4})}};
}

// Whole packs; a batch of one pack has no half.
LayoutArms batches(const Request& request) {
  const config::TrainConfig& train = request.base.train;
  Factor batch{.key = "train.batch_tokens", .values = {}};
  for (const double multiple : {1.0, 0.5, 2.0, 4.0})
    if (const auto rows = static_cast<int64_t>(multiple * double(train.batch_tokens));
        rows > 0 && rows % train.pack_tokens == 0)
      batch.values.push_back(std::to_string(rows));
  return {.factors = {batch, rates_of(request.base.optimizer, {1, 0.5, 2})}};
}

LayoutArms masks(const Request&) {
  return {.factors = {factor_of("masking.mlm_probability=0.15,0.1,0.2,0.25,0.3")}};
}

struct Epoch {
  int64_t sequences = 0, tokens = 0;
};

Epoch epoch_of(const std::string& data, const config::RunConfig& base) {
  const data::Dataset set(data);
  return {set.epoch_sequences(), data::tokens_per_epoch(set, {.max_seq_len = base.data.max_seq_len}).tokens};
}

// As many tokens each, from fewer and fewer sequences: one epoch of fresh data against 2, 4, 8 and 16. Two
// further runs of half and a quarter of the tokens, all fresh, show what fresh tokens are worth.
LayoutArms epochs(const Request& request) {
  constexpr std::array kEpochs{1, 2, 4, 8, 16};
  if (request.grid.data.empty())
    throw usage_error(
        {.where = "--layout epochs", .expected = "--data DIR, whose sequences are counted", .found = "none"});
  const Epoch epoch = epoch_of(request.grid.data, request.base);
  const int64_t most = request.base.train.max_tokens;
  const int64_t tokens = most > 0 ? std::min(most, epoch.tokens) : epoch.tokens;
  const double sequences = double(epoch.sequences) * double(tokens) / double(epoch.tokens);
  Factor repeated{.key = "data.sequences", .values = {}};
  for (const int repeats : kEpochs) {
    const auto used = static_cast<int64_t>(sequences / repeats);
    if (used < 1)
      throw usage_error({.where = "--layout epochs",
                         .expected = "sequences for 16 epochs",
                         .found = text("fewer than 16, for ", tokens, " tokens"),
                         .advice = "give more data, or a larger --set train.max_tokens"});
    repeated.values.push_back(std::to_string(used));
    repeated.with.push_back(text("train.max_tokens=", tokens));
  }
  for (const int part : {2, 4}) {
    repeated.values.push_back(repeated.values[0]);
    repeated.with.push_back(text("train.max_tokens=", tokens / part));
  }
  return {.factors = {repeated}, .settings = {text("train.epochs=", 2 * kEpochs.back())}};
}

// As many sequences and tokens of each training set: what is left is what the sets are made of.
LayoutArms training_sets(const Request& request) {
  const std::vector<Factor>& factors = request.grid.factors;
  const auto sets = std::find_if(factors.begin(), factors.end(),
                                 [](const Factor& factor) { return factor.key == "data.train"; });
  if (sets == factors.end())
    throw usage_error({.where = "--layout data",
                       .expected = "--vary data.train=DIR,DIR, the training sets to compare",
                       .found = "none"});
  int64_t sequences = std::numeric_limits<int64_t>::max();
  double mean_length = std::numeric_limits<double>::infinity();  // the shortest of the sets', in tokens
  for (const std::string& set : sets->values) {
    const Epoch whole = epoch_of(set, request.base);
    sequences = std::min(sequences, whole.sequences);
    mean_length = std::min(mean_length, double(whole.tokens) / double(whole.sequences));
  }
  const double epoch = mean_length * double(sequences);
  const int64_t tokens =
      request.base.train.max_tokens > 0 ? request.base.train.max_tokens : static_cast<int64_t>(epoch);
  const auto epochs = static_cast<int64_t>(std::ceil(double(tokens) / epoch)) + 1;
  return {.factors = {},
          .settings = {text("data.sequences=", sequences), text("train.max_tokens=", tokens),
                       text("train.epochs=", epochs)}};
}

struct Named {
  Layout layout;
  LayoutArms (*make)(const Request&);
};

constexpr std::array kLayouts{
    Named{{"schedules", "which schedule of the learning rate"}, schedules},
    Named{{"decay", "decay to a tenth, or to zero"}, decay},
    Named{{"lr", "a quarter to four times the learning rate"}, rates},
    Named{{"batch", "half to four times the batch, each with its rates"}, batches},
    Named{{"mask", "which masking rate, all evaluated alike"}, masks},
    Named{{"epochs", "1 to 16 epochs of fewer sequences, and fewer fresh tokens"}, epochs},
    Named{{"data", "training sets of --vary data.train=DIR,DIR, as much of each"}, training_sets},
};

}  // namespace

std::vector<Layout> layouts() {
  std::vector<Layout> all;
  for (const Named& named : kLayouts) all.push_back(named.layout);
  return all;
}

LayoutArms arms_of_layout(std::string_view name, const config::RunConfig& base, const ArmGrid& grid) {
  config::RunConfig resolved = base;
  config::resolve(resolved);
  std::vector<std::string> names;
  for (const Named& named : kLayouts) {
    if (name == named.layout.name) return named.make({resolved, grid});
    names.emplace_back(named.layout.name);
  }
  throw usage_error({.where = "--layout",
                     .expected = join(names, ", "),
                     .found = std::string(name),
                     .advice = did_you_mean(name, names)});
}

void apply_layout(std::string_view name, const config::RunConfig& base, std::vector<std::string>& settings,
                  ArmGrid& grid) {
  if (name.empty()) return;
  const LayoutArms arms = arms_of_layout(name, base, grid);
  settings.insert(settings.begin(), arms.settings.begin(), arms.settings.end());
  grid.factors.insert(grid.factors.begin(), arms.factors.begin(), arms.factors.end());
}

}  // namespace esmscale::study

// A budget of FLOPs (or a loss to reach, a model, an amount of data) turned into a model, a number of tokens
// and their cost, by a fitted law.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/study/plan/recipe.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::study {

// What is asked: a budget, or two of C, N, D and L, or one of them and the best choice of the rest.
struct PlanRequest {
  double flops = 0;             // C, by the law's count; with inference_tokens that of training and inference
  double max_tokens = 0;        // D is at most this: the data runs out; 0: no limit
  double unique_tokens = 0;     // of one epoch; 0: unknown
  double loss = 0;              // L to reach; 0: not asked
  double parameters = 0;        // N, by the law's count; 0: to be chosen
  double tokens = 0;            // D; 0: to be chosen
  double inference_tokens = 0;  // that the trained model will read, a forward pass each
  std::optional<laws::Approach> approach{};  // nullopt: the one that the points support
  bool allow_repeats = false;
  double mfu = 0.4;
  bool is_mfu_given = false;  // then it counts in place of a measured rate
  int ranks = 1;
  std::string device = "h100";    // whose memory the configuration has to fit
  std::vector<int> more_ranks{};  // further numbers of devices to plan for, after `ranks`
  double tokens_per_second = 0;   // of one device; 0: as measured, else by its peak and mfu
  ConfigOptions config;
};

// A number with its 80% and 95% intervals over the law's draws.
struct Planned {
  double value = 0;
  std::optional<laws::Interval> ci80{}, ci95{};
};

// What one approach would plan.
struct ApproachRow {
  laws::Approach approach;
  bool is_supported = false;
  std::string why{};  // for or against it; "" where the law file judges nothing
  Planned flops{}, parameters{}, tokens{}, loss{};
  size_t draws_without = 0;  // of the law's draws, that have no answer
  // Draws whose N lies more than ten times outside the sizes of the points and from the answer. With more
  // than one in forty there are no intervals: they would show where the form of the law ends, not how
  // uncertain the points are.
  size_t draws_astray = 0;
};

// A model off the optimum, at the same C: N = factor · N_opt.
struct OffOptimum {
  double factor = 0, parameters = 0, tokens = 0;
  double lost = 0;  // nats above the optimum
  double extra_compute =
      0;  // share more FLOPs that this N needs for the optimum's loss; infinite where it cannot
};

struct DeviceTime {
  std::string device;  // with its peak's name
  double peak = 0;     // FLOP/s
  double days = 0;     // of the request's devices, side by side, at its MFU
};

// The planned run on a number of devices. Communication between them is not counted.
struct RankPlan {
  int ranks = 1;
  bool fits = true;
  double memory_bytes = 0;  // on one rank
  int zero_stage = 0;
  config::MasterWeights master_weights = config::MasterWeights::whole;
  int64_t micro_batch_tokens = 0;
  std::string recompute;
  double tokens_per_second = 0;  // of one device; 0: unknown
  std::string rate_from;
  bool is_rate_by_mfu = false;  // neither measured nor given
  double days = 0;              // NaN: unknown
};

// The fewest devices, of powers of two, on which a plan fits; ranks 0: it fits on none of them.
struct FewestRanks {
  int ranks = 0;
  int zero_stage = 0;
  config::MasterWeights master_weights = config::MasterWeights::whole;
};

struct BudgetPlan {
  laws::Approach approach{};
  std::string approach_why;             // for it, or "as asked"
  double decades_beyond = 0;            // from the budgets and sizes that the approach rests on
  std::vector<ApproachRow> approaches;  // those that have an optimum at this C
  double flops = 0;                     // of training
  double inference_flops = 0;           // of the tokens that the model will read
  // NaN: the approach does not know it. What was asked for has no interval.
  Planned budget, parameters, tokens, loss;  // budget: `flops` with its interval
  Planned loss_of_a_run;      // the loss with the noise of one run and, where it is known, of another holdout
  laws::Optimum best;         // for these FLOPs of training
  double lost = 0;            // nats above `best`: the cost of the other quantity that was asked for
  size_t draws_without = 0;   // of the law's, that have no answer
  size_t draws_astray = 0;    // likewise (ApproachRow); 0 where there are intervals
  double epochs = 0;          // D over unique_tokens; 0: unknown
  config::ModelConfig shape;  // the nearest buildable one
  double shape_parameters = 0, shape_tokens = 0;  // at the same C
  double shape_cost = 0;                          // nats lost to the shape's distance from the best N
  Recipe recipe;
  config::RunConfig config;
  double memory_bytes = 0;                 // on one rank
  std::optional<FewestRanks> fits_from{};  // only where it does not fit on request.ranks
  std::vector<OffOptimum> off_optimum;
  std::string off_optimum_from;
  std::vector<DeviceTime> times;       // A100 and H100
  std::vector<RankPlan> side_by_side;  // for request.ranks and request.more_ranks on request.device
  std::vector<std::string> warnings;
};

// Training FLOPs per token of a shape by the law's count.
double flops_per_token(const config::ModelConfig& shape, const laws::Basis& basis);

// By the approach that is asked for, else by the one that the points support; beyond their budgets or sizes
// the intervals are wider by as many times as it is decades. Error when none is supported, when the points do
// not support its optimum at this C (laws::against_budget) and it was not asked for, when no shape is near
// the size, and when a loss to reach lies more than two decades beyond the budgets (without --approach).
// Usage error when the law has no such approach or no answer, or when the plan would repeat its data more
// than eight times for a model of 1B and up and this was not asked for.
BudgetPlan plan_budget(const laws::LawFile& laws, const PlanRequest& request);

// The training FLOPs of `hours` of one device at the rate that the plan states for the model which they buy.
// NaN: the rate is unknown.
double flops_of_device_hours(const laws::LawFile& laws, const PlanRequest& asked, double hours);

Json to_json(const BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request);

}  // namespace esmscale::study

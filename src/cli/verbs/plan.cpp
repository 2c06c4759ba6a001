// esmscale plan: the model and tokens for a budget, by a law.
#include "cli/checks.h"
#include "cli/planning_flags.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/output_set.h"
#include "esmscale/core/text.h"
#include "esmscale/report/plan_text.h"
#include "esmscale/study/layout.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

struct Options : PlanningOptions {
  std::string flops, target_loss, parameters, tokens, inference_tokens, max_tokens, approach;
  std::string device = "h100";
  study::PlanRequest request;
  double gpu_hours = 0;
  std::optional<double> mfu;
  std::vector<int> gpus;
  std::string tokens_per_second;
  bool force = false;
};

std::optional<laws::Approach> approach_of(const std::string& asked) {
  if (asked.empty()) return std::nullopt;
  return laws::approach_of(asked == "kaplan" ? "kaplan.L_ND" : "approach" + asked);
}

double flops_of(const Options& options, const laws::LawFile& laws, const study::PlanRequest& request) {
  if (!options.flops.empty()) return positive_number(options.flops, "--flops");
  const double flops = study::flops_of_device_hours(laws, request, options.gpu_hours);
  if (std::isnan(flops))
    throw usage_error({.where = "--device",
                       .expected = text("a device with a known ", enum_name(options.config.precision),
                                        " peak (a100, h100, h200, …)"),
                       .found = options.device,
                       .advice = "give the budget with --flops, or the rate with --tokens-per-second"});
  if (std::isfinite(flops)) return flops;
  throw usage_error(
      {.where = "--gpu-hours", .expected = "hours of a finite budget", .found = text(options.gpu_hours)});
}

void write_plan(const Options& options, const std::string& name, const study::BudgetPlan& plan,
                const laws::LawFile& laws, const study::PlanRequest& request) {
  OutputSet files(options.output, options.force);
  files.add("configs/" + name + ".json", to_text(config::to_json(plan.config), 2) + "\n");
  const double of_device = plan.side_by_side.front().days;
  const double days = std::isfinite(of_device) ? of_device : plan.times.front().days;
  study::add_array(files, name, {name}, request.ranks, 24 * std::max(days * 1.3, 1 / 24.0));
  files.add("plan.json", to_text(study::to_json(plan, laws, request), 2) + "\n");
  files.publish();
}

// A budget, a loss, N or D: one of them, or two.
void require_a_question(const Options& options) {
  std::vector<std::string> given;
  for (const auto& [flag, is_given] :
       {std::pair{"--flops", !options.flops.empty()}, std::pair{"--gpu-hours", options.gpu_hours > 0},
        std::pair{"--target-loss", !options.target_loss.empty()},
        std::pair{"--parameters", !options.parameters.empty()},
        std::pair{"--tokens", !options.tokens.empty()}})
    if (is_given) given.push_back(flag);
  const bool both_budgets = !options.flops.empty() && options.gpu_hours > 0;
  if (given.size() == 1 || (given.size() == 2 && !both_budgets)) return;
  throw usage_error({.where = "esmscale plan",
                     .expected = "one or two of a budget (--flops or --gpu-hours), --target-loss, "
                                 "--parameters and --tokens",
                     .found = given.empty() ? "none" : join(given, ", ")});
}

study::PlanRequest request_of(const Options& options, const laws::LawFile& laws) {
  study::PlanRequest request = options.request;
  request.loss = optional_number(options.target_loss, "--target-loss");
  request.parameters = optional_number(options.parameters, "--parameters");
  request.tokens = optional_number(options.tokens, "--tokens");
  request.inference_tokens = optional_number(options.inference_tokens, "--inference-tokens");
  request.device = options.device;
  request.tokens_per_second = optional_number(options.tokens_per_second, "--tokens-per-second");
  if (!options.gpus.empty()) {
    request.ranks = options.gpus.front();
    request.more_ranks.assign(options.gpus.begin() + 1, options.gpus.end());
  }
  request.approach = approach_of(options.approach);
  request.max_tokens = optional_number(options.max_tokens, "--max-tokens");
  request.config = config_of(options);
  request.unique_tokens = request.config.unique_tokens;
  request.is_mfu_given = options.mfu.has_value();
  request.mfu = options.mfu.value_or(request.mfu);
  if (!options.flops.empty() || options.gpu_hours > 0) request.flops = flops_of(options, laws, request);
  return request;
}

int plan(const Program& program, const Options& options) {
  if (!options.output.empty()) require_no_dataset(options.output);
  require_a_question(options);
  const laws::LawFile laws = law_or_default(options);
  const study::PlanRequest request = request_of(options, laws);
  study::BudgetPlan plan = study::plan_budget(laws, request);
  plan.config.model.name = options.name.empty() ? plan.shape.name : options.name;
  const std::string name = options.name.empty() ? "plan" : options.name;
  if (!options.output.empty()) write_plan(options, name, plan, laws, request);
  if (program.json) {
    program.print(study::to_json(plan, laws, request));
    return 0;
  }
  program.out << report::to_text(plan, laws, request);
  if (!options.output.empty())
    program.out << "written: " << options.output << "/configs/" << name << ".json, array.sbatch, plan.json\n";
  return 0;
}

void add_question_flags(CLI::App& verb, Options& o) {
  verb.add_option("--flops", o.flops, "The budget C, by the law's count");
  verb.add_option("--target-loss", o.target_loss, "A loss to reach, in nats: the cheapest N and D for it");
  verb.add_option("--parameters", o.parameters,
                  "N, by the law's count; with a budget: the D that the rest of it buys");
  verb.add_option("--tokens", o.tokens, "D; with a budget: the N that the rest of it buys");
  verb.add_option("--inference-tokens", o.inference_tokens,
                  "Tokens that the trained model will read: their cost is part of the budget");
}

void add_budget_flags(CLI::App& verb, Options& o) {
  verb.add_option("--gpu-hours", o.gpu_hours,
                  "The budget as hours of one device at the rate that the plan states")
      ->check(CLI::PositiveNumber)
      ->check(finite_number());
  verb.add_option("--device", o.device, "Device of --gpu-hours and of the memory: a100, h100, h200, …")
      ->capture_default_str();
  verb.add_option("--mfu", o.mfu,
                  "Share of the device's dense peak that training reaches, by the law's C, in place of a "
                  "measured rate; 0.4 where there is none")
      ->check(CLI::Range(0.001, 1.0))
      ->check(finite_number());
  verb.add_option("--max-tokens", o.max_tokens, "D is at most this: the data runs out");
  verb.add_flag("--allow-repeats", o.request.allow_repeats,
                "Plan more than eight epochs for 1B parameters and up");
  verb.add_option("--approach", o.approach,
                  "Plan by approach 1, 2 or 3 or by Kaplan's L(N,D); default: what the points support")
      ->check(CLI::IsMember({"1", "2", "3", "kaplan"}));
  verb.add_option("--gpus", o.gpus,
                  "GPUs of the run, N or N,N,… for plans side by side; the first is in the configuration")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 4096));
  verb.add_option("--tokens-per-second", o.tokens_per_second,
                  "Tokens per second of one device, in place of the measured rate");
}

// A form of plan that has become a verb of its own ends with its name.
void add_former_form(CLI::App& verb, const std::string& flag, const std::string& now) {
  verb.add_option_function<std::vector<std::string>>(
          flag,
          [flag, now](const std::vector<std::string>&) {
            throw usage_error({.where = "esmscale plan " + flag,
                               .expected = "`" + now + "`, which replaces it",
                               .found = flag});
          })
      ->expected(0, 1)
      ->trigger_on_parse()
      ->group("");
}

}  // namespace

void add_plan(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "plan", "The model, its tokens and its configuration for a budget or a loss",
                       "esmscale plan --laws laws/laws.json --flops 1e20 --output next");
  add_law_flags(*verb, *options);
  add_question_flags(*verb, *options);
  add_budget_flags(*verb, *options);
  add_basis_flags(*verb, *options);
  add_data_flags(*verb, *options);
  add_config_flags(*verb, *options);
  add_force_flag(*verb, options->force);
  add_former_form(*verb, "--isoflop", "esmscale study plan DIR --isoflop C1,C2,…");
  add_former_form(*verb, "--assess", "esmscale assess");
  verb->callback(
      [&program, options] { program.action = [&program, options] { return plan(program, *options); }; });
}

}  // namespace esmscale::cli

#include "esmscale/report/plan_text.h"

#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/published_scores.h"
#include "esmscale/study/plan/shapes.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

std::string with_interval(const study::Planned& planned, const auto& show) {
  std::string out = show(planned.value);
  if (planned.ci95)
    out += text("  (80%: ", show(planned.ci80->low), " to ", show(planned.ci80->high),
                "; 95%: ", show(planned.ci95->low), " to ", show(planned.ci95->high), ")");
  return out;
}

std::string percent(double share) {
  return std::isfinite(share) ? text(share < 0 ? "" : "+", fixed(100 * share, share < 0.1 ? 1 : 0), "%")
                              : "cannot reach";
}

// What the plan answers, by what was given.
std::string question_of(const study::PlanRequest& request) {
  std::vector<std::string> given;
  if (request.flops > 0) given.push_back(text("C = ", scientific(request.flops, 3), " FLOPs"));
  if (request.loss > 0) given.push_back(text("a loss of ", fixed(request.loss, 4), " nats"));
  if (request.parameters > 0) given.push_back(text("N = ", human_count(request.parameters)));
  if (request.tokens > 0) given.push_back(text("D = ", human_count(request.tokens)));
  return text(given.size() > 1 ? "with " : "the best choice for ", join(given, " and "),
              request.inference_tokens > 0
                  ? text(", ", human_count(request.inference_tokens), " tokens of inference counted")
                  : std::string());
}

// C where it was not given, and what the answer loses against the best choice for that C.
std::string cost_lines(const study::BudgetPlan& plan, const study::PlanRequest& request) {
  const auto flops = [](double v) { return scientific(v, 2); };
  std::string out;
  if (request.flops <= 0 || request.inference_tokens > 0)
    out += text("  training   ", with_interval(plan.budget, flops), " FLOPs\n");
  if (plan.inference_flops > 0)
    out += text("  inference  ", flops(plan.inference_flops), " FLOPs for ",
                human_count(request.inference_tokens), " tokens; in all ",
                flops(plan.flops + plan.inference_flops), "\n");
  if (plan.lost > 0 || std::isnan(plan.lost))
    out +=
        text("  the best   for the same training: N = ", human_count(plan.best.parameters),
             ", D = ", human_count(plan.best.tokens),
             std::isfinite(plan.lost) ? text("; this one loses ", fixed(plan.lost, 4), " nats") : "", "\n");
  return out;
}

std::string stage_text(const study::RankPlan& plan) {
  return text(plan.zero_stage,
              plan.master_weights == config::MasterWeights::sharded ? ", sharded weights" : "");
}

std::string side_by_side_table(const study::BudgetPlan& plan, const study::PlanRequest& request) {
  if (plan.side_by_side.empty()) return "";
  Table table({"GPUs", "days", "ZeRO", "micro-batch", "recompute", "memory on each", "fits"}, 0);
  for (const study::RankPlan& p : plan.side_by_side)
    table.add({text(p.ranks), std::isfinite(p.days) ? significant(p.days, 3) : "unknown", stage_text(p),
               human_count(double(p.micro_batch_tokens)), p.recompute, human_bytes(p.memory_bytes),
               p.fits ? "yes" : "no"});
  const study::RankPlan& first = plan.side_by_side.front();
  return text("\nOn ", request.device, " (",
              first.tokens_per_second > 0
                  ? text(human_count(first.tokens_per_second), " tokens/s each, ", first.rate_from)
                  : "its rate is unknown: give --tokens-per-second",
              "; communication is not counted)\n", table.str());
}

std::string off_optimum_table(const study::BudgetPlan& plan) {
  if (plan.off_optimum.empty()) return "";
  Table table({"N/N_opt", "N", "D at the same C", "nats lost", "more C for the same loss"}, 0);
  for (const study::OffOptimum& row : plan.off_optimum)
    table.add({significant(row.factor, 3), human_count(row.parameters), human_count(row.tokens),
               fixed(row.lost, 4), percent(row.extra_compute)});
  return text("\nOff the optimum (from ", plan.off_optimum_from, ")\n", table.str());
}

std::string approaches_table(const study::BudgetPlan& plan) {
  const auto cell = [](const study::Planned& planned, const auto& show) {
    if (!std::isfinite(planned.value)) return std::string("–");
    return planned.ci95 ? text(show(planned.value), " (", show(planned.ci95->low), " to ",
                               show(planned.ci95->high), ")")
                        : text(show(planned.value));
  };
  Table table({"approach", "C (95%)", "N (95%)", "D (95%)", "loss (95%)", "the points"}, 1);
  for (const study::ApproachRow& row : plan.approaches)
    table.add({text(laws::name_of(row.approach), row.approach == plan.approach ? " *" : ""),
               cell(row.flops, [](double v) { return scientific(v, 2); }), cell(row.parameters, human_count),
               cell(row.tokens, human_count), cell(row.loss, [](double v) { return fixed(v, 4); }),
               row.why.empty() ? "not judged" : (row.is_supported ? "support it" : "do not support it")});
  std::string out = text("\nBy each approach (* is planned from)\n", table.str());
  for (const study::ApproachRow& row : plan.approaches)
    if (!row.why.empty()) out += text("  ", laws::name_of(row.approach), ": ", one_line(row.why), "\n");
  return out;
}

// What a study of one's own up to a quarter of the budget costs: five budgets, each a quarter of the next,
// with nine runs a budget.
std::string study_cost(const study::BudgetPlan& plan, const laws::LawFile& laws) {
  if (!laws.published) return "";
  constexpr int kBudgets = 5, kRuns = 9;
  double cost = 0, budget = plan.flops;
  std::string list;
  for (int i = 0; i < kBudgets; ++i) {
    budget /= 4;
    cost += kRuns * budget;
    list = scientific(budget, 1) + (list.empty() ? "" : "," + list);
  }
  const laws::LawFile::Published& p = *laws.published;
  return text("\nThe law: ", p.title, "\n  source     ", p.source, "\n  protocol   ", p.protocol,
              p.own_law.empty() ? "" : "\n  its own    " + p.own_law,
              "\n  A study of your own, `esmscale study plan DIR --isoflop ", list, "`, costs about ",
              scientific(cost, 1), " FLOPs (", significant(cost / plan.flops, 2), " times this budget).\n");
}

std::string rules_beside(const char* what, const std::vector<study::Advice>& rules, const auto& show) {
  std::string out;
  for (const study::Advice& rule : rules)
    out += text("    ", what, " ", show(rule.value), "  ", rule.rule, "\n");
  return out;
}

}  // namespace

std::string to_text(const study::BudgetPlan& plan, const laws::LawFile& laws,
                    const study::PlanRequest& request) {
  const auto lr = [](double v) { return significant(v, 3); };
  const auto loss = [](double v) { return fixed(v, 4); };
  std::string out =
      text("asked: ", question_of(request), "\nC by the ", enum_name(laws.basis.flop_count),
           " count, N by the ", enum_name(laws.basis.parameter_count), " count, loss ",
           enum_name(laws.basis.loss), "; ", laws::name_of(plan.approach), " of ", one_line(laws.path), "\n");
  if (!plan.approach_why.empty()) out += "taken because: " + one_line(plan.approach_why) + "\n";
  if (!laws.basis.holdout_label.empty()) out += "holdout: " + one_line(laws.basis.holdout_label) + "\n";
  out += "\n";
  out += text("  N          ", with_interval(plan.parameters, human_count), "\n");
  out += text("  D          ", with_interval(plan.tokens, human_count), "\n");
  if (std::isfinite(plan.loss.value))
    out +=
        text("  loss       ", with_interval(plan.loss, loss), " nats",
             laws.published ? ", by the protocol of " + laws.published->name + ": not comparable with yours"
                            : std::string(),
             "\n");
  if (plan.loss_of_a_run.ci95)
    out += text("  of a run   ", with_interval(plan.loss_of_a_run, loss), ": with the noise of one run (",
                significant(laws.noise, 2), " nats",
                laws.holdout_error > 0 ? text("; the holdout: ", significant(laws.holdout_error, 2)) : "",
                ")\n");
  out += text("  downstream ", study::reach_of_published(plan.loss.value, laws).sentence, "\n");
  out += cost_lines(plan, request);
  out +=
      text("  shape      ", study::shape_name(plan.shape),
           " (layers x width x heads), N = ", human_count(plan.shape_parameters),
           ", D = ", human_count(plan.shape_tokens),
           std::isfinite(plan.shape_cost) ? text("; costs ", fixed(plan.shape_cost, 5), " nats") : "", "\n");
  if (plan.epochs > 0) out += text("  epochs     ", fixed(plan.epochs, 2), " of the data\n");
  out += text("  batch      ", human_count(plan.recipe.batch_tokens.value), " tokens  ",
              plan.recipe.batch_tokens.rule, "\n");
  out += rules_beside("          ", plan.recipe.published_batch, human_count);
  out += text("  peak LR    ", lr(plan.recipe.lr.value), "  ", plan.recipe.lr.rule, "\n");
  out += rules_beside("          ", plan.recipe.published_lr, lr);
  if (const study::Advice& matrices = plan.recipe.matrix_lr; matrices.value > 0)
    out += text("  matrix LR  ", lr(matrices.value), "  ", matrices.rule, "\n");
  out += text("  warm-up    ", human_count(plan.recipe.warmup_tokens.value), " tokens  ",
              plan.recipe.warmup_tokens.rule, "\n");
  out += text("  memory     ", human_bytes(plan.memory_bytes), " on each of ", request.ranks,
              " rank(s), predicted (ZeRO stage ", plan.config.parallel.zero_stage, ", micro-batch ",
              human_count(double(plan.config.train.micro_batch_tokens)), " tokens, recompute ",
              enum_name(plan.config.train.recompute), ")\n");
  const study::RankPlan& first = plan.side_by_side.front();
  const bool is_rate_known = first.tokens_per_second > 0 && !first.is_rate_by_mfu;
  for (const study::DeviceTime& time : plan.times) {
    if (is_rate_known) break;
    out +=
        text("  time       ", time.peak > 0 ? fixed(time.days, time.days < 10 ? 2 : 0) + " days" : "unknown",
             " of ", request.ranks, " x ", time.device, " (", scientific(time.peak, 2), " FLOP/s) at ",
             fixed(100 * request.mfu, 0), "% MFU\n");
  }
  out += side_by_side_table(plan, request);
  out += approaches_table(plan);
  out += off_optimum_table(plan);
  out += study_cost(plan, laws);
  for (const std::string& warning : plan.warnings) out += "warning: " + one_line(warning) + "\n";
  return out;
}

std::string to_text(const study::StudyLayout& layout) {
  Table table({"run", "stage", "C", "N", "D", "D/N", "steps", "LR", "batch"}, 2);
  for (const study::StudyRun& run : layout.runs)
    table.add({run.name, std::string(enum_name(run.stage)), scientific(run.flops, 1),
               human_count(run.parameters), human_count(run.tokens),
               significant(run.tokens / run.parameters, 3),
               human_count(run.tokens / double(run.config.train.batch_tokens)),
               significant(run.config.optimizer.lr, 3), human_count(double(run.config.train.batch_tokens))});
  std::string out = text(layout.runs.size(), " runs, ", scientific(layout.flops(), 2),
                         " FLOPs in all; sizes about ", layout.centre_from, "\n", table.str());
  for (const std::string& warning : layout.warnings) out += text("warning: ", warning, "\n");
  return out;
}

std::vector<std::string> placement_header() {
  return {"model", "law", "N", "D", "C", "N_opt at that C", "N/N_opt", "95%", "nats lost", "compute lost"};
}

std::vector<std::string> placement_cells(const study::ModelPlacement& p) {
  const auto known = [](double value, const std::string& shown) {
    return std::isfinite(value) ? shown : std::string("–");
  };
  return {p.model->name,
          p.law + (p.is_beyond_law ? " (extrapolated)" : ""),
          human_count(p.parameters),
          known(p.tokens, human_count(p.tokens)),
          known(p.flops, scientific(p.flops, 1)),
          known(p.best_parameters, human_count(p.best_parameters)),
          known(p.ratio, significant(p.ratio, 2)),
          p.interval ? text(significant(p.interval->low, 2), " to ", significant(p.interval->high, 2)) : "–",
          known(p.nats_lost, fixed(p.nats_lost, 4)),
          known(p.compute_lost, percent(p.compute_lost))};
}

std::vector<std::string> placement_notes() {
  std::vector<std::string> notes;
  for (const study::KnownModel& model : study::known_models())
    notes.push_back(text(model.name, ": ", model.tokens_source));
  return notes;
}

namespace {

std::string downstream_table(const study::Assessment& assessment) {
  Table table({"model", "loss (nats, MASK only, UniRef50)", "Spearman, ProteinGym"}, 1);
  for (const study::PublishedScore& score : study::published_scores())
    table.add({score.model, std::isfinite(score.loss) ? fixed(score.loss, 3) : "not published",
               fixed(score.spearman, 3)});
  std::string out = table.str();
  for (const study::Assessment::Downstream& verdict : assessment.downstream)
    out += "  " + one_line(text(verdict.name, ": ", verdict.verdict)) + "\n";
  return out + "  " + study::published_scores_source() + "\n";
}

}  // namespace

std::string to_text(const study::Assessment& assessment) {
  Table table(placement_header(), 2);
  for (const study::ModelPlacement& p : assessment.placements) table.add(placement_cells(p));
  std::string out = one_line(assessment.sentence) + "\n\n" + table.str();
  if (!assessment.compute_lost_from.empty()) out += assessment.compute_lost_from + "\n";
  for (const std::string& reason : assessment.left_out) out += "left out: " + one_line(reason) + "\n";
  out += "\nWhat a loss is worth downstream\n" + downstream_table(assessment);
  out += "\nWhere D comes from (repeated data is counted as seen)\n";
  for (const std::string& note : placement_notes()) out += "  " + note + "\n";
  return out;
}

}  // namespace esmscale::report

#include "cli/verbs/eval_text.h"

#include "cli/verbs/eval_groups.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

Json to_json(const Scored& scored) {
  Json json = eval::to_json(scored.report);
  json["weights"] = enum_name(scored.weights);
  return json;
}

// " in 4 draws (masks alone: ± 0.0021)"
std::string mask_text(const eval::EvaluationReport& report) {
  if (report.draws == 1) return "";
  return text(" in ", report.draws, " draws (masks alone: ± ", fixed(report.any().mask_error, 4), ")");
}

void print_table(std::ostream& out, const Scored& scored) {
  Table table({"masks", "loss (nats)", "perplexity", "accuracy", "frequencies alone",
               "below them (first residue excluded)"});
  const auto add = [&](const char* name, const std::optional<eval::PatternResult>& r) {
    if (!r) return;
    table.add({name, eval::to_text(r->loss), fixed(std::exp(r->loss.value), 3),
               fixed(100 * r->accuracy, 2) + "%", fixed(r->baseline, 4), eval::to_text(r->below_baseline)});
  };
  add("bert 80/10/10", scored.report.bert);
  add("mask only", scored.report.mask_only);
  const eval::EvaluationReport& report = scored.report;
  out << one_line(report.checkpoint.string())
      << (scored.weights == optim::WeightSet::trained ? "" : text(", weights ", enum_name(scored.weights)))
      << "\n"
      << table.str() << report.any().sequences << " sequences, " << report.any().tokens << " tokens, "
      << report.any().masked << " masked at " << report.mlm_probability << mask_text(report) << "; holdout "
      << one_line(report.holdout_label) << "; frequencies of the " << report.baseline_letters << "\n";
}

// a − b, paired by sequence, for the patterns that both have.
struct Difference {
  std::optional<eval::LossEstimate> bert{}, mask_only{};
};

Difference difference(const eval::Evaluation& a, const eval::Evaluation& b) {
  Difference result;
  if (a.bert && b.bert) result.bert = eval::paired_difference(a.bert_scores, b.bert_scores);
  if (a.mask_only && b.mask_only)
    result.mask_only = eval::paired_difference(a.mask_only_scores, b.mask_only_scores);
  return result;
}

Json to_json(const Difference& difference) {
  Json json = Json::object();
  if (const auto& d = difference.bert) json.update({{"loss", d->value}, {"standard_error", d->error}});
  if (const auto& d = difference.mask_only)
    json.update({{"loss_mask_only", d->value}, {"standard_error_mask_only", d->error}});
  return json;
}

void print_difference(std::ostream& out, const Difference& difference) {
  if (difference.bert) out << "a − b, paired by sequence: " << eval::to_text(*difference.bert) << " nats\n";
  if (difference.mask_only) out << "a − b, mask only: " << eval::to_text(*difference.mask_only) << " nats\n";
}

}  // namespace

void report_one(const Program& program, const Scored& scored, std::span<const std::string> group_of) {
  if (program.json) {
    Json json = to_json(scored);
    if (!group_of.empty()) json.update(groups_json(scored.evaluation, group_of));
    program.print(json);
    return;
  }
  print_table(program.out, scored);
  if (!group_of.empty()) print_groups(program.out, scored.evaluation, group_of);
}

void report_two(const Program& program, const Scored& a, const Scored& b,
                std::span<const std::string> group_of) {
  const Difference d = difference(a.evaluation, b.evaluation);
  if (program.json) {
    Json json = to_json(d);
    if (!group_of.empty()) json.update(group_differences_json(a.evaluation, b.evaluation, group_of));
    program.print({{"a", to_json(a)}, {"b", to_json(b)}, {"difference", std::move(json)}});
    return;
  }
  print_table(program.out, a);
  print_table(program.out, b);
  print_difference(program.out, d);
  if (!group_of.empty()) print_group_differences(program.out, a.evaluation, b.evaluation, group_of);
}

}  // namespace esmscale::cli

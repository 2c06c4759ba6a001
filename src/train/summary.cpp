#include "esmscale/train/summary.h"

#include "esmscale/core/text.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::train {

Json to_json(const TrainSummary& summary) {
  Json json{{"run", summary.run.string()},
            {"checkpoint", summary.checkpoint.string()},
            {"finished", summary.is_finished},
            {"step", summary.step},
            {"tokens", summary.tokens},
            {"sequences", summary.sequences},
            {"parameters", summary.parameters},
            {"flops", summary.flops},
            {"flops_6nd", summary.flops_6nd},
            {"bad_steps", summary.bad_steps},
            {"tokens_per_second", summary.tokens_per_second},
            {"memory_predicted", summary.memory_predicted},
            {"memory_tensors_peak", summary.memory_tensors_peak},
            {"memory_resident_peak", summary.memory_resident_peak}};
  if (summary.evaluation) json["evaluation"] = eval::to_json(*summary.evaluation);
  if (!summary.assays.empty()) json["assays"] = Json::array();
  for (const assays::AssayResult& result : summary.assays) json["assays"].push_back(assays::to_json(result));
  return json;
}

std::string to_text(const TrainSummary& summary) {
  std::string shown = text(summary.is_finished ? "finished " : "stopped ", summary.run.string(), ": step ",
                           summary.step, ", ", human_count(static_cast<double>(summary.tokens)), " tokens, ",
                           scientific(summary.flops, 2), " FLOPs");
  if (summary.tokens_per_second > 0)
    shown += text(", ", human_count(summary.tokens_per_second), " tokens/s\nmemory of tensors: predicted ",
                  human_bytes(summary.memory_predicted), ", measured peak ",
                  human_bytes(static_cast<double>(summary.memory_tensors_peak)));
  shown += "\n";
  for (const assays::AssayResult& result : summary.assays) shown += one_line(assays::to_text(result)) + "\n";
  if (!summary.evaluation) return shown;
  const eval::PatternResult& result = summary.evaluation->any();
  return shown + text("holdout loss ", eval::to_text(result.loss), " nats, perplexity ",
                      fixed(std::exp(result.loss.value), 3), "; letter frequencies alone ",
                      fixed(result.baseline, 4), "; ", one_line(summary.evaluation->holdout_label), "\n");
}

}  // namespace esmscale::train

#include "esmscale/study/plan/known_models.h"

#include "esmscale/core/text.h"
#include "esmscale/study/plan/shapes.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

double parameters_of(const KnownModel& model, const std::string& parameter_count) {
  if (model.layers == 0) return model.parameters;
  config::ModelConfig shape;
  shape.layers = model.layers;
  shape.width = model.width;
  shape.heads = 20;  // no count depends on it
  shape.alphabet = 33;
  return count_as(shape, parameter_count);
}

ModelPlacement placed(const KnownModel& model, const std::string& law, const laws::Basis& basis) {
  ModelPlacement p;
  p.model = &model;
  p.law = law;
  p.parameters = parameters_of(model, basis.parameter_count);
  p.tokens = model.tokens;
  p.flops = basis.flop_ratio.flops(p.parameters, p.tokens);
  p.nats_lost = NAN;
  return p;
}

ModelPlacement unplaced(const KnownModel& model, const laws::Basis& basis) {
  ModelPlacement p = placed(model, "none: its D is not known", basis);
  p.tokens = p.flops = p.best_parameters = p.oversized = NAN;
  return p;
}

void settle(ModelPlacement& p, double best_parameters, double low, double high) {
  p.best_parameters = best_parameters;
  p.oversized = p.parameters / best_parameters;
  p.is_beyond_law = laws::is_beyond(p.flops, low, high);
}

void add_own(std::vector<ModelPlacement>& placements, const KnownModel& model, const laws::LawFile& laws) {
  if (laws.approach3 && laws::has_optimum(*laws.approach3)) {
    ModelPlacement p = placed(model, "approach 3", laws.basis);
    const laws::Optimum best = laws::optimum(*laws.approach3, laws.basis.flop_ratio, p.flops);
    settle(p, best.parameters, laws.lowest_flops, laws.highest_flops);
    if (model.is_mlm) p.nats_lost = laws.approach3->loss(p.parameters, p.tokens) - best.loss;
    placements.push_back(p);
  }
  const auto add_powers = [&](const char* name, const laws::LawFile::Powers& powers) {
    ModelPlacement p = placed(model, name, laws.basis);
    settle(p, powers.parameters.at(p.flops), laws.lowest_flops, laws.highest_flops);
    placements.push_back(p);
  };
  if (laws.approach2) add_powers("approach 2", *laws.approach2);
  if (laws.approach1) add_powers("approach 1", *laws.approach1);
}

}  // namespace

const std::vector<KnownModel>& known_models() {
  static const std::string esm2 = "500K updates of 2M tokens (Lin et al. 2023, supplement)";
  static const std::vector<KnownModel> models{
      {"ESM-2 8M", 7.5e6, 6, 320, 1e12, true, esm2},
      {"ESM-2 35M", 33.5e6, 12, 480, 1e12, true, esm2},
      {"ESM-2 150M", 148e6, 30, 640, 1e12, true, esm2},
      {"ESM-2 650M", 651e6, 33, 1280, 1e12, true, esm2},
      {"ESM-2 3B", 2.8e9, 36, 2560, 1e12, true, esm2},
      {"ESM-2 15B", 15.1e9, 48, 5120, 8.64e11, true,
       "270K updates (Lin et al. 2023) of 3.2M tokens; the batch is second-hand"},
      {"ESM-1b", 652e6, 33, 1280, 0, true, "tokens seen: not found where they could be checked"},
      {"AMPLIFY 120M", 120e6, 0, 0, 2.1e12, true,
       "1M steps of 4,096 × 512 rows (model card); an upper bound: padding is in it"},
      {"AMPLIFY 350M", 350e6, 0, 0, 2.1e12, true,
       "1M steps of 4,096 × 512 rows (model card); an upper bound: padding is in it"},
      {"ProGen2 small", 151e6, 0, 0, 2.6e11, false, "350–400K steps of 0.5–1M tokens: 1.75e11 to 4e11"},
      {"ProGen2 medium", 764e6, 0, 0, 2.6e11, false, "350–400K steps of 0.5–1M tokens: 1.75e11 to 4e11"},
      {"ProGen2 large", 2.7e9, 0, 0, 2.6e11, false, "350–400K steps of 0.5–1M tokens: 1.75e11 to 4e11"},
      {"ProGen2 xlarge", 6.4e9, 0, 0, 2.6e11, false, "350–400K steps of 0.5–1M tokens: 1.75e11 to 4e11"},
      {"xTrimoPGLM 100B", 100e9, 0, 0, 1e12, false,
       "1T tokens (Chen et al. 2024, abstract); MLM and autoregression mixed"}};
  return models;
}

std::vector<ModelPlacement> assess(const laws::LawFile* laws) {
  std::vector<ModelPlacement> placements;
  const laws::PublishedFrontier& cheng = laws::published_frontiers().back();
  for (const KnownModel& model : known_models()) {
    if (model.tokens <= 0) {
      placements.push_back(unplaced(model, laws ? laws->basis : laws::Basis()));
      continue;
    }
    if (laws) add_own(placements, model, *laws);
    ModelPlacement p = placed(model, "Cheng et al. 2024 (6ND)", laws::Basis());
    settle(p, cheng.coefficient_parameters * std::pow(p.flops, cheng.a), laws::kChengLow, laws::kChengHigh);
    placements.push_back(p);
  }
  return placements;
}

Json to_json(const std::vector<ModelPlacement>& placements) {
  Json rows = Json::array();
  for (const ModelPlacement& p : placements)
    rows.push_back({{"model", p.model->name},
                    {"law", p.law},
                    {"parameters", p.parameters},
                    {"tokens", laws::finite(p.tokens)},
                    {"tokens_source", p.model->tokens_source},
                    {"flops", laws::finite(p.flops)},
                    {"parameters_optimal", laws::finite(p.best_parameters)},
                    {"oversized", laws::finite(p.oversized)},
                    {"nats_lost", laws::finite(p.nats_lost)},
                    {"extrapolated", p.is_beyond_law}});
  return {{"models", rows}};
}

}  // namespace esmscale::study

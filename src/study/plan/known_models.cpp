#include "esmscale/study/plan/known_models.h"

#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"
#include "esmscale/study/plan/published_scores.h"
#include "esmscale/study/plan/shapes.h"
#include "esmscale/study/runs/assay_trends.h"
#include "study/plan/off_optimum.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

double parameters_of(const KnownModel& model, laws::ParameterCount count) {
  if (model.layers == 0) return model.parameters;
  config::ModelConfig shape;
  shape.layers = model.layers;
  shape.width = model.width;
  shape.heads = 20;  // no count depends on it
  shape.alphabet = 33;
  return count_as(shape, count);
}

ModelPlacement placed(const KnownModel& model, const std::string& law, const laws::Basis& basis) {
  ModelPlacement p;
  p.model = &model;
  p.law = law;
  p.parameters = parameters_of(model, basis.parameter_count);
  p.tokens = model.tokens;
  p.flops = basis.flop_ratio.flops(p.parameters, p.tokens);
  p.nats_lost = p.compute_lost = NAN;
  return p;
}

std::string significant_factor(double factor) {
  return text(fixed(factor, factor < 10 ? 1 : 0), " times");
}

ModelPlacement unplaced(const KnownModel& model, const laws::Basis& basis) {
  ModelPlacement p = placed(model, "none: its D is not known", basis);
  p.tokens = p.flops = p.best_parameters = p.ratio = NAN;
  return p;
}

void settle(ModelPlacement& p, double best_parameters, double low, double high) {
  p.best_parameters = best_parameters;
  p.ratio = p.parameters / best_parameters;
  p.is_beyond_law = laws::is_beyond(p.flops, low, high);
}

std::optional<laws::Interval> interval_of(const laws::LawFile& laws, laws::Approach approach,
                                          const ModelPlacement& p) {
  constexpr size_t kFewestDraws = 20;
  std::vector<double> ratios;
  for (const laws::Optimum& draw : laws.drawn_optima(approach, p.flops))
    if (std::isfinite(draw.parameters)) ratios.push_back(p.parameters / draw.parameters);
  if (ratios.size() < kFewestDraws) return std::nullopt;
  laws::Interval interval = laws::holding(laws::central_interval(std::move(ratios), 0.95), p.ratio);
  const double wider = 1 + laws.decades_beyond(approach, p.flops, p.best_parameters);
  for (double* end : {&interval.low, &interval.high}) *end = p.ratio * std::pow(*end / p.ratio, wider);
  return interval;
}

ModelPlacement placed_by(const KnownModel& model, const laws::LawFile& laws, laws::Approach approach) {
  ModelPlacement p = placed(model, laws::name_of(approach), laws.basis);
  const laws::Optimum best = laws.optimum(approach, p.flops);
  settle(p, best.parameters, laws.lowest_flops, laws.highest_flops);
  p.is_beyond_law = laws.decades_beyond(approach, p.flops, best.parameters) > 0;
  p.interval = interval_of(laws, approach, p);
  if (!model.is_mlm) return p;
  p.nats_lost = penalty_of(laws, approach, best, p.parameters, p.tokens).lost;
  // The optimum's cost of the loss that the model has: by as many e-folds of C as the nats are worth.
  p.compute_lost = e_fold_at(laws, approach, p.flops).compute_of(p.nats_lost);
  return p;
}

// The preferred approach first, then the others that the points support.
std::vector<laws::Approach> approaches_of(const laws::LawFile& laws) {
  std::vector<laws::Approach> approaches;
  for (const laws::Approach approach : laws::kPlanningOrder) {
    const laws::Planning::Verdict* verdict = laws.planning.of(approach);
    if (laws.has(approach) && (!verdict || verdict->is_supported)) approaches.push_back(approach);
  }
  return approaches;
}

// How nats became compute, and for which approaches by a constant. An approach knows a loss at every C or at
// none.
std::string source_of_compute(const laws::LawFile& laws, const std::vector<laws::Approach>& approaches) {
  if (approaches.empty()) return {};
  std::string source = "compute lost: by the fall of the law's own loss from C to e·C";
  for (const laws::Approach approach : approaches)
    if (const EFold fold = e_fold_at(laws, approach, laws::kChengHigh); fold.is_constant)
      source += text("; of ", laws::name_of(approach), " by ", fold.description());
  return source;
}

std::string list_of(const std::vector<const ModelPlacement*>& placements) {
  std::vector<std::string> names;
  for (const ModelPlacement* p : placements)
    names.push_back(text(p->model->name, " by ", significant_factor(std::max(p->ratio, 1 / p->ratio))));
  return join(names, ", ");
}

std::string sentence_of(const Assessment& assessment, const std::string& law) {
  std::vector<const ModelPlacement*> small, large, undecided;
  double nats = 0;
  bool any_beyond = false;
  for (const ModelPlacement& p : assessment.placements) {
    if (p.law != law || !p.model->name.starts_with("ESM-2")) continue;
    const laws::Interval interval = p.interval.value_or(laws::Interval{p.ratio, p.ratio});
    (interval.high < 1 ? small : interval.low > 1 ? large : undecided).push_back(&p);
    if (std::isfinite(p.nats_lost)) nats = std::max(nats, p.nats_lost);
    any_beyond = any_beyond || p.is_beyond_law;
  }
  const auto part = [](const auto& models, const char* what) {
    return models.empty() ? text("none is ", what) : text(what, ": ", list_of(models));
  };
  return text("Are the ESM-2 models compute optimal? By ", law, " of ", assessment.law,
              ", for the compute spent on them: ", part(small, "too small"), "; ", part(large, "too large"),
              "; ", undecided.empty() ? "none is undecided" : "not decided: " + list_of(undecided),
              "; the worst lost about ", fixed(nats, 2), " nats",
              any_beyond ? " (some lie beyond the points: extrapolated)" : "", ".");
}

std::vector<Assessment::Downstream> downstream_of_published() {
  std::vector<double> losses, coefficients;
  for (const PublishedScore& score : published_scores())
    if (std::isfinite(score.loss)) {
      losses.push_back(score.loss);
      coefficients.push_back(score.spearman);
    }
  return {{"official ESM-2 on ProteinGym", worth_of(losses, coefficients).verdict}};
}

Json json_of_downstream(const Assessment& assessment) {
  Json published = Json::array(), verdicts = Json::array();
  for (const PublishedScore& score : published_scores()) published.push_back(to_json(score));
  for (const auto& [name, verdict] : assessment.downstream)
    verdicts.push_back({{"name", name}, {"verdict", verdict}});
  return {{"published", std::move(published)},
          {"source", published_scores_source()},
          {"worth", std::move(verdicts)}};
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

Assessment assess(const laws::LawFile& laws) {
  Assessment assessment;
  assessment.law = laws.published ? laws.published->title : laws.path;
  const std::vector<laws::Approach> approaches = approaches_of(laws);
  const laws::PublishedFrontier& cheng = laws::published_frontiers().back();
  for (const KnownModel& model : known_models()) {
    if (model.tokens <= 0) {
      assessment.placements.push_back(unplaced(model, laws.basis));
      continue;
    }
    for (const laws::Approach approach : approaches)
      assessment.placements.push_back(placed_by(model, laws, approach));
    ModelPlacement p = placed(model, "Cheng et al. 2024 (6ND)", laws::Basis());
    settle(p, cheng.coefficient_parameters * std::pow(p.flops, cheng.a), laws::kChengLow, laws::kChengHigh);
    assessment.placements.push_back(p);
  }
  assessment.compute_lost_from = source_of_compute(laws, approaches);
  assessment.downstream = downstream_of_published();
  for (const laws::Planning::Verdict& verdict : laws.planning.verdicts)
    if (!verdict.is_supported)
      assessment.left_out.push_back(text(laws::name_of(verdict.approach), ": ", verdict.why));
  assessment.sentence =
      approaches.empty()
          ? text("No approach of ", assessment.law,
                 " is supported by its points, so it places no model: ", laws.planning.reasons())
          : sentence_of(assessment, laws::name_of(approaches.front()));
  return assessment;
}

void add_trends(Assessment& assessment, const std::filesystem::path& law_file) {
  const JsonReader file = JsonReader::of_file(law_file);
  if (!file.has("downstream")) return;
  for (const JsonReader& trend : file.array("downstream"))
    assessment.downstream.push_back({trend.text("name"), trend.text("verdict")});
}

Json to_json(const Assessment& assessment) {
  Json rows = Json::array();
  for (const ModelPlacement& p : assessment.placements) {
    Json row{{"name", p.model->name},
             {"law", p.law},
             {"parameters", p.parameters},
             {"tokens", number_or_null(p.tokens)},
             {"tokens_source", p.model->tokens_source},
             {"flops", number_or_null(p.flops)},
             {"parameters_optimal", number_or_null(p.best_parameters)},
             {"ratio", number_or_null(p.ratio)},
             {"interval", nullptr},
             {"nats_lost", number_or_null(p.nats_lost)},
             {"compute_lost", number_or_null(p.compute_lost)},
             {"extrapolated", p.is_beyond_law}};
    if (p.interval) row["interval"] = {p.interval->low, p.interval->high};
    rows.push_back(std::move(row));
  }
  return {{"sentence", assessment.sentence},
          {"law", assessment.law},
          {"left_out", assessment.left_out},
          {"compute_lost_from", assessment.compute_lost_from},
          {"downstream", json_of_downstream(assessment)},
          {"models", std::move(rows)}};
}

}  // namespace esmscale::study

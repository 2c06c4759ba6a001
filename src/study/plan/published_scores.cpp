#include "esmscale/study/plan/published_scores.h"

#include "esmscale/core/text.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

std::string named(const PublishedScore& score) {
  return text(score.model, " (", fixed(score.loss, 3), " nats) ", fixed(score.spearman, 3));
}

std::string why_not_comparable(double loss, const laws::LawFile& laws) {
  if (!std::isfinite(loss)) return "the law knows no loss";
  if (laws.published) return text("the law's losses follow the protocol of ", laws.published->name);
  if (laws.basis.loss != laws::LossKind::eval_mask_only)
    return text("the law's loss is ", enum_name(laws.basis.loss),
                ", published ones are MASK only; a law by `fit --loss eval-mask-only` compares them");
  return "";
}

}  // namespace

const std::vector<PublishedScore>& published_scores() {
  static const std::vector<PublishedScore> scores{{"ESM-2 8M", 2.575, 0.226},   {"ESM-2 35M", 2.453, 0.321},
                                                  {"ESM-2 150M", 2.324, 0.387}, {"ESM-2 650M", 2.165, 0.414},
                                                  {"ESM-2 3B", 2.053, 0.406},   {"ESM-2 15B", NAN, 0.400}};
  return scores;
}

const std::string& published_scores_source() {
  static const std::string source =
      "official ESM-2: mean Spearman's coefficient over the substitution assays of ProteinGym's benchmark "
      "table, "
      "zero-shot (bootstrap errors 0.010 to 0.015); losses of the same weights under MASK only on UniRef50, "
      "by "
      "SpeedrunningPLMs (not published for 15B)";
  return source;
}

PublishedReach reach_of_published(double loss, const laws::LawFile& laws) {
  PublishedReach reach;
  if (const std::string why = why_not_comparable(loss, laws); !why.empty()) {
    reach.sentence = "not compared with published models: " + why;
    return reach;
  }
  reach.is_comparable = true;
  const PublishedScore *above = nullptr, *below = nullptr;  // losses fall along the list
  for (const PublishedScore& score : published_scores()) {
    if (score.loss >= loss) above = &score;
    if (score.loss < loss && !below) below = &score;
  }
  std::vector<std::string> named_models;
  for (const PublishedScore* score : {above, below})
    if (score) {
      reach.models.push_back(*score);
      named_models.push_back(named(*score));
    }
  reach.sentence =
      text("published models about this loss reach, on ProteinGym: ", join(named_models, ", "),
           above && below ? "" : (above ? "; none has a lower loss" : "; none has a higher loss"),
           ". Their holdout is another: this is no prediction for your model");
  return reach;
}

Json to_json(const PublishedScore& score) {
  return {
      {"name", score.model}, {"loss_mask_only", number_or_null(score.loss)}, {"spearman", score.spearman}};
}

Json to_json(const PublishedReach& reach) {
  Json models = Json::array();
  for (const PublishedScore& score : reach.models) models.push_back(to_json(score));
  return {{"comparable", reach.is_comparable}, {"sentence", reach.sentence}, {"models", std::move(models)}};
}

}  // namespace esmscale::study

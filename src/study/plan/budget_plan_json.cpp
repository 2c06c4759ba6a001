#include "esmscale/study/plan/budget_plan.h"
#include "esmscale/study/plan/published_scores.h"
#include "esmscale/study/plan/shapes.h"

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

Json of_planned(const Planned& planned) {
  Json json{{"value", number_or_null(planned.value)}, {"interval", nullptr}, {"interval_80", nullptr}};
  if (planned.ci95) json["interval"] = {planned.ci95->low, planned.ci95->high};
  if (planned.ci80) json["interval_80"] = {planned.ci80->low, planned.ci80->high};
  return json;
}

Json of_advice(const Advice& advice) {
  return {{"value", advice.value}, {"rule", advice.rule}};
}

Json of_list(const std::vector<Advice>& list) {
  Json json = Json::array();
  for (const Advice& advice : list) json.push_back(of_advice(advice));
  return json;
}

Json known(double value) {
  return value > 0 ? Json(value) : Json();
}

Json of_fewest_ranks(const std::optional<FewestRanks>& fewest) {
  if (!fewest) return nullptr;
  const bool any = fewest->ranks > 0;
  return {{"gpus", any ? Json(fewest->ranks) : Json()},
          {"zero_stage", any ? Json(fewest->zero_stage) : Json()},
          {"master_weights", any ? Json(enum_name(fewest->master_weights)) : Json()}};
}

Json of_side_by_side(const std::vector<RankPlan>& plans) {
  Json rows = Json::array();
  for (const RankPlan& p : plans)
    rows.push_back({{"gpus", p.ranks},
                    {"fits", p.fits},
                    {"memory_bytes", p.memory_bytes},
                    {"zero_stage", p.zero_stage},
                    {"master_weights", enum_name(p.master_weights)},
                    {"micro_batch_tokens", p.micro_batch_tokens},
                    {"recompute", p.recompute},
                    {"tokens_per_second", known(p.tokens_per_second)},
                    {"rate_from", p.rate_from},
                    {"days", number_or_null(p.days)}});
  return rows;
}

Json of_question(const PlanRequest& request) {
  return {{"flops", known(request.flops)},
          {"loss", known(request.loss)},
          {"parameters", known(request.parameters)},
          {"tokens", known(request.tokens)},
          {"max_tokens", known(request.max_tokens)},
          {"inference_tokens", known(request.inference_tokens)},
          {"unique_tokens", known(request.unique_tokens)}};
}

Json of_optimum(const laws::Optimum& best) {
  return {{"flops", number_or_null(best.flops)},
          {"parameters", number_or_null(best.parameters)},
          {"tokens", number_or_null(best.tokens)},
          {"loss", number_or_null(best.loss)}};
}

Json of_approaches(const BudgetPlan& plan) {
  Json rows = Json::array();
  for (const ApproachRow& row : plan.approaches)
    rows.push_back({{"approach", laws::key_of(row.approach)},
                    {"supported", row.is_supported},
                    {"why", row.why},
                    {"flops", of_planned(row.flops)},
                    {"parameters", of_planned(row.parameters)},
                    {"tokens", of_planned(row.tokens)},
                    {"loss", of_planned(row.loss)}});
  return rows;
}

Json of_published(const laws::LawFile& laws) {
  if (!laws.published) return nullptr;
  const laws::LawFile::Published& p = *laws.published;
  return {{"name", p.name},
          {"title", p.title},
          {"source", p.source},
          {"protocol", p.protocol},
          {"own_law", p.own_law}};
}

}  // namespace

Json to_json(const BudgetPlan& plan, const laws::LawFile& laws, const PlanRequest& request) {
  Json off = Json::array(), times = Json::array();
  for (const OffOptimum& row : plan.off_optimum)
    off.push_back({{"factor", row.factor},
                   {"parameters", row.parameters},
                   {"tokens", row.tokens},
                   {"nats_lost", number_or_null(row.lost)},
                   {"extra_compute", number_or_null(row.extra_compute)}});
  for (const DeviceTime& time : plan.times)
    times.push_back(
        {{"device", time.device}, {"peak_flops", time.peak}, {"days", number_or_null(time.days)}});
  return {{"asked", of_question(request)},
          {"flops", plan.flops},
          {"inference_flops", plan.inference_flops},
          {"budget", of_planned(plan.budget)},
          {"law",
           {{"file", laws.path},
            {"approach", laws::key_of(plan.approach)},
            {"why", plan.approach_why},
            {"published", of_published(laws)},
            {"flop_count", enum_name(laws.basis.flop_count)},
            {"parameter_count", enum_name(laws.basis.parameter_count)},
            {"loss", enum_name(laws.basis.loss)},
            {"holdout_label", laws.basis.holdout_label}}},
          {"optimum",
           {{"parameters", of_planned(plan.parameters)},
            {"tokens", of_planned(plan.tokens)},
            {"loss", of_planned(plan.loss)}}},
          {"loss_of_a_run", plan.loss_of_a_run.ci95 ? of_planned(plan.loss_of_a_run) : Json()},
          {"downstream", to_json(reach_of_published(plan.loss.value, laws))},
          {"noise", laws.noise > 0 ? Json(laws.noise) : Json()},
          {"holdout_error", laws.holdout_error > 0 ? Json(laws.holdout_error) : Json()},
          {"best", of_optimum(plan.best)},
          {"nats_lost", number_or_null(plan.lost)},
          {"extrapolated_decades", plan.decades_beyond},
          {"approaches", of_approaches(plan)},
          {"epochs", plan.epochs > 0 ? Json(plan.epochs) : Json()},
          {"shape",
           {{"name", shape_name(plan.shape)},
            {"layers", plan.shape.layers},
            {"width", plan.shape.width},
            {"heads", plan.shape.heads},
            {"ffn", plan.shape.ffn},
            {"parameters", plan.shape_parameters},
            {"tokens", plan.shape_tokens},
            {"nats_lost", number_or_null(plan.shape_cost)}}},
          {"lr", of_advice(plan.recipe.lr)},
          {"matrix_lr", plan.recipe.matrix_lr.value > 0 ? of_advice(plan.recipe.matrix_lr) : Json()},
          {"batch_tokens", of_advice(plan.recipe.batch_tokens)},
          {"warmup_tokens", of_advice(plan.recipe.warmup_tokens)},
          {"published_lr", of_list(plan.recipe.published_lr)},
          {"published_batch_tokens", of_list(plan.recipe.published_batch)},
          {"memory_bytes", plan.memory_bytes},
          {"fits_from", of_fewest_ranks(plan.fits_from)},
          {"times", std::move(times)},
          {"plans", of_side_by_side(plan.side_by_side)},
          {"off_optimum", std::move(off)},
          {"off_optimum_from", plan.off_optimum_from},
          {"config", config::to_json(plan.config)},
          {"warnings", plan.warnings}};
}

}  // namespace esmscale::study

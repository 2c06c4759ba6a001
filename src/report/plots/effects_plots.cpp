#include "report/plots/effects_plots.h"

#include "esmscale/core/text.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

constexpr double kShownLoss = 0.05;  // nats above the lowest; higher losses lie outside the frame

// A value above zero that is a number and nothing else; NaN otherwise.
double number_of(const std::string& value) {
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  return end == value.c_str() + value.size() && number > 0 ? number : NAN;
}

PlotPoint point_of(const study::Effect& effect, double x) {
  PlotPoint point{.x = x,
                  .y = effect.difference,
                  .title = text(effect.key, " = ", effect.value, ": ", fixed(effect.difference, 4),
                                " nats against ", effect.reference, ", ", effect.pairs, " pairs")};
  if (std::isfinite(effect.half_width)) {
    point.low = effect.difference - effect.half_width;
    point.high = effect.difference + effect.half_width;
  }
  return point;
}

// The end of a long name, where paths differ.
std::string shortened(const std::string& name) {
  constexpr size_t kMost = 16;
  return name.size() > kMost ? "…" + name.substr(name.size() - kMost) : name;
}

Axis axis_of(const std::vector<const study::Effect*>& effects, bool are_numbers) {
  const study::Effect& first = *effects.front();
  double least = number_of(first.reference);
  for (const study::Effect* effect : effects) least = std::min(least, number_of(effect->value));
  if (are_numbers) return {first.key, least < 1 ? Axis::Kind::powers : Axis::Kind::counts};
  std::vector<std::string> names{shortened(first.reference)};
  for (const study::Effect* effect : effects) names.push_back(shortened(effect->value));
  return {first.key, std::move(names)};
}

// Numbers on a logarithmic axis, others as names.
Plot effect_plot(const std::vector<const study::Effect*>& effects, const std::string& name) {
  const study::Effect& first = *effects.front();
  const bool are_numbers = std::isfinite(number_of(first.reference)) &&
                           std::all_of(effects.begin(), effects.end(), [](const study::Effect* e) {
                             return std::isfinite(number_of(e->value));
                           });
  Plot plot(name, text("Difference from ", first.key, " = ", first.reference), axis_of(effects, are_numbers),
            {"difference of the loss (nats)", Axis::Kind::linear});
  const PlotPoint reference{.x = are_numbers ? number_of(first.reference) : 0,
                            .y = 0,
                            .title = first.key + " = " + first.reference};
  std::vector<PlotPoint> points;
  for (size_t i = 0; i < effects.size(); ++i)
    if (std::isfinite(effects[i]->difference))
      points.push_back(point_of(*effects[i], are_numbers ? number_of(effects[i]->value) : double(i + 1)));
  double low = reference.x, high = reference.x;
  for (const PlotPoint& point : points) {
    low = std::min(low, point.x);
    high = std::max(high, point.x);
  }
  plot.add_line("", quiet(), {{.x = low, .y = 0}, {.x = high, .y = 0}}, true);
  plot.add_points("reference", quiet(), {reference}, true);
  plot.add_points("difference, 95% with two pairs or more", category(0), std::move(points));
  return plot;
}

std::string title_of(const study::RepeatedRun& run) {
  return text(run.name, ": ", fixed(run.loss, 4), " nats, ", human_count(run.tokens), " tokens, ",
              fixed(run.epochs(), 2), " epochs");
}

}  // namespace

std::vector<Plot> effect_plots(const std::vector<study::Effect>& effects) {
  std::vector<Plot> plots;
  for (size_t i = 0; i < effects.size();) {
    std::vector<const study::Effect*> of_key;
    for (const std::string& key = effects[i].key; i < effects.size() && effects[i].key == key; ++i)
      of_key.push_back(&effects[i]);
    if (std::any_of(of_key.begin(), of_key.end(), [](const auto* e) { return std::isfinite(e->difference); }))
      plots.push_back(effect_plot(of_key, text("effect_", plots.size())));
  }
  return plots;
}

std::vector<Plot> repeat_plots(const std::vector<study::RepeatWorth>& repeats) {
  std::vector<Plot> plots;
  for (const study::RepeatWorth& worth : repeats) {
    Plot plot(text("repeats_", plots.size()), text("What a repeated token is worth, ", worth.model),
              {"fresh tokens", Axis::Kind::counts}, {"loss (nats)", Axis::Kind::linear});
    std::vector<PlotPoint> fresh, seen, counted;
    for (const study::RepeatedRun& run : worth.runs) {
      const PlotPoint point{.x = run.tokens, .y = run.loss, .title = title_of(run)};
      (run.is_repeated() ? seen : fresh).push_back(point);
      if (!run.is_repeated() || !worth.why.empty()) continue;
      counted.push_back(point);
      counted.back().x *= worth.worth_at(run.epochs());
    }
    plot.add_points("fresh", category(0), std::move(fresh));
    plot.add_points("repeated, as seen", quiet(), std::move(seen), true);
    plot.add_points("repeated, by R*", category(1), std::move(counted));
    plots.push_back(std::move(plot));
  }
  return plots;
}

std::vector<Plot> rate_plots(const study::RateLaw& law) {
  if (law.groups.empty()) return {};
  Plot losses("rates", "Loss against the learning rate", {"optimizer.lr", Axis::Kind::powers},
              {"loss above the lowest tried (nats)", Axis::Kind::linear});
  Plot best("best_rates", "Best learning rates", {"C (FLOPs)", Axis::Kind::powers},
            {"optimizer.lr", Axis::Kind::powers});
  std::vector<PlotPoint> found;
  for (size_t i = 0; i < law.groups.size(); ++i) {
    const study::BestRate& group = law.groups[i];
    const std::string name = text(group.model, ", ", human_count(group.tokens), " tokens, batch ",
                                  human_count(group.batch_tokens));
    const double lowest =
        std::min_element(group.tried.begin(), group.tried.end(), [](const auto& a, const auto& b) {
          return a.loss < b.loss;
        })->loss;
    std::vector<PlotPoint> points;
    for (const study::TriedRate& t : group.tried)
      points.push_back(
          {.x = t.rate,
           .y = t.loss - lowest,
           .title = text(name, ", rate ", scientific(t.rate, 2), ": ", fixed(t.loss, 4), " nats")});
    const Colour colour = ramp(law.groups.size() > 1 ? double(i) / double(law.groups.size() - 1) : 0.5);
    losses.add_line("", colour, points, /*dashed=*/false, /*fits_axes=*/false);
    std::erase_if(points, [](const PlotPoint& point) { return point.y > kShownLoss; });
    losses.add_points(name, colour, std::move(points));
    if (!group.why.empty()) continue;
    found.push_back(
        {.x = group.flops, .y = group.rate, .title = text(name, ": ", scientific(group.rate, 2))});
    if (const double factor = study::interval_factor(group, law); factor > 1) {
      found.back().low = group.rate / factor;
      found.back().high = group.rate * factor;
    }
  }
  std::vector<Plot> plots{std::move(losses)};
  best.add_points("best rate, 95% by the scatter of seeds", category(0), found);
  if (!found.empty()) plots.push_back(std::move(best));
  return plots;
}

std::vector<Plot> memory_plots(const std::vector<study::RunMemory>& memory) {
  if (memory.empty()) return {};
  Plot plot("memory", "Memory of tensors", {"predicted (MiB)", Axis::Kind::counts},
            {"measured (MiB)", Axis::Kind::counts});
  constexpr double kMebibyte = 0x1p20;
  std::vector<PlotPoint> points;
  for (const study::RunMemory& m : memory)
    points.push_back({.x = m.predicted / kMebibyte,
                      .y = m.measured / kMebibyte,
                      .title = text(m.run, ": ", human_bytes(m.measured), " of ", human_bytes(m.predicted))});
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(), [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  plot.add_line("equal", quiet(), {{.x = low->x, .y = low->x}, {.x = high->x, .y = high->x}}, true);
  plot.add_points("runs", category(0), points);
  return {plot};
}

}  // namespace esmscale::report

#include "report/plots/run_plots.h"

#include "esmscale/assays/result.h"
#include "esmscale/core/text.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

namespace esmscale::report {
namespace {

constexpr size_t kNamedRuns = 10;  // with more, a legend would be longer than the picture
constexpr size_t kSamples = 240, kSamplesOfMany = 80, kMany = 20;  // of a curve, each a mean of its lines
constexpr double kSecondsPerHour = 3600;

struct Quantity {
  const char* name;  // of the plot's file and element
  const char* label;
  Axis::Kind kind;
  std::function<double(const study::RunView&, const Json&)> value;
};

Quantity keyed(const char* name, const char* label, Axis::Kind kind, std::string key) {
  return {name, label, kind, [key = std::move(key)](const study::RunView&, const Json& line) {
            return study::metric(line, key);
          }};
}

double hours(const study::RunView& run, const Json& line) {
  return (study::metric(line, "time") - study::metric(run.lines.front(), "time")) / kSecondsPerHour;
}

std::vector<Quantity> horizontal() {
  return {keyed("tokens", "tokens", Axis::Kind::counts, "tokens"),
          keyed("flops", "training FLOPs", Axis::Kind::powers, "flops"),
          keyed("steps", "steps", Axis::Kind::linear, "step"),
          {"time", "hours since the first line", Axis::Kind::linear, hours}};
}

// At most `most` means of neighbouring samples.
std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points, size_t most) {
  const size_t width = (points.size() + most - 1) / most;
  if (width <= 1) return points;
  std::vector<PlotPoint> means;
  for (size_t begin = 0; begin < points.size(); begin += width) {
    const size_t end = std::min(points.size(), begin + width);
    PlotPoint mean;
    for (size_t i = begin; i < end; ++i) {
      mean.x += points[i].x / double(end - begin);
      mean.y += points[i].y / double(end - begin);
    }
    means.push_back(mean);
  }
  return means;
}

std::vector<PlotPoint> samples(const study::RunView& run, const Quantity& x, const Quantity& y) {
  std::vector<PlotPoint> points;
  for (const Json& line : run.lines)
    if (const PlotPoint p{.x = x.value(run, line), .y = y.value(run, line)};
        std::isfinite(p.x) && std::isfinite(p.y))
      points.push_back(p);
  return points;
}

// nullopt when no run has such numbers.
std::optional<Plot> curves(const std::vector<study::RunView>& runs, const Quantity& x, const Quantity& y) {
  Plot plot(text(y.name, "_", x.name), text(y.label, " against ", x.label), {x.label, x.kind},
            {y.label, y.kind});
  const size_t most = runs.size() > kMany ? kSamplesOfMany : kSamples;
  bool is_any = false;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::vector<PlotPoint> points = samples(runs[i], x, y);
    if (points.empty()) continue;
    is_any = true;
    const Colour colour = category(int(i));
    PlotPoint last = points.back();
    last.title =
        text(runs[i].name, ": ", significant(last.y), " at ", human_count(runs[i].tokens), " tokens");
    plot.add_line(runs.size() <= kNamedRuns ? runs[i].name : "", colour, thinned(points, most));
    plot.add_points("", colour, {last});
  }
  return is_any ? std::optional(std::move(plot)) : std::nullopt;
}

PlotGroup against_all(const char* title, const std::vector<study::RunView>& runs, const Quantity& y) {
  PlotGroup group{.title = title, .plots = {}};
  for (const Quantity& x : horizontal())
    if (std::optional<Plot> plot = curves(runs, x, y)) group.plots.push_back(std::move(*plot));
  return group;
}

PlotGroup against_tokens(const char* title, const std::vector<study::RunView>& runs,
                         const std::vector<Quantity>& quantities) {
  PlotGroup group{.title = title, .plots = {}};
  for (const Quantity& y : quantities)
    if (std::optional<Plot> plot = curves(runs, horizontal().front(), y))
      group.plots.push_back(std::move(*plot));
  return group;
}

// Spearman's coefficients of the assays that runs score on their way.
PlotGroup assay_plots(const std::vector<study::RunView>& runs) {
  PlotGroup group{.title = "Assays", .plots = {}};
  for (const std::string& assay : study::assays_of(runs)) {
    const std::string label = text("Spearman, ", assay), name = text("assay", group.plots.size());
    if (std::optional<Plot> plot = curves(
            runs, horizontal().front(),
            keyed(name.c_str(), label.c_str(), Axis::Kind::linear, assays::metric_key(assay, "spearman"))))
      group.plots.push_back(std::move(*plot));
  }
  return group;
}

}  // namespace

std::vector<PlotGroup> run_plots(const std::vector<study::RunView>& runs) {
  constexpr auto kLinear = Axis::Kind::linear;
  const auto memory = [](const study::RunView&, const Json& line) {
    return study::metric(line, "memory_bytes") / 0x1p30;
  };
  std::vector<PlotGroup> groups{
      against_all("Holdout loss", runs, keyed("holdout", "holdout loss (nats)", kLinear, "eval/loss")),
      against_tokens("Holdout, other figures", runs,
                     {keyed("mask_only", "loss, mask only (nats)", kLinear, "eval/loss_mask_only"),
                      keyed("accuracy", "accuracy", kLinear, "eval/accuracy")}),
      against_all("Training loss", runs, keyed("train", "training loss (nats)", kLinear, "train/loss")),
      against_tokens("Optimisation", runs,
                     {keyed("rate", "learning rate", kLinear, "train/learning_rate"),
                      keyed("norm", "gradient norm", Axis::Kind::powers, "train/grad_norm")}),
      against_tokens("Layers", runs,
                     {keyed("moved", "largest update / weight of a layer", Axis::Kind::powers,
                            "layers/largest_update_ratio"),
                      keyed("logit", "largest attention logit", Axis::Kind::powers, "layers/largest_logit")}),
      against_tokens("Speed and memory", runs,
                     {keyed("speed", "tokens/s", kLinear, "train/tokens_per_second"),
                      keyed("mfu", "MFU", kLinear, "train/mfu"),
                      {"memory", "resident memory (GiB)", kLinear, memory},
                      keyed("wait", "wait for data (s)", kLinear, "train/loader_wait_seconds"),
                      keyed("communication", "wait for communication (s)", kLinear,
                            "train/communication_wait_seconds")}),
      assay_plots(runs)};
  std::erase_if(groups, [](const PlotGroup& group) { return group.plots.empty(); });
  return groups;
}

}  // namespace esmscale::report

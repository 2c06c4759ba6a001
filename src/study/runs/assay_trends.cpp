#include "esmscale/study/runs/assay_trends.h"

#include "esmscale/assays/result.h"
#include "esmscale/core/error.h"
#include "esmscale/core/json_line.h"
#include "esmscale/core/text.h"
#include "esmscale/laws/laws_json.h"
#include "esmscale/run/metrics.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/runs/run_view.h"
#include "study/runs/finished_run.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

namespace esmscale::study {
namespace {

namespace fs = std::filesystem;

// A run of the fit and what it scored.
struct ScoredRun {
  laws::Point point;
  std::vector<Json> lines;
  std::vector<assays::AssayResult> results;  // at its end
};

// A point knows the name of its run's folder, which folders elsewhere may share, and how the run ended.
bool is_of(const laws::Point& point, const std::string& name, const Json& last, laws::LossKind loss) {
  return point.run == name && point.tokens == number_in(last, "tokens") &&
         (loss == laws::LossKind::train || point.loss == number_in(last, loss_key(loss)));
}

std::optional<ScoredRun> scored_run(const fs::path& folder, const laws::PointSet& set) {
  const fs::path metrics = run::RunFolder(folder).metrics();
  const std::string name = fs::weakly_canonical(folder).filename().string();
  const auto has_name = [&](const laws::Point& point) { return point.run == name; };
  if (std::none_of(set.points.begin(), set.points.end(), has_name) || !fs::exists(metrics)) return {};
  ScoredRun run{.point = {}, .lines = run::read_metrics(metrics), .results = {}};
  if (run.lines.empty()) return {};
  const auto point = std::find_if(set.points.begin(), set.points.end(), [&](const laws::Point& candidate) {
    return is_of(candidate, name, run.lines.back(), set.basis.loss);
  });
  run.results = assays::results_of_metrics(run.lines.back());
  if (point == set.points.end() || run.results.empty()) return {};
  run.point = *point;
  return run;
}

std::vector<ScoredRun> scored_runs(const std::vector<fs::path>& paths, const laws::PointSet& set) {
  std::vector<ScoredRun> runs;
  for (const fs::path& path : paths)
    for (const fs::path& folder : find_runs(path))
      if (std::optional<ScoredRun> run = scored_run(folder, set)) runs.push_back(std::move(*run));
  return runs;
}

std::vector<AssayPoint::Sample> path_of(const ScoredRun& run, const std::string& assay, laws::LossKind loss) {
  std::vector<AssayPoint::Sample> path;
  if (loss == laws::LossKind::train) return path;  // a training loss is not of the same moment
  for (const Json& line : run.lines) {
    const AssayPoint::Sample sample{number_in(line, loss_key(loss)),
                                    number_in(line, assays::metric_key(assay, "spearman"))};
    if (std::isfinite(sample.loss) && std::isfinite(sample.spearman)) path.push_back(sample);
  }
  return path;
}

// Other data or another method under the same name is another quantity.
class OneTask {
 public:
  explicit OneTask(bool allow_mixed) : allow_mixed_(allow_mixed) {}

  void require(const assays::AssayResult& result, const std::string& run) {
    const auto [first, is_new] = seen_.try_emplace(result.name, Seen{result.hash, result.method, run});
    if (is_new || allow_mixed_ ||
        (first->second.hash == result.hash && first->second.method == result.method))
      return;
    const auto shown = [](const std::string& hash, const std::string& method, const std::string& of) {
      return text(method, " of the data ", hash.substr(0, 8), " (", of, ")");
    };
    throw Error({.where = text("the assay ", result.name),
                 .expected = "the same data and method in all runs",
                 .found = text(shown(first->second.hash, first->second.method, first->second.run), " and ",
                               shown(result.hash, result.method, run)),
                 .advice = "fit them apart, or ask for it with --allow-mixed"});
  }

 private:
  struct Seen {
    std::string hash, method, run;
  };
  bool allow_mixed_;
  std::map<std::string, Seen> seen_;
};

// Proteins are independent: squares of errors add.
std::optional<AssayTrend> mean_of(const std::map<std::string, AssayTrend>& trends) {
  if (trends.size() < 2) return std::nullopt;
  const auto count = double(trends.size());
  std::map<std::string, std::pair<AssayPoint, size_t>> sums;  // by run
  for (const auto& [name, trend] : trends)
    for (const AssayPoint& point : trend.points) {
      auto& [sum, assays] = sums.try_emplace(point.of.run, AssayPoint{.of = point.of}, 0).first->second;
      sum.spearman += point.spearman / count;
      sum.error += point.error * point.error / (count * count);
      ++assays;
    }
  AssayTrend mean{.name = text("mean of ", trends.size(), " assays"),
                  .method = trends.begin()->second.method,
                  .points = {},
                  .worth = {}};
  for (auto& [run, sum] : sums)
    if (sum.second == trends.size()) {
      sum.first.error = std::sqrt(sum.first.error);
      mean.points.push_back(sum.first);
    }
  if (mean.points.empty()) return std::nullopt;
  return mean;
}

void settle(AssayTrend& trend) {
  std::sort(trend.points.begin(), trend.points.end(),
            [](const AssayPoint& a, const AssayPoint& b) { return a.of.loss > b.of.loss; });
  std::vector<double> losses, coefficients;
  for (const AssayPoint& point : trend.points) {
    losses.push_back(point.of.loss);
    coefficients.push_back(point.spearman);
  }
  trend.worth = worth_of(losses, coefficients);
}

Json to_json(const Worth& worth) {
  Json json{{"slope", number_or_null(worth.slope)},
            {"slope_error", number_or_null(worth.slope_error)},
            {"saturation", nullptr},
            {"verdict", worth.verdict}};
  if (const auto& end = worth.saturation)
    json["saturation"] = {
        {"loss", end->loss}, {"interval", {end->low, end->high}}, {"spearman", end->spearman}};
  return json;
}

}  // namespace

std::vector<AssayTrend> assay_trends(const std::vector<fs::path>& paths, const laws::PointSet& set,
                                     bool allow_mixed) {
  std::map<std::string, AssayTrend> by_name;
  OneTask task(allow_mixed);
  for (const ScoredRun& run : scored_runs(paths, set))
    for (const assays::AssayResult& result : run.results) {
      if (!std::isfinite(result.spearman.value)) continue;
      task.require(result, run.point.run);
      AssayTrend& trend = by_name[result.name];
      trend.name = result.name;
      trend.method = result.method;
      trend.points.push_back({.of = run.point,
                              .spearman = result.spearman.value,
                              .error = result.spearman.error,
                              .path = path_of(run, result.name, set.basis.loss)});
    }
  std::vector<AssayTrend> trends;
  if (std::optional<AssayTrend> mean = mean_of(by_name)) trends.push_back(std::move(*mean));
  for (auto& [name, trend] : by_name) trends.push_back(std::move(trend));
  for (AssayTrend& trend : trends) settle(trend);
  return trends;
}

Json to_json(const std::vector<AssayTrend>& trends) {
  Json rows = Json::array();
  for (const AssayTrend& trend : trends) {
    Json points = Json::array();
    for (const AssayPoint& point : trend.points)
      points.push_back({{"run", point.of.run},
                        {"loss", point.of.loss},
                        {"parameters", point.of.parameters},
                        {"tokens", point.of.tokens},
                        {"flops", point.of.flops},
                        {"spearman", point.spearman},
                        {"spearman_error", number_or_null(point.error)}});
    Json row{{"name", trend.name}, {"method", trend.method}};
    row.update(to_json(trend.worth));
    row["points"] = std::move(points);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace esmscale::study

#include "esmscale/downstream/benchmark.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace esmscale::downstream {
namespace {

namespace fs = std::filesystem;
using Results = std::vector<assays::AssayResult>;  // of one assay, by model

constexpr const char* kFormat = "esmscale proteingym";
constexpr int kVersion = 1;

assays::Assay read(const assays::BenchmarkEntry& entry) {
  assays::Assay assay = assays::read_assay(entry.file, entry.target, {.needs_measured = true});
  assay.name = entry.id;
  return assay;
}

// proteingym.json: the request, and the results so far.
class State {
 public:
  explicit State(const BenchmarkOptions& options) : options_(options) {
    if (!is_kept()) return;
    std::error_code ignored;
    const bool is_ours = fs::exists(path(), ignored);
    if (is_ours && take_up(JsonReader::of_file(path()))) return;
    if (fs::exists(options.output, ignored) && !fs::is_empty(options.output, ignored) &&
        !(is_ours && options.force))
      throw Error(
          {.where = options.output.string(),
           .expected = "an empty folder, or one that the same command began",
           .found = is_ours ? "results of other models or options" : "other files",
           .advice = is_ours ? "give another --output, or --force to replace it" : "give another --output"});
    make_own_folder(options.output);
    remove_tree(options.output / "scores");
    make_own_folder(options.output / "scores");
    write();
  }

  // nullptr when this assay, or these data of it, were not scored.
  const Results* find(const std::string& id, const std::string& hash) const {
    const auto found = done_.find(id);
    return found != done_.end() && found->second.front().hash == hash ? &found->second : nullptr;
  }

  void add(const assays::Assay& assay, Results results, std::span<const std::vector<double>> scores) {
    done_[assay.name] = std::move(results);
    if (!is_kept()) return;
    write_file(options_.output / "scores" / (assay.name + ".csv"),
               assays::with_columns(assay.table, options_.columns, scores));
    write();
  }

 private:
  bool is_kept() const { return !options_.output.empty(); }
  fs::path path() const { return options_.output / "proteingym.json"; }

  bool take_up(const JsonReader& found) {
    found.require_format(kFormat, kVersion);
    if (found.at("request").json() != options_.request) return false;
    for (const auto& [id, rows] : found.object("done").members()) {
      Results results;
      for (const JsonReader& row : rows.elements()) results.push_back(assays::result_of_json(row.json()));
      if (results.size() == options_.columns.size()) done_[id] = std::move(results);
    }
    return true;
  }

  void write() const {
    Json done = Json::object();
    for (const auto& [id, results] : done_) {
      done[id] = Json::array();
      for (const assays::AssayResult& result : results) done[id].push_back(assays::to_json(result));
    }
    write_file(path(), to_text(Json{{"format", kFormat},
                                    {"version", kVersion},
                                    {"request", options_.request},
                                    {"done", std::move(done)}},
                               1) +
                           "\n");
  }

  const BenchmarkOptions& options_;
  std::map<std::string, Results> done_;
};

class Benchmark {
 public:
  Benchmark(std::span<const assays::BenchmarkEntry> entries, std::span<const BenchmarkModel> models,
            const BenchmarkOptions& options)
      : entries_(entries), models_(models), options_(options) {
    for (const assays::BenchmarkEntry& entry : entries_) survey(read(entry));
    state_.emplace(options_);
  }

  std::vector<Results> run() {
    std::vector<Results> by_entry;
    for (const assays::BenchmarkEntry& entry : entries_) {
      const std::string& hash = surveyed_.at(entry.id).hash;
      if (!state_->find(entry.id, hash)) score(entry, hash);
      by_entry.push_back(*state_->find(entry.id, hash));
    }
    return by_entry;
  }

  // Rows of the assays that are left.
  void count_rows() {
    for (const assays::BenchmarkEntry& entry : entries_) {
      const Surveyed& found = surveyed_.at(entry.id);
      if (!state_->find(entry.id, found.hash)) total_rows_ += found.rows;
    }
  }

 private:
  struct Surveyed {
    std::string hash;
    double rows = 0;
  };

  void survey(const assays::Assay& assay) {
    double rows = 0;
    for (const BenchmarkModel& model : models_) {
      require_scorable(assay, model.options.method);
      rows += static_cast<double>(cost(assay, model.options).rows);
    }
    assays::with_columns(assay.table, options_.columns, {});  // an Error about a column comes before the work
    surveyed_[assay.name] = {.hash = assay.hash, .rows = rows};
  }

  std::vector<double> scores_by(const BenchmarkModel& model, const assays::Assay& assay) {
    VariantOptions how = model.options;
    const ScoreCost whole = cost(assay, how);
    const double rows_of_pass =
        static_cast<double>(whole.rows) / static_cast<double>(std::max<int64_t>(1, whole.passes));
    how.progress = [&](double passes) {
      if (options_.progress) options_.progress(done_rows_ + passes * rows_of_pass, total_rows_, assay.name);
    };
    std::vector<double> scores = score_variants(model.engine, model.config, assay, how);
    done_rows_ += static_cast<double>(whole.rows);
    for (const double score : scores)
      if (!std::isfinite(score))
        throw Error({.where = assay.name,
                     .expected = "a model whose log-probabilities are numbers",
                     .found = "a score of NaN",
                     .advice = "use an earlier checkpoint"});
    return scores;
  }

  void score(const assays::BenchmarkEntry& entry, const std::string& hash) {
    const assays::Assay assay = read(entry);
    if (assay.hash != hash)
      throw Error({.where = entry.file.string(),
                   .expected = "the table that this work began with",
                   .found = "other data"});
    std::vector<std::vector<double>> scores;
    Results results;
    for (const BenchmarkModel& model : models_) {
      scores.push_back(scores_by(model, assay));
      results.push_back(assays::assess(assay, std::string(enum_name(model.options.method)),
                                       std::vector<std::vector<double>>{scores.back()}, options_.bootstrap)
                            .results.front());
    }
    state_->add(assay, std::move(results), scores);
  }

  std::span<const assays::BenchmarkEntry> entries_;
  std::span<const BenchmarkModel> models_;
  const BenchmarkOptions& options_;
  std::map<std::string, Surveyed> surveyed_;
  std::optional<State> state_;
  double done_rows_ = 0, total_rows_ = 0;
};

}  // namespace

std::vector<std::vector<assays::AssayResult>> score_benchmark(std::span<const assays::BenchmarkEntry> entries,
                                                              std::span<const BenchmarkModel> models,
                                                              const BenchmarkOptions& options) {
  Benchmark benchmark(entries, models, options);
  benchmark.count_rows();
  const std::vector<Results> by_entry = benchmark.run();
  std::vector<std::vector<assays::AssayResult>> by_model(models.size());
  for (size_t m = 0; m < models.size(); ++m)
    for (const Results& of_entry : by_entry) by_model[m].push_back(of_entry[m]);
  return by_model;
}

}  // namespace esmscale::downstream

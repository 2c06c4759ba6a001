#include "esmscale/eval/per_sequence.h"

#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/json_reader.h"
#include "esmscale/core/text.h"

#include <sstream>

#include <nlohmann/json.hpp>

namespace esmscale::eval {
namespace {

// Files of earlier versions end there.
constexpr std::string_view kFirstColumns =
    "sequence\tidentifier\tpattern\ttokens\tmasked\tloss_sum\tbaseline_sum\thits";
constexpr std::string_view kInnerColumns = "\tinner_masked\tinner_loss_sum\tinner_baseline_sum";
constexpr size_t kFewestCells = 8, kCells = 11;

// Of one sequence: far above any, and small enough that the sum over all sequences fits into 64 bits.
int64_t count_in(const std::string& cell, const std::string& where) {
  constexpr int64_t kMost = int64_t{1} << 32;
  const auto count = parse_number<int64_t>(cell, where);
  if (count < 0 || count > kMost)
    throw Error({.where = where, .expected = text("a whole number from 0 to ", kMost), .found = cell});
  return count;
}

constexpr std::string_view kIdentityMark = "# ";

std::string line_of(const EvaluationIdentity& identity) {
  return text(kIdentityMark, esmscale::to_text(Json{{"step", identity.step},
                                                    {"holdout_hash", identity.holdout_hash},
                                                    {"mlm_probability", identity.mlm_probability},
                                                    {"draws", identity.draws},
                                                    {"precision", identity.precision}}));
}

EvaluationIdentity identity_in(const std::string& line, const std::string& where) {
  const JsonReader json(parse_json(std::string_view(line).substr(kIdentityMark.size()), where), where);
  return {.step = json.integer("step"),
          .holdout_hash = json.text("holdout_hash"),
          .mlm_probability = json.number("mlm_probability"),
          .draws = json.integer("draws", 1),
          .precision = json.text("precision")};
}

}  // namespace

EvaluationIdentity identity_of(const EvaluationReport& report) {
  return {.step = report.step,
          .holdout_hash = report.holdout_hash,
          .mlm_probability = report.mlm_probability,
          .draws = report.draws,
          .precision = report.precision};
}

double PerSequence::loss() const {
  return summarise(scores).loss.value;
}

void write_per_sequence(const std::filesystem::path& file, const Evaluation& evaluation,
                        const data::Dataset& holdout, const std::optional<EvaluationIdentity>& identity) {
  std::ostringstream lines;
  lines.precision(17);
  if (identity) lines << line_of(*identity) << '\n';
  lines << kFirstColumns << kInnerColumns << '\n';
  data::SequenceReader reader(holdout);
  const auto add = [&](const std::vector<SequenceScore>& scores, data::MaskPattern pattern) {
    for (const SequenceScore& s : scores)
      lines << s.sequence << '\t' << reader.identifier(s.sequence) << '\t' << enum_name(pattern) << '\t'
            << s.tokens << '\t' << s.masked << '\t' << s.loss << '\t' << s.baseline << '\t' << s.hits << '\t'
            << s.inner_masked << '\t' << s.inner_loss << '\t' << s.inner_baseline << '\n';
  };
  add(evaluation.bert_scores, data::MaskPattern::bert);
  add(evaluation.mask_only_scores, data::MaskPattern::mask_only);
  write_file(file, lines.str());
}

PerSequence read_per_sequence(const std::filesystem::path& file) {
  std::istringstream lines(read_file(file));
  PerSequence result;
  std::string line;
  int64_t number = 1;
  if (std::getline(lines, line) && line.starts_with(kIdentityMark)) {
    result.identity = identity_in(line, text(file.string(), ":1"));
    std::getline(lines, line);
    ++number;
  }
  const bool has_inner = line == text(kFirstColumns, kInnerColumns);
  if (!has_inner && line != kFirstColumns)
    throw Error({.where = file.string(),
                 .expected = "scores by sequence",
                 .found = "another file",
                 .advice = "write them: esmscale eval --checkpoint RUN --per-sequence FILE"});
  while (std::getline(lines, line)) {
    ++number;
    const std::string where = text(file.string(), ":", number);
    const std::vector<std::string> cells = cells_of(line, '\t');
    if (const size_t expected = has_inner ? kCells : kFewestCells; cells.size() != expected)
      throw Error({.where = where, .expected = text(expected, " cells"), .found = text(cells.size())});
    if (cells[2] != enum_name(data::MaskPattern::bert)) continue;
    SequenceScore score;
    score.sequence = count_in(cells[0], where);
    score.tokens = count_in(cells[3], where);
    score.masked = count_in(cells[4], where);
    score.loss = parse_number<double>(cells[5], where);
    score.baseline = parse_number<double>(cells[6], where);
    score.hits = count_in(cells[7], where);
    if (has_inner) {
      score.inner_masked = count_in(cells[8], where);
      score.inner_loss = parse_number<double>(cells[9], where);
      score.inner_baseline = parse_number<double>(cells[10], where);
    }
    result.scores.push_back(score);
  }
  return result;
}

}  // namespace esmscale::eval

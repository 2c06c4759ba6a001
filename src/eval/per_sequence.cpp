#include "esmscale/eval/per_sequence.h"

#include "esmscale/core/csv.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"

#include <charconv>
#include <sstream>

namespace esmscale::eval {
namespace {

constexpr const char* kHeader = "sequence\tidentifier\tpattern\ttokens\tmasked\tloss_sum\tbaseline_sum\thits";
constexpr size_t kColumns = 8;

template <class Number>
Number number_in(const std::string& cell, const std::string& where) {
  Number number{};
  const auto [end, problem] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (problem != std::errc() || end != cell.data() + cell.size())
    throw Error({.where = where, .expected = "a number", .found = text("'", cell, "'")});
  return number;
}

}  // namespace

void write_per_sequence(const std::filesystem::path& file, const Evaluation& evaluation,
                        const data::Dataset& holdout) {
  std::ostringstream lines;
  lines.precision(17);
  lines << kHeader << '\n';
  data::SequenceReader reader(holdout);
  const auto add = [&](const std::vector<SequenceScore>& scores, const char* pattern) {
    for (const SequenceScore& s : scores)
      lines << s.sequence << '\t' << reader.identifier(s.sequence) << '\t' << pattern << '\t' << s.tokens
            << '\t' << s.masked << '\t' << s.loss << '\t' << s.baseline << '\t' << s.hits << '\n';
  };
  add(evaluation.bert_scores, "bert");
  add(evaluation.mask_only_scores, "mask-only");
  write_file(file, lines.str());
}

std::vector<SequenceScore> read_per_sequence(const std::filesystem::path& file) {
  std::istringstream lines(read_file(file));
  std::string line;
  if (!std::getline(lines, line) || line != kHeader)
    throw Error({.where = file.string(),
                 .expected = "scores by sequence",
                 .found = "another file",
                 .advice = "write them: esmscale eval --checkpoint RUN --per-sequence FILE"});
  std::vector<SequenceScore> scores;
  for (int64_t number = 2; std::getline(lines, line); ++number) {
    const std::string where = text(file.string(), ":", number);
    const std::vector<std::string> cells = cells_of(line, '\t');
    if (cells.size() != kColumns)
      throw Error({.where = where, .expected = text(kColumns, " cells"), .found = text(cells.size())});
    if (cells[2] != "bert") continue;
    SequenceScore score;
    score.sequence = number_in<int64_t>(cells[0], where);
    score.tokens = number_in<int64_t>(cells[3], where);
    score.masked = number_in<int64_t>(cells[4], where);
    score.loss = number_in<double>(cells[5], where);
    score.baseline = number_in<double>(cells[6], where);
    score.hits = number_in<int64_t>(cells[7], where);
    scores.push_back(score);
  }
  return scores;
}

}  // namespace esmscale::eval

#include "esmscale/assays/assay.h"

#include "assays/variant_reader.h"
#include "esmscale/core/checksum.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/data/fasta/fasta.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

namespace esmscale::assays {
namespace {

namespace fs = std::filesystem;

// Where an assay's columns are.
class Reader {
 public:
  Reader(const CsvTable& table, std::span<const uint8_t> target, const AssayOptions& options)
      : table_(table),
        target_(target),
        options_(options),
        mutant_(table.find(options.mutant_column)),
        sequence_(table.find(options.sequence_column)) {
    if (!mutant_ && !sequence_)
      throw Error(
          {.where = table.where(),
           .expected = text("a column '", options.mutant_column, "' or '", options.sequence_column, "'"),
           .found = text("the columns ", join(table.header(), ", ")),
           .advice = "name the column with --mutant-column or --sequence-column"});
    if (table.rows().empty())
      throw Error({.where = table.where(), .expected = "at least one variant", .found = "no row"});
  }

  Variant variant(const CsvRow& row) const { return variant(row, options_.offset); }

  std::vector<Variant> variants() const {
    std::vector<Variant> all;
    std::map<std::string, size_t> lines;
    for (const CsvRow& row : table_.rows()) {
      all.push_back(variant(row));
      const auto [first, is_new] = lines.try_emplace(key_of(all.back()), row.line);
      if (!is_new)
        throw Error({.where = table_.place(row, mutant_.value_or(sequence_.value_or(0))),
                     .expected = "each variant once",
                     .found = text("the variant of line ", first->second, " again"),
                     .advice = "average the two rows, or leave one of them out"});
    }
    return all;
  }

 private:
  Variant variant(const CsvRow& row, int64_t offset) const {
    const std::string* sequence = sequence_ ? &row.cells[*sequence_] : nullptr;
    const bool by_mutant = mutant_ && (!sequence || sequence->size() == target_.size());
    size_t column = by_mutant ? *mutant_ : *sequence_;
    try {
      Variant result =
          by_mutant ? parse_mutant(row.cells[column], target_, offset) : compare_sequence(*sequence, target_);
      if (by_mutant && sequence) {
        column = *sequence_;
        if (key_of(compare_sequence(*sequence, target_)) != key_of(result))
          throw BadVariant{.expected = text("the sequence of ", row.cells[*mutant_]), .found = "another one"};
      }
      return result;
    } catch (const BadVariant& bad) {
      throw Error({.where = table_.place(row, column),
                   .expected = bad.expected,
                   .found = bad.found,
                   .advice = bad.is_disagreement ? advice_of_offset() : bad.advice});
    }
  }

  // By number the letter that the mutants of all rows say the target has there; none where rows contradict
  // each other or are wrong at every offset.
  using NumberedLetters = std::vector<std::pair<int64_t, uint8_t>>;
  NumberedLetters letters_by_number() const {
    std::map<int64_t, uint8_t> letters;
    for (const CsvRow& row : table_.rows()) {
      if (sequence_ && row.cells[*sequence_].size() != target_.size()) continue;
      try {
        for (const Substitution& written : written_substitutions(row.cells[*mutant_]))
          if (letters.try_emplace(written.position, written.from).first->second != written.from) return {};
      } catch (const BadVariant&) {
        return {};
      }
    }
    return {letters.begin(), letters.end()};
  }

  bool agree(const NumberedLetters& letters, int64_t offset) const {
    return std::all_of(letters.begin(), letters.end(), [&](const auto& letter) {
      const int64_t position = letter.first - offset - 1;
      return position >= 0 && position < static_cast<int64_t>(target_.size()) &&
             target_[static_cast<size_t>(position)] == letter.second;
    });
  }

  // Rows are read once, or a table of many rows would be read thousands of times.
  std::string advice_of_offset() const {
    constexpr int64_t kFarthest = 3000;
    const NumberedLetters letters = letters_by_number();
    for (int64_t offset = 0; offset <= kFarthest && !letters.empty(); ++offset)
      for (const int64_t signed_offset : {offset, -offset})
        if (agree(letters, signed_offset))
          return text("give --offset ", signed_offset, ": with it all rows agree with the sequence");
    return "check that the sequence is the assay's wild type; no --offset makes all rows agree";
  }

  const CsvTable& table_;
  std::span<const uint8_t> target_;
  const AssayOptions& options_;
  std::optional<size_t> mutant_, sequence_;
};

double number_in(const CsvTable& table, const CsvRow& row, size_t column) {
  return parse_number<double>(row.cells[column], table.place(row, column),
                              "leave the row out where nothing was measured");
}

std::vector<double> numbers_of(const CsvTable& table, size_t column) {
  std::vector<double> numbers;
  for (const CsvRow& row : table.rows()) numbers.push_back(number_in(table, row, column));
  return numbers;
}

std::vector<double> read_measured(const CsvTable& table, const AssayOptions& options) {
  if (!options.needs_measured && !table.find(options.measured_column)) return {};
  std::vector<double> measured = numbers_of(table, table.at(options.measured_column));
  const auto [least, most] = std::minmax_element(measured.begin(), measured.end());
  if (*least == *most)
    throw Error({.where = text(table.where(), ", column ", options.measured_column),
                 .expected = "scores that differ between variants",
                 .found = text(*least, " in every row"),
                 .advice = "name another column, or leave the column out to compute scores only"});
  return measured;
}

std::vector<uint8_t> read_bins(const CsvTable& table, const AssayOptions& options) {
  const auto column = table.find(options.bin_column);
  if (!column) return {};
  std::vector<uint8_t> bins;
  for (const CsvRow& row : table.rows()) {
    const double value = number_in(table, row, *column);
    if (value != 0 && value != 1)
      throw Error({.where = table.place(row, *column), .expected = "0 or 1", .found = row.cells[*column]});
    bins.push_back(value == 1);
  }
  return bins;
}

// The target that a row's sequence has when its mutant is taken back.
std::vector<uint8_t> taken_back(const CsvTable& table, const AssayOptions& options) {
  const auto mutant = table.find(options.mutant_column), sequence = table.find(options.sequence_column);
  if (!mutant || !sequence || table.rows().empty()) return {};
  const CsvRow& row = table.rows().front();
  try {
    std::vector<uint8_t> target = parse_residues(row.cells[*sequence]);
    std::string_view rest = row.cells[*mutant];
    while (!rest.empty()) {
      const std::string_view one = rest.substr(0, rest.find(':'));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      if (one.size() < 3) return {};
      int64_t number = 0;
      std::from_chars(one.data() + 1, one.data() + one.size(), number);
      if (!is_residue_number(number)) return {};
      const int64_t position = number - options.offset - 1;
      if (position < 0 || position >= static_cast<int64_t>(target.size())) return {};
      target[static_cast<size_t>(position)] = parse_residues(one.substr(0, 1)).front();
    }
    return target;
  } catch (const BadVariant&) {
    return {};
  }
}

std::string hash_of(const Assay& assay) {
  RunningChecksum sum;
  sum.add(bytes_of(std::span(assay.target)));
  for (const Variant& variant : assay.variants) sum.add(bytes_of(key_of(variant) + "\n"));
  sum.add(bytes_of(std::span(assay.measured)));
  return sum.hex();
}

}  // namespace

Assay read_assay(const fs::path& file, std::vector<uint8_t> target, const AssayOptions& options) {
  Assay assay{.name = file.stem().string(),
              .table = CsvTable::of_file(file),
              .target = std::move(target),
              .variants = {},
              .measured = {},
              .is_fit = {},
              .hash = {}};
  assay.variants = Reader(assay.table, assay.target, options).variants();
  assay.measured = read_measured(assay.table, options);
  assay.is_fit = read_bins(assay.table, options);
  assay.hash = hash_of(assay);
  return assay;
}

std::vector<uint8_t> target_from(const std::string& fasta_or_residues) {
  std::error_code ignored;
  if (!fs::exists(fasta_or_residues, ignored)) {
    try {
      if (!fasta_or_residues.empty()) return parse_residues(fasta_or_residues);
    } catch (const BadVariant&) {
    }
    throw usage_error({.where = "--sequence",
                       .expected = "a FASTA file or the residues of the assay's protein",
                       .found = text("'", fasta_or_residues, "', which is neither")});
  }
  data::FastaCounts counts;
  data::FastaReader reader(fasta_or_residues, counts);
  data::FastaRecord record, second;
  if (!reader.next(record) || record.residues.empty())
    throw Error({.where = fasta_or_residues, .expected = "one protein", .found = "none"});
  if (reader.next(second))
    throw Error({.where = fasta_or_residues,
                 .expected = "one protein: the assay's wild type",
                 .found = text(record.identifier, " and ", second.identifier),
                 .advice = "write the wild type into a file of its own"});
  return std::move(record.residues);
}

std::vector<uint8_t> find_target(const fs::path& file, const AssayOptions& options) {
  const fs::path fasta = fs::path(file).replace_extension(".fasta");
  std::error_code ignored;
  if (fs::exists(fasta, ignored)) return target_from(fasta.string());
  require_no_pipe(file, "it is read again for its variants where --sequence does not give the wild type");
  std::vector<uint8_t> target = taken_back(CsvTable::of_file(file), options);
  if (!target.empty()) return target;
  throw usage_error(
      {.where = file.string(),
       .expected = text("the wild type: ", fasta.filename().string(), " beside it, or columns '",
                        options.mutant_column, "' and '", options.sequence_column, "'"),
       .found = "neither",
       .advice = "write the protein's sequence to that FASTA file, or give --sequence to `score`"});
}

std::string with_columns(const CsvTable& table, std::span<const std::string> columns,
                         std::span<const std::vector<double>> values) {
  std::vector<std::string> cells = table.header();
  for (const std::string& column : columns)
    if (std::find(cells.begin(), cells.end(), column) == cells.end())
      cells.push_back(column);
    else
      throw usage_error({.where = table.where(),
                         .expected = text("no column '", column, "' yet"),
                         .found = "one",
                         .advice = "name the new column with --score-column"});
  std::string content = csv_line(cells);
  for (size_t i = 0; i < table.rows().size(); ++i) {
    cells = table.rows()[i].cells;
    for (const std::vector<double>& column : values) {
      std::ostringstream number;
      number.precision(17);
      number << column[i];
      cells.push_back(number.str());
    }
    content += csv_line(cells);
  }
  return content;
}

}  // namespace esmscale::assays

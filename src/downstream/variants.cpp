#include "esmscale/downstream/variants.h"

#include "downstream/passes.h"
#include "downstream/window.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>

namespace esmscale::downstream {
namespace {

int64_t rows_of(std::span<const uint8_t> residues) {
  return static_cast<int64_t>(residues.size()) + 2;
}

std::vector<int64_t> mutated_positions(const assays::Assay& assay) {
  std::vector<int64_t> positions;
  for (const assays::Variant& variant : assay.variants)
    for (const assays::Substitution& s : variant.substitutions) positions.push_back(s.position);
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

std::vector<uint8_t> residues_of(const assays::Assay& assay, const assays::Variant& variant) {
  if (variant.changes_length()) return variant.residues;
  std::vector<uint8_t> residues = assay.target;
  for (const assays::Substitution& s : variant.substitutions)
    residues[static_cast<size_t>(s.position)] = s.to;
  return residues;
}

class Scorer {
 public:
  Scorer(model::Engine& engine, const config::ModelConfig& model, const assays::Assay& assay,
         const VariantOptions& options)
      : engine_(engine),
        model_(model),
        tokens_(data::TokenList::of(model.alphabet)),
        assay_(assay),
        options_(options) {}

  // log p of every letter at each mutated position, then sums of differences.
  std::vector<double> marginals() {
    const std::vector<int64_t> positions = mutated_positions(assay_);
    std::vector<at::Tensor> log_p_V(assay_.target.size());
    if (options_.method == ScoreMethod::masked_marginals)
      read_masked(positions, log_p_V);
    else if (!positions.empty())
      read_as_is(positions, log_p_V);
    std::vector<double> scores;
    for (const assays::Variant& variant : assay_.variants) {
      double score = 0;
      for (const assays::Substitution& s : variant.substitutions) {
        const double* log_p = log_p_V[static_cast<size_t>(s.position)].const_data_ptr<double>();
        score += log_p[tokens_.letter(s.to)] - log_p[tokens_.letter(s.from)];
      }
      scores.push_back(score);
    }
    return scores;
  }

  std::vector<double> pseudo_likelihoods() {
    const double of_target = pseudo_likelihood(assay_.target);
    std::vector<double> scores;
    for (const assays::Variant& variant : assay_.variants) {
      const bool is_target = !variant.changes_length() && variant.substitutions.empty();
      scores.push_back(is_target ? 0 : pseudo_likelihood(residues_of(assay_, variant)) - of_target);
    }
    return scores;
  }

 private:
  void advance() {
    if (options_.progress) options_.progress(static_cast<double>(++done_));
  }

  Pass masked_pass(std::span<const int32_t> rows, int64_t position) const {
    const int64_t row = position + 1;  // after START
    const Window window = window_around(row, static_cast<int64_t>(rows.size()), options_.longest);
    return {.tokens = rows.subspan(static_cast<size_t>(window.begin), static_cast<size_t>(window.rows())),
            .masked = static_cast<int32_t>(row - window.begin)};
  }

  void read_masked(const std::vector<int64_t>& positions, std::vector<at::Tensor>& log_p_V) {
    const std::vector<int32_t> rows = tokens_of(assay_.target, tokens_);
    run_passes(
        engine_, model_, positions.size(), [&](size_t i) { return masked_pass(rows, positions[i]); },
        options_.batch_rows,
        [&](size_t i, const at::Tensor& log_p_1V) {
          log_p_V[static_cast<size_t>(positions[i])] = log_p_1V[0].clone();
          advance();
        });
  }

  void read_as_is(const std::vector<int64_t>& positions, std::vector<at::Tensor>& log_p_V) {
    const std::vector<int32_t> rows = tokens_of(assay_.target, tokens_);
    const std::vector<Window> windows = half_overlapping(static_cast<int64_t>(rows.size()), options_.longest);
    const auto pass = [&](size_t w) {
      return Pass{.tokens = std::span(rows).subspan(static_cast<size_t>(windows[w].begin),
                                                    static_cast<size_t>(windows[w].rows()))};
    };
    run_passes(engine_, model_, windows.size(), pass, options_.batch_rows,
               [&](size_t w, const at::Tensor& log_p_RV) {
                 for (const int64_t position : positions)
                   if (nearest_window(windows, position + 1) == w)
                     log_p_V[static_cast<size_t>(position)] =
                         log_p_RV[position + 1 - windows[w].begin].clone();
                 advance();
               });
  }

  double pseudo_likelihood(std::span<const uint8_t> residues) {
    const std::vector<int32_t> rows = tokens_of(residues, tokens_);
    double sum = 0;
    run_passes(
        engine_, model_, residues.size(),
        [&](size_t i) { return masked_pass(rows, static_cast<int64_t>(i)); }, options_.batch_rows,
        [&](size_t i, const at::Tensor& log_p_1V) {
          sum += log_p_1V.const_data_ptr<double>()[rows[i + 1]];
          advance();
        });
    return sum;
  }

  model::Engine& engine_;
  const config::ModelConfig& model_;
  const data::TokenList& tokens_;
  const assays::Assay& assay_;
  const VariantOptions& options_;
  int64_t done_ = 0;
};

}  // namespace

void require_scorable(const assays::Assay& assay, ScoreMethod method) {
  if (method == ScoreMethod::pseudo_likelihood) return;
  for (size_t i = 0; i < assay.variants.size(); ++i)
    if (assay.variants[i].changes_length())
      throw usage_error({.where = text(assay.table.where(), ", line ", assay.table.rows()[i].line),
                         .expected = text("substitutions only, for ", enum_name(method)),
                         .found = text("a sequence of ", assay.variants[i].residues.size(),
                                       " residues; the wild type has ", assay.target.size()),
                         .advice = "use --method pseudo-likelihood for insertions and deletions"});
}

ScoreCost cost(const assays::Assay& assay, const VariantOptions& options) {
  ScoreCost cost;
  const auto add = [&](int64_t passes, int64_t rows) {
    cost.passes += passes;
    cost.rows += passes * std::min(rows, options.longest);
  };
  const int64_t rows = rows_of(assay.target);
  switch (options.method) {
    case ScoreMethod::masked_marginals:
      add(static_cast<int64_t>(mutated_positions(assay).size()), rows);
      break;
    case ScoreMethod::wildtype_marginals:
      add(static_cast<int64_t>(half_overlapping(rows, options.longest).size()), rows);
      break;
    case ScoreMethod::pseudo_likelihood:
      add(rows - 2, rows);
      for (const assays::Variant& variant : assay.variants) {
        const int64_t own = variant.changes_length() ? rows_of(variant.residues) : rows;
        if (variant.changes_length() || !variant.substitutions.empty()) add(own - 2, own);
      }
  }
  return cost;
}

std::vector<double> score_variants(model::Engine& engine, const config::ModelConfig& model,
                                   const assays::Assay& assay, const VariantOptions& options) {
  require_scorable(assay, options.method);
  Scorer scorer(engine, model, assay, options);
  return options.method == ScoreMethod::pseudo_likelihood ? scorer.pseudo_likelihoods() : scorer.marginals();
}

}  // namespace esmscale::downstream

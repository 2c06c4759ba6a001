// Muon (Jordan et al. 2024) and NorMuon (Li et al. 2025, arXiv 2510.05491) on hidden matrices, Adam on the
// rest. Of each matrix, with G the gradient of the mean loss after clipping and momentum μ:
//   M ← μ·M + (1 − μ)·G
//   O = polar factor of M (polar.h)
//   normuon, with v one number a row:  v ← β·v + (1 − β)·mean over columns of O²
//                                      O ← O / √v, then scaled to the norm that it had
//   W ← W − rate·λ·W − rate·√(rows/columns)·O
#pragma once

#include "optim/adam.h"
#include "optim/matrix_exchange.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::optim {

class Muon final : public Optimizer {
 public:
  // As make_optimizer(); config.name is muon or normuon.
  Muon(const config::OptimizerConfig& config, const model::Weights& weights,
       const config::ShardLayout& layout, int zero_stage, dist::Group& group);

  void step(const Rates& rates, std::span<const at::Tensor> gradient, const GradientScale& scale,
            const std::function<void(size_t)>& updated = {}) override;
  std::vector<StatePart> state(std::span<const config::FlatRange> within) const override;
  std::vector<StatePart> state() const override { return state(ranges_); }
  int64_t updates() const override { return rest_.updates(); }
  void set_updates(int64_t updates) override { rest_.set_updates(updates); }

 private:
  struct Stack {                 // owned matrices of one shape, computed together
    config::HiddenMatrix shape;  // of the first
    size_t first = 0, count = 0;
    int64_t begin = 0;   // in a whole tensor
    at::Tensor squares;  // normuon: [count, rows], v

    at::Tensor of(const at::Tensor& whole) const;  // [count, rows, columns]
  };
  bool normalises_rows() const { return config_.name == config::OptimizerKind::normuon; }
  void make_stacks();
  void remember(std::span<const at::Tensor> gradient, const GradientScale& scale);
  at::Tensor direction(const Stack& stack, const at::Tensor& momentum, const at::Tensor& found_inf) const;
  void apply(double rate, const at::Tensor& directions, const at::Tensor& found_inf) const;
  void append_rows(std::vector<StatePart>& state, std::span<const config::FlatRange> within) const;

  config::OptimizerConfig config_;
  model::Masters weights_;
  std::vector<config::Parameter> table_;
  std::vector<config::FlatRange> ranges_;
  bool holds_all_;  // one rank or stage 0
  MatrixExchange exchange_;
  at::Tensor momentum_;  // packed
  std::vector<Stack> stacks_;
  Adam rest_;
};

}  // namespace esmscale::optim

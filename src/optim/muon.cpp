#include "optim/muon.h"

#include "optim/polar.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

namespace esmscale::optim {
namespace {

using config::kStackFloats;
constexpr double kRowEpsilon = 1e-8;

MatrixExchange exchange_for(const model::Weights& weights, const config::ShardLayout& layout, int zero_stage,
                            dist::Group& group) {
  std::vector<config::HiddenMatrix> matrices = config::hidden_matrices(weights.table);
  if (zero_stage == 0 || group.size() == 1)
    return {std::move(matrices), layout.updated(group.rank(), /*zero_stage=*/0)};
  std::vector<std::vector<config::FlatRange>> shards;
  for (int rank = 0; rank < group.size(); ++rank) shards.push_back(layout.owned(rank));
  return {matrices, shards, group};
}

// Each row over the root of its mean square so far; each matrix keeps its norm.
void normalise_rows(const at::Tensor& matrices_NRC, const at::Tensor& squares_NR) {
  const auto norms = [&] { return at::linalg_vector_norm(matrices_NRC, 2, {1, 2}, /*keepdim=*/true); };
  const at::Tensor before = norms();
  matrices_NRC.div_(squares_NR.sqrt().add_(kRowEpsilon).unsqueeze(2));
  matrices_NRC.mul_(before / norms().clamp_min(std::numeric_limits<float>::min()));
}

}  // namespace

Muon::Muon(const config::OptimizerConfig& config, const model::Weights& weights,
           const config::ShardLayout& layout, int zero_stage, dist::Group& group)
    : config_(config),
      weights_(weights.masters),
      table_(weights.table),
      ranges_(layout.updated(group.rank(), group.size() > 1 ? zero_stage : 0)),
      holds_all_(zero_stage == 0 || group.size() == 1),
      exchange_(exchange_for(weights, layout, zero_stage, group)),
      momentum_(at::zeros({exchange_.packed_size()}, weights.flat.options().dtype(at::kFloat))),
      rest_(config, weights, ranges_, Adam::Updates::all_but_matrices) {
  make_stacks();
}

void Muon::make_stacks() {
  const std::vector<config::HiddenMatrix>& owned = exchange_.owned();
  int64_t begin = 0;
  for (size_t i = 0; i < owned.size(); ++i) {
    if (stacks_.empty() || !stacks_.back().shape.has_shape_of(owned[i]) ||
        static_cast<int64_t>(stacks_.back().count + 1) * owned[i].size() > kStackFloats)
      stacks_.push_back({.shape = owned[i], .first = i, .begin = begin});
    ++stacks_.back().count;
    begin += owned[i].size();
  }
  if (!normalises_rows()) return;
  for (Stack& stack : stacks_)
    stack.squares = at::zeros({static_cast<int64_t>(stack.count), stack.shape.rows}, momentum_.options());
}

at::Tensor Muon::Stack::of(const at::Tensor& whole) const {
  const auto n = static_cast<int64_t>(count);
  return whole.narrow(0, begin, n * shape.size()).view({n, shape.rows, shape.columns});
}

void Muon::step(const Rates& rates, std::span<const at::Tensor> gradient, const GradientScale& scale,
                const std::function<void(size_t)>& updated) {
  remember(gradient, scale);
  const at::Tensor momentum = exchange_.to_owners(momentum_);
  const at::Tensor directions = at::empty_like(momentum);
  for (const Stack& stack : stacks_)
    stack.of(directions).copy_(direction(stack, stack.of(momentum), scale.found_inf));
  apply(rates.matrices, exchange_.to_shards(directions), scale.found_inf);
  rest_.step(rates, gradient, scale, updated);
}

// Some parts at a time, so that copies of the gradient stay small.
void Muon::remember(std::span<const at::Tensor> gradient, const GradientScale& scale) {
  const std::vector<PackedPart>& parts = exchange_.packed();
  const at::Tensor is_bad = scale.found_inf.gt(0);
  for (size_t i = 0; i < parts.size();) {
    const int64_t begin = parts[i].at;
    int64_t size = 0;
    std::vector<at::Tensor> gathered;
    for (; i < parts.size() && (size == 0 || size + parts[i].range.size <= kStackFloats); ++i) {
      const config::FlatRange& part = parts[i].range;
      const auto shard = std::find_if(ranges_.begin(), ranges_.end(), [&](const auto& range) {
        return part.begin >= range.begin && part.end() <= range.end();
      });
      gathered.push_back(gradient[static_cast<size_t>(shard - ranges_.begin())].narrow(
          0, part.begin - shard->begin, part.size));
      size += part.size;
    }
    const at::Tensor momentum = momentum_.narrow(0, begin, size);
    const at::Tensor mean = at::cat(gathered).div_(scale.divisor);
    momentum.lerp_(at::where(is_bad, momentum, mean), 1 - config_.momentum);
  }
}

at::Tensor Muon::direction(const Stack& stack, const at::Tensor& momentum,
                           const at::Tensor& found_inf) const {
  at::Tensor result = polar_factors(momentum, momentum.is_cuda() ? at::kBFloat16 : at::kFloat);
  if (normalises_rows()) {
    const at::Tensor now = result.square().mean({2});
    stack.squares.lerp_(at::where(found_inf.gt(0), stack.squares, now), 1 - config_.row_beta);
    normalise_rows(result, stack.squares);
  }
  return result.mul_(
      std::sqrt(static_cast<double>(stack.shape.rows) / static_cast<double>(stack.shape.columns)));
}

void Muon::apply(double rate, const at::Tensor& directions, const at::Tensor& found_inf) const {
  if (exchange_.packed().empty()) return;
  const at::Tensor is_applied = 1 - found_inf;
  directions.mul_(is_applied);
  std::vector<at::Tensor> weights, changes;
  for (const PackedPart& part : exchange_.packed()) {
    weights.push_back(weights_.of(part.range));
    changes.push_back(directions.narrow(0, part.at, part.range.size));
  }
  if (config_.matrix_weight_decay > 0)
    at::_foreach_mul_(weights, 1 - is_applied * (rate * config_.matrix_weight_decay));
  at::_foreach_add_(weights, changes, -rate);
}

std::vector<StatePart> Muon::state(std::span<const config::FlatRange> within) const {
  std::vector<StatePart> state = rest_.state(within);
  for (const config::FlatRange& range : within)
    append_state(state, kFirstMoment, table_, exchange_.packed(), range, momentum_);
  if (normalises_rows()) append_rows(state, within);
  return state;
}

// Where ranks share the matrices, each has the rows of its own; where all of them hold everything, a row
// belongs to the range that has its first float.
void Muon::append_rows(std::vector<StatePart>& state, std::span<const config::FlatRange> within) const {
  for (const Stack& stack : stacks_)
    for (size_t i = 0; i < stack.count; ++i) {
      const config::HiddenMatrix& matrix = exchange_.owned()[stack.first + i];
      const int64_t before = (matrix.begin - table_[matrix.row].offset) / matrix.columns;
      const auto add = [&](int64_t row, int64_t end) {
        if (row < end)
          state.push_back({.name = kRowSecondMoment + table_[matrix.row].name,
                           .begin = before + row,
                           .values = stack.squares[static_cast<int64_t>(i)].narrow(0, row, end - row)});
      };
      if (!holds_all_) {
        add(0, matrix.rows);
        continue;
      }
      const auto rows_before = [&](int64_t position) {
        const int64_t floats = std::clamp<int64_t>(position - matrix.begin, 0, matrix.size());
        return (floats + matrix.columns - 1) / matrix.columns;
      };
      for (const config::FlatRange& range : within) add(rows_before(range.begin), rows_before(range.end()));
    }
}

std::unique_ptr<Optimizer> make_optimizer(const config::OptimizerConfig& config,
                                          const model::Weights& weights, const config::ShardLayout& layout,
                                          int zero_stage, dist::Group& group) {
  if (config::has_matrix_updates(config.name))
    return std::make_unique<Muon>(config, weights, layout, zero_stage, group);
  return std::make_unique<Adam>(config, weights,
                                layout.updated(group.rank(), group.size() > 1 ? zero_stage : 0));
}

}  // namespace esmscale::optim

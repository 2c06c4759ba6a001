#include "esmscale/accounting/memory.h"

#include "accounting/activations.h"
#include "esmscale/config/engine_choice.h"
#include "esmscale/config/hidden_matrices.h"

#include <algorithm>
#include <vector>

namespace esmscale::accounting {
namespace {

// fp8: the matrices of blocks between the first and the last, both ways, a byte each.
double fp8_weights(const config::RunConfig& config) {
  if (config.train.precision != config::Precision::fp8) return 0;
  const auto width = static_cast<double>(config.model.width),
             inner = static_cast<double>(config.model.ffn_dim());
  return 2 * static_cast<double>(config.model.layers - 2) * width * (4 * width + 2 * inner);
}

// fp32 and, for products, bf16; where the fp32 weights are sharded, those of matrices are whole in bf16 only.
double weight_bytes(const config::RunConfig& config, const std::vector<config::Parameter>& table, int ranks,
                    int64_t updated) {
  const auto parameters = static_cast<double>(config::total_size(table));
  if (!is_bf16(config)) return kFloat * parameters;
  const int64_t floats = config::shards_master_weights(config, ranks)
                             ? updated + config::size_of_vectors(table)
                             : config::total_size(table);
  return static_cast<double>(kFloat * floats) + 2 * parameters + fp8_weights(config);
}

// The most that gradients take on one rank. Stage 1 has the whole and a buffer for what it owns; stage 2
// has that buffer, the embedding's bucket, which the tied decoder touches first and the embedding last, and
// two buckets that fill or leave, each with what comes back of it. With
// parallel.reduce=bf16 the two buckets in flight also have bf16 copies.
int64_t gradient_floats(const config::ShardLayout& layout, const config::RunConfig::Parallel& parallel) {
  int64_t whole = 0, owned = 0, largest = 0;
  for (const config::Bucket& bucket : layout.buckets()) {
    whole += bucket.chunk * layout.ranks();
    owned += bucket.chunk;
    largest = std::max(largest, bucket.chunk * (layout.ranks() + 1));
  }
  const int64_t copies = parallel.reduce == config::ReduceType::bf16 && layout.ranks() > 1 ? largest : 0;
  const int64_t stage = layout.ranks() > 1 ? parallel.zero_stage : 0;
  if (stage == 0) return whole + copies;
  if (stage == 1) return whole + owned + copies;
  return std::min(whole, layout.buckets().front().chunk * layout.ranks() + 2 * largest) + owned + copies;
}

// Floats of the hidden matrices that a rank updates parts of, and what its updates compute with.
struct MatrixUpdate {
  int64_t held = 0;     // in its ranges
  int64_t stack = 0;    // the most that is computed together
  int64_t squares = 0;  // of X·Xᵀ, in that stack
  int64_t rows = 0;     // of the matrices that it computes
};

MatrixUpdate matrix_update(const config::RunConfig& config, const std::vector<config::Parameter>& table,
                           const std::vector<config::FlatRange>& ranges, int owners) {
  MatrixUpdate update;
  if (!config::has_matrix_updates(config.optimizer.name)) return update;
  const std::vector<config::HiddenMatrix> matrices = config::hidden_matrices(table);
  const std::vector<int> owner = config::matrix_owners(matrices, owners);
  int64_t stacked = 0;
  for (size_t i = 0; i < matrices.size(); ++i) {
    for (const config::FlatRange& range : ranges)
      update.held += config::intersection(matrices[i].range(), range).size;
    if (owner[i] != 0) continue;
    update.rows += matrices[i].rows;
    const bool joins = i > 0 && matrices[i].has_shape_of(matrices[i - 1]) &&
                       stacked + matrices[i].size() <= config::kStackFloats;
    stacked = (joins ? stacked : 0) + matrices[i].size();
    if (stacked < update.stack) continue;
    update.stack = stacked;
    const int64_t shorter = std::min(matrices[i].rows, matrices[i].columns);
    update.squares = stacked / matrices[i].size() * shorter * shorter;
  }
  return update;
}

double moments(const config::RunConfig& config, int64_t updated, const MatrixUpdate& matrices) {
  const int64_t rows = config.optimizer.name == config::OptimizerKind::normuon ? matrices.rows : 0;
  return static_cast<double>(kFloat * (2 * updated - matrices.held + rows));
}

double averages(const config::AverageConfig& config, int64_t updated) {
  const int kept = (config.ema_tokens > 0 ? 1 : 0) + (config.last_fraction > 0 ? 1 : 0);
  return static_cast<double>(kept * kFloat * updated);
}

// The directions of all matrices and, of one stack, the iterate before and after and two products of its
// short sides; where matrices travel, both buffers on their way.
double update_workspace(const MatrixUpdate& matrices, bool travels) {
  return static_cast<double>(kFloat *
                             ((travels ? 3 : 1) * matrices.held + 3 * matrices.stack + 2 * matrices.squares));
}

}  // namespace

config::DeviceKind usual_device(const config::RunConfig& config) {
  const config::Precision precision = config.train.precision;
  return precision == config::Precision::tf32 || config::has_short_activations(precision)
             ? config::DeviceKind::gpu
             : config::DeviceKind::cpu;
}

MemoryPrediction predict_memory(const config::RunConfig& config, int ranks, config::DeviceKind device) {
  const std::vector<config::Parameter> table = config::parameter_table(config.model);
  const config::ShardLayout layout(table, ranks);
  const int64_t stage = ranks > 1 ? config.parallel.zero_stage : 0;
  const std::vector<config::FlatRange> ranges = layout.updated(/*rank=*/0, static_cast<int>(stage));
  int64_t updated = 0;
  for (const config::FlatRange& range : ranges) updated += range.size;
  const MatrixUpdate matrices = matrix_update(config, table, ranges, stage > 0 ? ranks : 1);

  const Shapes shapes(config, ranks, device);
  MemoryPrediction memory{
      .parameters = weight_bytes(config, table, ranks, updated),
      .gradients = static_cast<double>(kFloat * gradient_floats(layout, config.parallel)),
      .moments = moments(config, updated, matrices),
      .averages = averages(config.average, updated),
      .workspace = workspace_bytes(config, device, shapes),
  };
  memory.activations = activation_bytes(config, device, shapes);
  // Nothing of backward is left when the update begins.
  memory.workspace = std::max(memory.workspace, update_workspace(matrices, stage > 0) - memory.activations);
  return memory;
}

}  // namespace esmscale::accounting

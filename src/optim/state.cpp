#include "esmscale/optim/state.h"

#include "esmscale/config/hidden_matrices.h"

namespace esmscale::optim {

std::vector<StateTensor> state_tensors(const config::OptimizerConfig& config,
                                       const std::vector<config::Parameter>& table) {
  const bool by_matrix = config::has_matrix_updates(config.name);
  const auto is_updated_whole = [&](const config::Parameter& parameter) {
    return by_matrix && parameter.kind == config::ParameterKind::matrix;
  };
  std::vector<StateTensor> tensors;
  for (const config::Parameter& parameter : table)
    tensors.push_back({kFirstMoment + parameter.name, parameter.shape});
  for (const config::Parameter& parameter : table)
    if (!is_updated_whole(parameter)) tensors.push_back({kSecondMoment + parameter.name, parameter.shape});
  if (config.name == config::OptimizerKind::normuon)
    for (const config::Parameter& parameter : table)
      if (is_updated_whole(parameter))
        tensors.push_back({kRowSecondMoment + parameter.name, {parameter.shape.front()}});
  return tensors;
}

void append_state(std::vector<StatePart>& state, const char* prefix,
                  const std::vector<config::Parameter>& table, std::span<const PackedPart> parts,
                  const config::FlatRange& within, const at::Tensor& packed) {
  for (const PackedPart& part : parts) {
    const config::FlatRange shared = config::intersection(part.range, within);
    if (shared.size > 0)
      state.push_back({.name = prefix + table[part.row].name,
                       .begin = shared.begin - table[part.row].offset,
                       .values = packed.narrow(0, part.at + shared.begin - part.range.begin, shared.size)});
  }
}

}  // namespace esmscale::optim

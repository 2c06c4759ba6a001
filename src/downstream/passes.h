// Many passes of windows through a model, packed into batches.
#pragma once

#include "esmscale/model/engine.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::downstream {

// START, the letters, END.
std::vector<int32_t> tokens_of(std::span<const uint8_t> residues, const data::TokenList& tokens);

// One stretch of rows through the model.
struct Pass {
  std::span<const int32_t> tokens;  // valid until its result has been taken
  std::optional<int32_t> masked{};  // the row that is shown as <mask>; absent: none
};

// Calls `take` with each pass's number and its log-probabilities [R, V], doubles on the CPU: of the masked
// row alone where there is one (R = 1), else of all rows. Batches have at most `batch_rows` rows, or one
// pass.
void run_passes(model::Engine& engine, const config::ModelConfig& model, size_t passes,
                const std::function<Pass(size_t)>& pass, int64_t batch_rows,
                const std::function<void(size_t, const at::Tensor& log_p_RV)>& take);

}  // namespace esmscale::downstream

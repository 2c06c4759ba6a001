// How large each layer's weights are, how far a step moves them, and how large its attention logits have
// grown (log.layer_norms_every): a rate that is too high shows here before it shows in the loss.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/model/weights.h"

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace esmscale::train {

class LayerNorms {
 public:
  // Every `every` steps; 0: never. `weights` must outlive it.
  LayerNorms(const model::Weights& weights, int64_t every);

  bool is_due(int64_t step) const { return every_ > 0 && step % every_ == 0; }

  void begin();  // before the update of a step that is due
  // After it: the keys of a line of metrics (docs/run_folder.md). The largest logits are those of the batch's
  // first micro-batch on this rank; a step that is not finite has null in place of its numbers. Waits for the
  // device.
  Json finish(int64_t step, const data::GlobalBatch& batch);

  // The last report: "at step 40 block 2 moved most, by 0.3100 of its weights' norm; block 0 has the largest
  // attention logit, 85.0", or the first layer whose weights are not finite. "" before the first.
  const std::string& worst() const { return worst_; }

 private:
  struct Layer {
    std::string key, name;        // "layer_0", "block 0"
    int64_t begin = 0, size = 0;  // of the flat weights
  };
  std::vector<double> norms(const at::Tensor& flat) const;
  std::vector<double> largest_logits(const data::GlobalBatch& batch) const;

  const model::Weights& weights_;
  int64_t every_;
  std::vector<Layer> layers_;  // embedding, blocks, head
  at::Tensor before_;
  std::string worst_;
};

}  // namespace esmscale::train

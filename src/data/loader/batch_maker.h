// Turns a planned global batch into this rank's micro-batches: reads, crops, masks and lays out its
// sequences.
#pragma once

#include "data/loader/batch_builder.h"
#include "data/loader/batch_plan.h"
#include "data/loader/patient_reader.h"
#include "esmscale/data/alphabet.h"
#include "esmscale/data/loader/batch.h"
#include "esmscale/data/loader/loader.h"
#include "esmscale/data/loader/masking.h"

#include <cstdint>
#include <stop_token>
#include <vector>

namespace esmscale::data {

// One per thread; dataset and options must outlive it.
class BatchMaker {
 public:
  BatchMaker(const Dataset& dataset, const LoaderOptions& options, std::stop_token stop);

  // An empty batch once a stop is requested; the Error of a read that fails for good.
  GlobalBatch make(const BatchPlan& plan);

 private:
  struct Place {
    int64_t sequence;
    int32_t micro, place;
  };

  void lay_out(const BatchPlan& plan, std::vector<BatchBuilder>& builders);

  const LoaderOptions& options_;
  const TokenList& tokens_;
  BatchShape shape_;
  MaskRamp mask_ramp_;
  std::stop_token stop_;
  PatientReader reader_;
  Masker masker_;
  std::vector<Place> places_;  // where this rank's sequences go
};

}  // namespace esmscale::data

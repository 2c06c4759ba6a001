// Memory of a study's runs as predicted and as measured.
#pragma once

#include "esmscale/core/json.h"

#include <string>
#include <vector>

namespace esmscale::study {

// Tensors of rank 0 in training, bytes.
struct RunMemory {
  std::string run, model;
  double parameters = 0, micro_batch_tokens = 0;  // N (kaplan)
  double predicted = 0, measured = 0;

  double ratio() const { return measured / predicted; }
};

Json to_json(const std::vector<RunMemory>& memory);
std::string to_text(const std::vector<RunMemory>& memory);

}  // namespace esmscale::study

// Memory of a study's runs as predicted and as measured.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/study/state.h"

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

// Of the finished runs that wrote both down, by measured memory.
std::vector<RunMemory> memory_of(const Study& study);

Json to_json(const std::vector<RunMemory>& memory);
std::string to_text(const std::vector<RunMemory>& memory);

}  // namespace esmscale::study

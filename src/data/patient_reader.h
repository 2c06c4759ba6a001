// Reads sequences from storage that fails now and then.
#pragma once

#include "esmscale/data/dataset.h"
#include "esmscale/data/loader.h"

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>

namespace esmscale {

// One per thread. A read that fails (an error of the system, a checksum that does not hold, another length
// than the index says) is done again from the start with a warning that names it, after a pause; the last
// failure is the Error that the caller sees. A stop request ends a pause at once.
class PatientReader {
 public:
  PatientReader(const Dataset& dataset, ReadPatience patience, std::stop_token stop = {});

  // Letter codes of one sequence; valid until the next call.
  std::span<const uint8_t> residues(int64_t sequence);

 private:
  std::span<const uint8_t> try_once(int64_t sequence);
  void pause(double seconds);

  const Dataset& dataset_;
  ReadPatience patience_;
  std::stop_token stop_;
  std::optional<SequenceReader> reader_;
};

}  // namespace esmscale

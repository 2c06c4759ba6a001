// Reads sequences from storage that gives back wrong bytes now and then.
#pragma once

#include "esmscale/data/dataset/dataset.h"
#include "esmscale/data/loader/loader.h"

#include <cstdint>
#include <span>
#include <stop_token>

namespace esmscale::data {

// One per thread. A sequence that cannot be read (a checksum that does not hold, or an error of the system
// that lasts) is read again from the start with a warning that names it, after a pause; the last failure is
// the Error that the caller sees. A stop request ends the pauses.
class PatientReader {
 public:
  PatientReader(const Dataset& dataset, const ReadPatience& patience, std::stop_token stop = {});

  // Letter codes of one sequence; valid until the next call.
  std::span<const uint8_t> residues(int64_t sequence);

 private:
  void pause(double seconds);

  SequenceReader reader_;
  const ReadPatience patience_;
  const std::stop_token stop_;
};

}  // namespace esmscale::data

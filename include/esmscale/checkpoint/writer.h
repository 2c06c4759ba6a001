// A checkpoint while it is written, by all ranks together. The slow parts are apart from those in which the
// ranks agree, so that a thread may do them while training continues.
#pragma once

#include "esmscale/checkpoint/checkpoint.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/safetensors.h"

#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace esmscale::checkpoint {

class CheckpointWriter {
 public:
  // `parts`: this rank's share of the weights (share_of_weights()) and of the state; only write() reads them.
  // `ranks` must outlive it. The destructor removes what was not published.
  CheckpointWriter(std::filesystem::path folder, CheckpointInfo info, std::vector<optim::StatePart> parts,
                   dist::Ranks& ranks);

  // In this order. All ranks call begin(), confirm() and publish() at the same step: NoRoom on each of them
  // when the disk is full for one. Each rank calls write() and checksum() by itself, on any thread. They do
  // not throw; the next confirm() or publish() throws their failure.
  void begin();
  void write() noexcept;
  void confirm();
  void checksum() noexcept;
  void publish();

  void save();  // all five, on this thread

 private:
  std::filesystem::path file() const;

  std::filesystem::path folder_;
  CheckpointInfo info_;
  std::vector<optim::StatePart> parts_;
  dist::Ranks& ranks_;
  std::vector<TensorEntry> entries_;
  std::string header_;
  std::optional<AtomicOutput> output_;  // rank 0's
  std::string sums_;
  std::exception_ptr failure_;  // of write() or checksum(), until the next call throws it
};

// This rank's share of the weights: where they are sharded its own masters, else one of equal parts, and on
// rank 0 inv_freq. Views of them.
std::vector<optim::StatePart> share_of_weights(const model::Weights& weights, const dist::Ranks& ranks);

}  // namespace esmscale::checkpoint

// Counter-based random numbers (Philox4x32-10; Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3"). A draw is a pure function of (seed, purpose, subject, epoch, index): never of rank, thread or clock.
#pragma once

#include <array>
#include <cstdint>

namespace esmscale {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The use of a stream; the numbers are part of the data order's identity and never change.
enum class Purpose : uint32_t {
  shuffle = 1,      // prepare's global order; subject: ordinal in the input
  epoch_order = 2,  // order of later epochs; subject: block or position
  crop = 3,         // window of an over-long sequence; subject: sequence
  mask = 4,         // chosen positions and what they show; subject: sequence
  evaluation_crop = 5,
  evaluation_mask = 6,
  initialisation = 7,  // subject: parameter
  bootstrap = 8,       // subject: draw
  fit_start = 9,
  cluster = 10,  // the member that an epoch trains; subject: cluster
  test = 255,
};

class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint64_t subject, uint32_t epoch = 0);

  uint32_t next_u32();
  uint64_t next_u64();
  double uniform();                // [0, 1), 53 bits
  uint32_t below(uint32_t bound);  // [0, bound), unbiased; bound ≥ 1
  double normal();                 // mean 0, standard deviation 1 (Box–Muller)

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;  // word 0 counts blocks
  std::array<uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace esmscale

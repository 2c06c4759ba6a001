// The GPU's programs on the host: teams are real threads that meet where the GPU's would. Slow: for tests.
#pragma once

#include "kernels/gpu/programs/ends.h"
#include "kernels/gpu/programs/gelu.h"
#include "kernels/gpu/programs/norm.h"
#include "kernels/gpu/programs/partials.h"
#include "kernels/gpu/programs/quantise.h"
#include "kernels/gpu/programs/rotary.h"

#include <algorithm>
#include <barrier>
#include <thread>
#include <vector>

namespace esmscale::kernels::gpu {

struct Meeting {
  explicit Meeting(int64_t lanes) : place(lanes), brought(static_cast<size_t>(lanes)) {}
  std::barrier<> place;
  std::vector<Float2> brought;
};

class Lane {
 public:
  Lane(Meeting& meeting, int64_t lane) : meeting_(meeting), lane_(lane) {}
  int64_t lane() const { return lane_; }
  int64_t lanes() const { return static_cast<int64_t>(meeting_.brought.size()); }
  template <int Count>
  void sum(Float2 (&x)[Count]) const {
    for (Float2& one : x) one = meet(one, [](Float2 a, Float2 b) { return Float2{a.a + b.a, a.b + b.b}; });
  }
  float max(float x) const {
    return meet({x, x}, [](Float2 a, Float2 b) { return Float2{std::max(a.a, b.a), 0}; }).a;
  }

 private:
  template <class Combine>
  Float2 meet(Float2 x, Combine&& combine) const {
    meeting_.brought[static_cast<size_t>(lane_)] = x;
    meeting_.place.arrive_and_wait();
    Float2 all = meeting_.brought.front();
    for (size_t i = 1; i < meeting_.brought.size(); ++i) all = combine(all, meeting_.brought[i]);
    meeting_.place.arrive_and_wait();  // nobody brings the next before all have read
    return all;
  }

  Meeting& meeting_;
  int64_t lane_;
};

template <class Program>
void with_team(int64_t lanes, Program&& program) {
  Meeting meeting(lanes);
  std::vector<std::thread> others;
  for (int64_t lane = 1; lane < lanes; ++lane)
    others.emplace_back([&, lane] { program(Lane(meeting, lane)); });
  program(Lane(meeting, 0));
  for (std::thread& other : others) other.join();
}

template <class Work>
void run_rows(const Work& work, int64_t lanes) {
  with_team(lanes, [&](const Lane& lane) {
    for (int64_t row = 0; row < work.rows; ++row) row_program(lane, work, row);
  });
}
template <class T>
void run_here(const NormForward<T>& work, int64_t lanes) {
  run_rows(work, lanes);
}
template <class T>
void run_here(const CrossEntropy<T>& work, int64_t lanes) {
  run_rows(work, lanes);
}
inline void run_here(const QuantiseRows& work, int64_t lanes) {
  run_rows(work, lanes);
}
template <class T>
void run_here(const NormBackward<T>& work, int64_t lanes) {
  with_team(lanes, [&](const Lane& lane) {
    for (int64_t block = 0; block < work.blocks; ++block)
      norm_backward_block<kLargestBlock>(lane, work, block);
  });
}
inline void run_here(const AddPartials& w, int64_t /*lanes*/) {
  for (int64_t c = 0; c < w.count * w.width; ++c) w.totals[c / w.width][c % w.width] += slice_sum(w, c, 0, 1);
}
template <class Work>
void run_here(const Work& work, int64_t /*lanes*/) {
  for (int64_t block = 0; block < blocks_of(work.rows); ++block)
    for (int64_t group = 0; group < groups_of(work); ++group) column_program(work, block, group);
}

}  // namespace esmscale::kernels::gpu

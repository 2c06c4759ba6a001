// Windows of a protein that is longer than what a model was trained on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace esmscale::downstream {

// Rows begin … end of a protein's rows, START and END included.
struct Window {
  int64_t begin = 0, end = 0;
  int64_t rows() const { return end - begin; }
  bool operator==(const Window&) const = default;
};

// All rows when there are at most `longest`; else that many, with `row` in the middle as far as the ends
// allow.
Window window_around(int64_t row, int64_t rows, int64_t longest);

// Windows that overlap by half and cover all rows, the last one up to the end.
std::vector<Window> half_overlapping(int64_t rows, int64_t longest);

// Which of these windows has its middle nearest to `row`; of two, the first.
size_t nearest_window(const std::vector<Window>& windows, int64_t row);

}  // namespace esmscale::downstream

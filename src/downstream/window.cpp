#include "downstream/window.h"

#include <algorithm>
#include <cstdlib>

namespace esmscale::downstream {

Window window_around(int64_t row, int64_t rows, int64_t longest) {
  if (rows <= longest) return {0, rows};
  const int64_t begin = std::clamp<int64_t>(row - longest / 2, 0, rows - longest);
  return {begin, begin + longest};
}

std::vector<Window> half_overlapping(int64_t rows, int64_t longest) {
  std::vector<Window> windows;
  const int64_t step = std::max<int64_t>(1, longest / 2);
  for (int64_t begin = 0;; begin += step) {
    const int64_t end = std::min(rows, begin + longest);
    windows.push_back({std::max<int64_t>(0, end - longest), end});
    if (end == rows) return windows;
  }
}

size_t nearest_window(const std::vector<Window>& windows, int64_t row) {
  const auto distance = [&](const Window& window) {
    return std::abs(2 * row + 1 - window.begin - window.end);
  };
  const auto nearest =
      std::min_element(windows.begin(), windows.end(),
                       [&](const Window& a, const Window& b) { return distance(a) < distance(b); });
  return static_cast<size_t>(nearest - windows.begin());
}

}  // namespace esmscale::downstream

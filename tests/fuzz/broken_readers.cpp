// Readers with the faults that fuzzing is to find: the driver's own test.
#include "esmscale/core/files/files.h"
#include "fuzz/reader.h"

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include <fcntl.h>

namespace esmscale::fuzz {
namespace {

// Each goes wrong for content that is not the seed's.
bool is_changed(const std::filesystem::path& folder) {
  return !read_file(folder / "points.csv")
              .starts_with("run,parameters,tokens,loss,flops,budget,seed\na,1e6,");
}

}  // namespace

std::vector<Reader> readers() {
  return {{"throws", "points", "points.csv",
           [](const std::filesystem::path& f) {
             if (is_changed(f)) throw std::out_of_range("index");
           }},
          {"dies", "points", "points.csv",
           [](const std::filesystem::path& f) {
             if (is_changed(f)) std::abort();
           }},
          {"leaves-open", "points", "points.csv",
           [](const std::filesystem::path& f) {
             if (is_changed(f)) static_cast<void>(::open((f / "points.csv").c_str(), O_RDONLY));
           }},
          {"takes-memory", "points", "points.csv", [](const std::filesystem::path& f) {
             if (is_changed(f)) std::vector<char>(size_t{8} << 30, 'x');
           }}};
}

}  // namespace esmscale::fuzz

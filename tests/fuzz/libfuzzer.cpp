// The same readers for clang's libFuzzer (-fsanitize=fuzzer): ESMSCALE_FUZZ_READER names the one that is
// fuzzed.
#include "esmscale/core/log.h"
#include "fuzz/sandbox.h"

#include <cstdlib>
#include <stdexcept>

namespace esmscale::fuzz {
namespace {

struct Target {
  Reader reader;
  Seed seed;
  Sandbox sandbox{reader, sandbox_root()};
};

Target& target() {
  static Target chosen = [] {
    set_log_level(LogLevel::off);
    const char* wanted = std::getenv("ESMSCALE_FUZZ_READER");
    for (Reader& reader : readers())
      if (wanted && reader.name == wanted) return Target{reader, seeds_of(reader).front()};
    throw std::runtime_error("set ESMSCALE_FUZZ_READER to a reader's name");
  }();
  return chosen;
}

}  // namespace
}  // namespace esmscale::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  esmscale::fuzz::Target& target = esmscale::fuzz::target();
  target.sandbox.run(target.seed, {reinterpret_cast<const char*>(data), size});
  return 0;
}

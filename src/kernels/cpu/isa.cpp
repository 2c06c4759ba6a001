#include "esmscale/kernels/cpu/isa.h"

#include "esmscale/core/error.h"
#include "kernels/cpu/table.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace esmscale::kernels::cpu {
namespace {

const KernelTable* compiled_table(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return scalar_table();
    case Isa::baseline:
      return baseline_table();
    case Isa::avx2:
      return avx2_table();
    case Isa::avx512:
      return avx512_table();
  }
  return nullptr;
}

bool processor_has(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == Isa::avx512)
    return processor_has(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
  return isa == Isa::scalar || isa == Isa::baseline;
}

std::atomic<Isa>& selection() {
  static std::atomic<Isa> isa = supported_isas().back();
  return isa;
}

}  // namespace

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "";
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> found;
  for (Isa isa : {Isa::scalar, Isa::baseline, Isa::avx2, Isa::avx512})
    if (compiled_table(isa) && processor_has(isa)) found.push_back(isa);
  return found;
}

Isa active_isa() {
  return selection();
}

void select_isa(Isa isa) {
  std::string names;
  for (Isa one : supported_isas()) {
    if (one == isa) {
      selection() = isa;
      return;
    }
    names += (names.empty() ? "" : ", ") + std::string(name(one));
  }
  throw Error({.where = "CPU kernels",
               .expected = "instructions that this processor has: " + names,
               .found = std::string(name(isa)),
               .advice = "choose one of these, or leave the choice to the program"});
}

ActiveKernels active_kernels() {
  return ActiveKernels(*compiled_table(selection()));
}

float* thread_scratch(int64_t floats) {
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local int64_t capacity = 0;
  if (floats > capacity) {
    constexpr size_t kLine = 64;
    memory.reset();
    capacity = 0;
    const size_t bytes = (static_cast<size_t>(floats) * sizeof(float) + kLine - 1) / kLine * kLine;
    memory.reset(static_cast<float*>(std::aligned_alloc(kLine, bytes)));
    if (!memory) throw std::bad_alloc();
    capacity = floats;
  }
  return memory.get();
}

bool has_bf16_products() {
#if defined(__x86_64__)
  // Leaf 7, by Intel's manual: AMX_BF16 is bit 22 of EDX, AVX512_BF16 bit 5 of EAX in its first sub-leaf.
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const unsigned leaves = a;
  if ((d >> 22 & 1) != 0) return true;
  return leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1) != 0;
#else
  return false;
#endif
}

}  // namespace esmscale::kernels::cpu

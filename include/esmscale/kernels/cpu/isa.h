// Which instructions the kernels run on. The build is for any processor of the family; each kernel is
// compiled once per instruction set from one source, and the widest one that the processor has is taken at
// run time.
#pragma once

#include <string_view>
#include <vector>

namespace esmscale::kernels::cpu {

enum class Isa {
  scalar,    // one number at a time: the plain reference path
  baseline,  // 128 bits, what every processor of the family has (SSE2, NEON)
  avx2,      // 256 bits with fused multiply-add
  avx512,    // 512 bits (F, BW, DQ, VL)
};

std::string_view name(Isa isa);

// Compiled in and present in this processor; narrow to wide, `scalar` first.
std::vector<Isa> supported_isas();

// The one in use: the widest supported, until select_isa() names another. Results of two instruction sets
// differ in rounding only. Selecting one that is not supported is an Error. Not to be called while a kernel
// runs.
Isa active_isa();
void select_isa(Isa isa);

// True if the processor multiplies bf16 (AVX512_BF16 or AMX), so that LibTorch's products of bf16 are faster
// than those of fp32. Elsewhere they are emulated.
bool has_bf16_products();

}  // namespace esmscale::kernels::cpu

// What the kernels of lanes/ are written with. An isa_*.cpp includes it before it turns its instructions on:
// inline functions of the standard library must stay runnable on any processor, since the linker keeps one
// copy of each.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/cpu/table.h"

#include "esmscale/kernels/cpu/isa.h"

#include "support/error_of.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

namespace esmscale::kernels::cpu {
namespace {

TEST(Isa, UnsupportedIsAnError) {
  const auto supported = supported_isas();
  for (Isa isa : {Isa::avx2, Isa::avx512})
    if (std::find(supported.begin(), supported.end(), isa) == supported.end()) {
      EXPECT_THAT(error_of([&] { select_isa(isa); }), testing::HasSubstr(std::string(name(isa))));
    } else {
      select_isa(isa);
      EXPECT_EQ(active_isa(), isa);
    }
  select_isa(supported.back());
}

}  // namespace
}  // namespace esmscale::kernels::cpu

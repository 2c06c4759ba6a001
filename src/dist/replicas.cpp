#include "esmscale/dist/replicas.h"

#include "esmscale/core/text.h"

#include <algorithm>
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>

namespace esmscale::dist {
namespace {

constexpr int64_t kColumns = 4096;
constexpr int64_t kPrime = 2147483647;  // 2^31 − 1: products of remainders fit in 62 bits

// Σ (i + 1) · sums[i], modulo the prime: a change of one term always shows.
at::Tensor weighted(const at::Tensor& sums) {
  const at::Tensor places = at::remainder(at::arange(1, sums.numel() + 1, sums.options()), kPrime);
  return at::remainder(at::remainder(at::remainder(sums, kPrime) * places, kPrime).sum(), kPrime);
}

// The value of most ranks, or rank 0's.
std::string usual(const std::vector<std::string>& all) {
  std::map<std::string, size_t> times;
  for (const std::string& one : all) ++times[one];
  for (const auto& [value, count] : times)
    if (2 * count > all.size()) return value;
  return all.front();
}

}  // namespace

std::string checksum_of_bits(const at::Tensor& flat) {
  const at::Tensor bits = flat.view(flat.element_size() == 2 ? at::kShort : at::kInt);
  const int64_t rows = bits.numel() / kColumns, whole = rows * kColumns;
  const at::Tensor table = bits.narrow(0, 0, whole).view({rows, kColumns});
  const at::Tensor rest = bits.narrow(0, whole, bits.numel() - whole).to(at::kLong);
  // Sums along rows and along columns: no temporary is as large as the weights.
  const at::Tensor parts =
      at::stack({weighted(at::sum(table, {0}, /*keepdim=*/false, at::kLong)),
                 weighted(at::sum(table, {1}, /*keepdim=*/false, at::kLong)), weighted(rest)})
          .cpu();
  const int64_t* part = parts.const_data_ptr<int64_t>();
  return text(flat.numel(), ":", part[0], ":", part[1], ":", part[2]);
}

void require_equal_replicas(const std::vector<at::Tensor>& weights, Ranks& ranks, std::string_view when) {
  if (ranks.size() == 1) return;
  std::vector<std::string> own;
  for (const at::Tensor& part : weights) own.push_back(checksum_of_bits(part));
  const std::vector<std::string> all = ranks.exchange(text("checksums ", when), join(own, " "));
  const std::string expected = usual(all);
  std::vector<std::string> others;
  for (size_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != expected) others.push_back(std::to_string(rank));
  if (others.empty()) return;
  throw Error({.where = text("the weights ", when),
               .expected = text("the same bits on all ", ranks.size(), " ranks"),
               .found = text("others on rank ", join(others, ", "),
                             2 * others.size() == all.size() ? " than on rank 0" : ""),
               .advice =
                   "suspect the GPU, memory or network of that rank's node (esmscale doctor); an earlier "
                   "checkpoint is good"});
}

}  // namespace esmscale::dist

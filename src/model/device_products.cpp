#include "esmscale/model/device_products.h"

#include <algorithm>

#ifdef ESMSCALE_HAS_CUDA
#include "esmscale/core/error.h"

#include <array>
#include <map>
#include <optional>
#include <string>

#include <ATen/Context.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/ops/empty_like.h>
#include <cublasLt.h>
#endif

namespace esmscale {

int fastest(std::vector<std::vector<float>> times) {
  constexpr float kWorthIt = 0.99f;
  int best = -1;
  float least = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    std::vector<float>& rounds = times[i];
    if (rounds.empty()) continue;
    std::nth_element(rounds.begin(), rounds.begin() + rounds.size() / 2, rounds.end());
    const float median = rounds[rounds.size() / 2];
    if (best >= 0 && median >= least * (best == 0 ? kWorthIt : 1)) continue;
    best = static_cast<int>(i);
    least = median;
  }
  return best;
}

#ifdef ESMSCALE_HAS_CUDA
namespace {

constexpr int kPatience = 3, kSuggestions = 12, kRounds = 3;
constexpr double kLeastFlops = 1e9, kFlopsOfRound = 2e12;  // a round is some 3 ms of an H200
constexpr uint32_t kAlignment = 16;                        // bytes

// A row-major matrix as cuBLAS sees it, by columns: turned already, or to be turned.
struct Side {
  cublasOperation_t turn;
  int64_t step;
  explicit Side(const at::Tensor& x)
      : turn(x.stride(1) == 1 ? CUBLAS_OP_N : CUBLAS_OP_T), step(x.stride(x.stride(1) == 1 ? 0 : 1)) {}
  static bool takes(const at::Tensor& x) {
    return x.is_cuda() && x.dim() == 2 && (x.stride(0) == 1 || x.stride(1) == 1) &&
           reinterpret_cast<uintptr_t>(x.data_ptr()) % kAlignment == 0;
  }
};

void require(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error({"a matrix product on the GPU", std::string(what) + " to work",
                 cublasLtGetStatusString(status), "use --set train.time_products=false"});
}

template <class T, cublasStatus_t (*destroy)(T)>
struct Destroy {
  using pointer = T;
  void operator()(T x) const { destroy(x); }
};
using Layout =
    std::unique_ptr<cublasLtMatrixLayout_t, Destroy<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>>;
using Operation =
    std::unique_ptr<cublasLtMatmulDesc_t, Destroy<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>>;
using Preference = std::unique_ptr<cublasLtMatmulPreference_t,
                                   Destroy<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>>;

// By columns: [rows, columns] before it is turned.
Layout layout_of(cudaDataType_t type, int64_t rows, int64_t columns, int64_t step) {
  cublasLtMatrixLayout_t made = nullptr;
  require(cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns),
                                     step),
          "a layout");
  return Layout(made);
}
Layout layout_of(const at::Tensor& x, const Side& side) {
  const bool turn = side.turn == CUBLAS_OP_T;
  return layout_of(CUDA_R_16BF, x.size(turn ? 0 : 1), x.size(turn ? 1 : 0), side.step);
}

// The products of one shape. Row-major to = a b is, by columns, to' = b' a'.
class Product {
 public:
  Product(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b, bool add)
      : add_(add),
        first_(layout_of(b, Side(b))),
        second_(layout_of(a, Side(a))),
        to_(layout_of(to.scalar_type() == at::kFloat ? CUDA_R_32F : CUDA_R_16BF, to.size(1), to.size(0),
                      to.stride(0))) {
    cublasLtMatmulDesc_t made = nullptr;
    require(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description");
    operation_.reset(made);
    const cublasOperation_t turns[] = {Side(b).turn, Side(a).turn};
    cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSA, &turns[0], sizeof turns[0]);
    cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSB, &turns[1], sizeof turns[1]);
  }

  // Times what cuBLASLt suggests, and keeps the best.
  void choose(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b) {
    const std::vector<cublasLtMatmulAlgo_t> suggested = suggestions();
    const at::Tensor room = add_ ? at::empty_like(to) : to;
    const double flops = 2.0 * a.size(0) * a.size(1) * b.size(1);
    const int repeats = std::clamp(static_cast<int>(kFlopsOfRound / flops), 2, 40);
    std::vector<std::vector<float>> times(suggested.size());
    for (int round = 0; round < kRounds; ++round)
      for (size_t i = 0; i < suggested.size(); ++i) {
        if (start(room, a, b, suggested[i]) != CUBLAS_STATUS_SUCCESS) continue;
        at::cuda::CUDAEvent begin(cudaEventDefault), end(cudaEventDefault);
        begin.record();
        for (int j = 0; j < repeats; ++j) start(room, a, b, suggested[i]);
        end.record();
        end.synchronize();
        times[i].push_back(begin.elapsed_time(end));
      }
    const int best = fastest(std::move(times));
    if (best >= 0) algorithm_ = suggested[static_cast<size_t>(best)];
  }

  // False where no algorithm works.
  bool run(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b) const {
    if (!algorithm_) return false;
    require(start(to, a, b, *algorithm_), "its algorithm");
    return true;
  }

 private:
  std::vector<cublasLtMatmulAlgo_t> suggestions() const {
    cublasLtMatmulPreference_t made = nullptr;
    require(cublasLtMatmulPreferenceCreate(&made), "a preference");
    const Preference preference(made);
    const size_t room = at::cuda::getCUDABlasLtWorkspaceSize();
    cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof room);
    for (const auto side :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      cublasLtMatmulPreferenceSetAttribute(made, side, &kAlignment, sizeof kAlignment);
    std::array<cublasLtMatmulHeuristicResult_t, kSuggestions> results;
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        at::cuda::getCurrentCUDABlasLtHandle(), operation_.get(), first_.get(), second_.get(), to_.get(),
        to_.get(), made, kSuggestions, results.data(), &found);
    std::vector<cublasLtMatmulAlgo_t> algorithms;
    for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < found; ++i)
      if (results[static_cast<size_t>(i)].state == CUBLAS_STATUS_SUCCESS)
        algorithms.push_back(results[static_cast<size_t>(i)].algo);
    return algorithms;
  }

  cublasStatus_t start(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b,
                       const cublasLtMatmulAlgo_t& algorithm) const {
    const float one = 1, before = add_ ? 1 : 0;
    return cublasLtMatmul(at::cuda::getCurrentCUDABlasLtHandle(), operation_.get(), &one, b.data_ptr(),
                          first_.get(), a.data_ptr(), second_.get(), &before, to.data_ptr(), to_.get(),
                          to.data_ptr(), to_.get(), &algorithm, at::cuda::getCUDABlasLtWorkspace(),
                          at::cuda::getCUDABlasLtWorkspaceSize(), at::cuda::getCurrentCUDAStream());
  }

  bool add_;
  Layout first_, second_, to_;
  Operation operation_;
  std::optional<cublasLtMatmulAlgo_t> algorithm_;
};

using Shape = std::array<int64_t, 10>;
Shape shape_of(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b, bool add) {
  const Side left(a), right(b);
  return {to.size(0), to.size(1),   a.size(1),
          left.turn,  left.step,    right.turn,
          right.step, to.stride(0), to.scalar_type() == at::kFloat,
          add};
}

bool takes(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b) {
  const auto is_16_bits = [](const at::Tensor& x) { return x.scalar_type() == at::kBFloat16; };
  return is_16_bits(a) && is_16_bits(b) && (is_16_bits(to) || to.scalar_type() == at::kFloat) &&
         Side::takes(a) && Side::takes(b) && Side::takes(to) && to.stride(1) == 1 &&
         2.0 * a.size(0) * a.size(1) * b.size(1) >= kLeastFlops &&
         !at::globalContext().deterministicAlgorithms();
}

}  // namespace

struct DeviceProducts::Table {
  struct Entry {
    int seen = 0;
    std::unique_ptr<Product> product;
  };
  std::map<Shape, Entry> entries;
};

bool DeviceProducts::multiply(const at::Tensor& to, const at::Tensor& a, const at::Tensor& b, bool add) {
  if (!takes(to, a, b)) return false;
  Table::Entry& entry = table_->entries[shape_of(to, a, b, add)];
  if (!entry.product) {
    if (++entry.seen < kPatience) return false;
    entry.product = std::make_unique<Product>(to, a, b, add);
    entry.product->choose(to, a, b);
  }
  return entry.product->run(to, a, b);
}

DeviceProducts::DeviceProducts() : table_(std::make_unique<Table>()) {}
#else
struct DeviceProducts::Table {};

bool DeviceProducts::multiply(const at::Tensor&, const at::Tensor&, const at::Tensor&, bool) {
  return false;
}

DeviceProducts::DeviceProducts() = default;
#endif

DeviceProducts::~DeviceProducts() = default;

}  // namespace esmscale

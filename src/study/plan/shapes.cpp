#include "esmscale/study/plan/shapes.h"

#include "esmscale/accounting/flops.h"
#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace esmscale::study {
namespace {

constexpr double kFlattest = 20, kWidest = 110;  // width / layers, of more than one layer
constexpr int64_t kMostLayers = 128;
constexpr double kAsNear = 0.02;
constexpr double kNarrowest = 16;
constexpr double kTiny = 10e3;  // below it, heads of 16 leave widths 16 and 32 only

// ESM-2's published shapes (science.md, section 2): 12·L·d² parameters and width/layers.
struct Published {
  double layers, width, head_dim;
  double parameters() const { return 12 * layers * width * width; }
};
constexpr Published kEsm2[] = {{6, 320, 16},   {12, 480, 24},  {30, 640, 32},
                               {33, 1280, 64}, {36, 2560, 64}, {48, 5120, 128}};

// width/layers of ESM-2 at this size, log-linear between its sizes.
double usual_aspect(double parameters) {
  const auto aspect = [](const Published& p) { return p.width / p.layers; };
  if (parameters <= kEsm2[0].parameters()) return aspect(kEsm2[0]);
  for (size_t i = 1; i < std::size(kEsm2); ++i) {
    const double low = kEsm2[i - 1].parameters(), high = kEsm2[i].parameters();
    if (parameters > high) continue;
    const double part = std::log(parameters / low) / std::log(high / low);
    return aspect(kEsm2[i - 1]) * std::pow(aspect(kEsm2[i]) / aspect(kEsm2[i - 1]), part);
  }
  return aspect(kEsm2[std::size(kEsm2) - 1]);
}

// The count of a shape with FFN = 4·width, in closed form: the search looks at hundreds of shapes, and the
// parameter table (config/parameters.h), which a test compares, lists every tensor.
double quick_count(double layers, double width, double alphabet, laws::ParameterCount count) {
  const double blocks = 12 * layers * width * width, dense = width * width;
  if (count == laws::ParameterCount::kaplan) return blocks;
  if (count == laws::ParameterCount::kaplan_with_head) return blocks + dense;
  return blocks + 13 * layers * width + dense + 5 * width + alphabet * (width + 1);
}

struct Candidate {
  int64_t layers, heads;
  double distance, aspect;  // in ln N; in ln(width/layers) from the usual
};

std::vector<Candidate> candidates(double parameters, laws::ParameterCount counted, int64_t alphabet,
                                  int64_t head_dim) {
  const double usual = usual_aspect(parameters);
  std::vector<Candidate> found;
  for (int64_t layers = 1; layers <= kMostLayers; ++layers) {
    const int64_t ideal_heads = int64_t(std::sqrt(parameters / (12 * double(layers))) / double(head_dim));
    for (int64_t heads = std::max<int64_t>(1, ideal_heads - 2); heads <= ideal_heads + 1; ++heads) {
      const double width = double(heads * head_dim), ratio = width / double(layers);
      if (width < kNarrowest || (layers > 1 && ratio < kFlattest) || ratio > kWidest) continue;
      const double count = quick_count(double(layers), width, double(alphabet), counted);
      found.push_back(
          {layers, heads, std::abs(std::log(count / parameters)), std::abs(std::log(ratio / usual))});
    }
  }
  return found;
}

}  // namespace

double count_as(const config::ModelConfig& model, laws::ParameterCount count) {
  const accounting::ParameterCounts counts = accounting::count_parameters(model);
  switch (count) {
    case laws::ParameterCount::kaplan:
      return double(counts.kaplan_non_embedding);
    case laws::ParameterCount::kaplan_with_head:
      return double(counts.kaplan_with_head());
    case laws::ParameterCount::trainable:
      break;
  }
  return double(counts.trainable);
}

int64_t head_dim_at(double parameters) {
  if (parameters < kTiny) return 8;
  for (size_t i = 1; i < std::size(kEsm2); ++i)
    if (parameters < std::sqrt(kEsm2[i - 1].parameters() * kEsm2[i].parameters()))
      return int64_t(kEsm2[i - 1].head_dim);
  return int64_t(kEsm2[std::size(kEsm2) - 1].head_dim);
}

config::ModelConfig nearest_shape(double parameters, laws::ParameterCount count, int64_t alphabet) {
  const int64_t head_dim = head_dim_at(parameters);
  const std::vector<Candidate> all = candidates(parameters, count, alphabet, head_dim);
  const auto nearest = std::min_element(
      all.begin(), all.end(), [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
  const Candidate* best = nullptr;
  for (const Candidate& c : all)
    if (c.distance <= nearest->distance + kAsNear && (!best || c.aspect < best->aspect)) best = &c;
  if (!best)
    throw usage_error({.where = "the wanted model",
                       .expected = "a size that an ESM-2 shape comes near",
                       .found = text(human_count(parameters), " parameters"),
                       .advice = text("give a ", parameters < 1e9 ? "larger" : "smaller",
                                      " budget, or a size: --parameters, or --centre for a study")});
  config::ModelConfig shape;
  shape.layers = best->layers;
  shape.width = best->heads * head_dim;
  shape.heads = best->heads;
  shape.ffn = 4 * shape.width;
  shape.alphabet = alphabet;
  shape.name =
      text("esm2_", human_count(count_as(shape, laws::ParameterCount::kaplan)), "_", shape_name(shape));
  return shape;
}

std::string shape_name(const config::ModelConfig& model) {
  return text(model.layers, "x", model.width, "x", model.heads);
}

}  // namespace esmscale::study

// ESM-2 shapes that can be built near a wanted size.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/laws/points/counts.h"

#include <cstdint>
#include <string>

namespace esmscale::study {

// N of `model`.
double count_as(const config::ModelConfig& model, laws::ParameterCount count);

// Head dimension of ESM-2 at N (Kaplan) parameters: 16, 24, 32, 64, 128 with the borders between its
// published sizes; 8 below 10,000 parameters.
int64_t head_dim_at(double parameters);

// The buildable shape nearest in N (by `count`): FFN = 4·width, head_dim_at(N), width/layers in
// 20…110 (one layer: widths from 16). Of the shapes whose distance in ln N is at most 0.02 above the
// nearest's, the one whose width/layers is most like ESM-2's at that size. Error when there is none.
config::ModelConfig nearest_shape(double parameters, laws::ParameterCount count, int64_t alphabet = 29);

// "6x320x20": layers, width, heads.
std::string shape_name(const config::ModelConfig& model);

}  // namespace esmscale::study

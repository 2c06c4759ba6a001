// Dense peak rates of devices, by name and precision, for MFU. A number always travels with its name.
#pragma once

#include "esmscale/config/choices.h"

#include <string>
#include <string_view>

namespace esmscale::accounting {

struct DevicePeak {
  std::string name;  // "NVIDIA H100 SXM bf16 dense"; for an unknown device the given name
  config::Precision precision = config::Precision::fp32;  // never `automatic`
  double flops = 0;   // per second, without sparsity; 0 when unknown (then no MFU is shown)
  double memory = 0;  // bytes; 0 when unknown
};

// `device` as CUDA names it ("NVIDIA H100 80GB HBM3") or a short name (a100, h100, h200). A
// size in the name ("40GB") wins over the table's. A slice of a device (MIG) is unknown. `automatic` is the
// precision that the device takes for it; a device that is not in the table has bf16, except "cpu".
DevicePeak device_peak(std::string_view device, config::Precision asked);

}  // namespace esmscale::accounting

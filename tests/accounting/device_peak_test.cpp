#include "esmscale/accounting/device_peak.h"

#include <gtest/gtest.h>

namespace esmscale::accounting {
namespace {

using config::Precision;

// Oracle: NVIDIA's data sheets (dense), under the names that CUDA gives the devices.
TEST(DevicePeak, DataSheets) {
  EXPECT_EQ(device_peak("NVIDIA A100-SXM4-80GB", Precision::bf16).flops, 312e12);
  EXPECT_EQ(device_peak("NVIDIA A100-SXM4-80GB", Precision::tf32).flops, 156e12);
  EXPECT_EQ(device_peak("NVIDIA A100-SXM4-80GB", Precision::fp32).flops, 19.5e12);
  EXPECT_EQ(device_peak("NVIDIA H100 80GB HBM3", Precision::bf16).flops, 989e12);
  EXPECT_EQ(device_peak("NVIDIA H100 80GB HBM3", Precision::tf32).flops, 495e12);
  EXPECT_EQ(device_peak("NVIDIA H100 80GB HBM3", Precision::fp32).flops, 67e12);
  EXPECT_EQ(device_peak("NVIDIA H100 PCIe", Precision::bf16).flops, 756e12);
  EXPECT_EQ(device_peak("NVIDIA H200", Precision::bf16).flops, 989e12);
  EXPECT_EQ(device_peak("Tesla V100-SXM2-32GB", Precision::fp32).flops, 15.7e12);
}

TEST(DevicePeak, NameSaysWhatTheNumberIs) {
  EXPECT_EQ(device_peak("h100", Precision::bf16).name, "NVIDIA H100 SXM bf16 dense");
  EXPECT_EQ(device_peak("NVIDIA L40S", Precision::tf32).name, "NVIDIA L40S tf32 dense");
}

TEST(DevicePeak, MemoryOfTheNameWins) {
  EXPECT_EQ(device_peak("NVIDIA A100-PCIE-40GB", Precision::fp32).memory, 40 * 0x1p30);
  EXPECT_EQ(device_peak("a100", Precision::fp32).memory, 80 * 0x1p30);
  EXPECT_EQ(device_peak("NVIDIA H200", Precision::fp32).memory, 141 * 0x1p30);
}

TEST(DevicePeak, AutomaticIsWhatTheDeviceHas) {
  EXPECT_EQ(device_peak("h100", Precision::automatic).flops, 989e12);
  EXPECT_EQ(device_peak("h100", Precision::automatic).precision, Precision::bf16);
  EXPECT_EQ(device_peak("v100", Precision::automatic).flops, 15.7e12);
  EXPECT_EQ(device_peak("v100", Precision::automatic).precision, Precision::fp32);
  EXPECT_EQ(device_peak("cpu", Precision::automatic).precision, Precision::fp32);
  EXPECT_EQ(device_peak("a100", Precision::tf32).precision, Precision::tf32);
}

// A name that only begins like a known one, a slice of a device and a precision it lacks have no peak here.
TEST(DevicePeak, UnknownIsZero) {
  for (const char* name : {"AMD EPYC 7763", "NVIDIA A100X", "NVIDIA A10G", "", "A100 MIG 1g.10gb"}) {
    EXPECT_EQ(device_peak(name, Precision::bf16).flops, 0) << name;
    EXPECT_EQ(device_peak(name, Precision::bf16).memory, 0) << name;
  }
  EXPECT_EQ(device_peak("Tesla V100-SXM2-16GB", Precision::bf16).flops, 0);
  EXPECT_EQ(device_peak("Tesla V100-SXM2-16GB", Precision::bf16).name,
            "NVIDIA V100 SXM2 bf16 (peak unknown)");
}

}  // namespace
}  // namespace esmscale::accounting

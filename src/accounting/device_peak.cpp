#include "esmscale/accounting/device_peak.h"

#include "esmscale/config/engine_choice.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

namespace esmscale::accounting {
namespace {

using Words = std::vector<std::string>;

// From the vendor's data sheets, dense, at the boost clock; bf16 accumulates in fp32. A rate of 0: it has
// none.
struct Device {
  const char* name;
  std::array<const char*, 2> words;  // of CUDA's name for it; "" matches any
  double bf16, tf32, fp32;           // teraFLOP/s
  double gibibytes;
};

// The first match of a name counts: variants come before the plain form.
constexpr std::array kDevices{
    Device{"NVIDIA H200 NVL", {"h200", "nvl"}, 835.5, 417.5, 60, 141},
    Device{"NVIDIA H200 SXM", {"h200", ""}, 989, 495, 67, 141},
    Device{"NVIDIA H100 PCIe", {"h100", "pcie"}, 756, 378, 51, 80},
    Device{"NVIDIA H100 NVL", {"h100", "nvl"}, 835.5, 417.5, 60, 94},
    Device{"NVIDIA H100 SXM", {"h100", ""}, 989, 495, 67, 80},
    Device{"NVIDIA A100", {"a100", ""}, 312, 156, 19.5, 80},
    Device{"NVIDIA A40", {"a40", ""}, 149.7, 74.8, 37.4, 48},
    Device{"NVIDIA A10", {"a10", ""}, 125, 62.5, 31.2, 24},
    Device{"NVIDIA L40S", {"l40s", ""}, 362, 183, 91.6, 48},
    Device{"NVIDIA L4", {"l4", ""}, 121, 60, 30.3, 24},
    Device{"NVIDIA V100 PCIe", {"v100", "pcie"}, 0, 0, 14, 16},
    Device{"NVIDIA V100 SXM2", {"v100", ""}, 0, 0, 15.7, 16},
};

Words words_of(std::string_view name) {
  Words words(1);
  for (const char c : name)
    if (const auto letter = static_cast<unsigned char>(c); std::isalnum(letter))
      words.back() += static_cast<char>(std::tolower(letter));
    else if (!words.back().empty())
      words.emplace_back();
  return words;
}

bool contains(const Words& words, std::string_view word) {
  return word.empty() || std::find(words.begin(), words.end(), word) != words.end();
}

// The number before "gb" in a word such as "80gb", or 0.
double stated_gibibytes(const Words& words) {
  for (const std::string& word : words) {
    int size = 0;
    const auto [end, status] = std::from_chars(word.data(), word.data() + word.size(), size);
    if (status == std::errc() && std::string_view(end) == "gb") return size;
  }
  return 0;
}

double rate_of(const Device& device, config::Precision precision) {
  switch (precision) {
    case config::Precision::bf16:
    case config::Precision::fp8:  // its weight gradients and its head are bf16: one peak makes their MFU
                                  // comparable
      return device.bf16;
    case config::Precision::tf32:
      return device.tf32;
    default:
      return device.fp32;
  }
}

}  // namespace

DevicePeak device_peak(std::string_view device, config::Precision asked) {
  constexpr double kTera = 1e12, kGibi = 0x1p30;
  const Words words = words_of(device);
  const auto known = std::find_if(kDevices.begin(), kDevices.end(), [&](const Device& d) {
    return contains(words, d.words[0]) && contains(words, d.words[1]);
  });
  const config::DeviceKind kind = device == "cpu" ? config::DeviceKind::cpu : config::DeviceKind::gpu;
  const config::Precision precision =
      config::precision_on(asked, kind, known == kDevices.end() || known->bf16 > 0);
  if (known == kDevices.end() || contains(words, "mig"))
    return {.name = text(device, " ", enum_name(precision), " (peak unknown)"), .precision = precision};
  const double stated = stated_gibibytes(words);
  const double rate = rate_of(*known, precision);
  return {.name = text(known->name, " ", enum_name(precision), rate > 0 ? " dense" : " (peak unknown)"),
          .precision = precision,
          .flops = rate * kTera,
          .memory = (stated > 0 ? stated : known->gibibytes) * kGibi};
}

}  // namespace esmscale::accounting

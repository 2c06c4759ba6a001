#include "cli/device_flag.h"

#include "cli/enum_flag.h"
#include "esmscale/accounting/memory.h"

namespace esmscale::cli {

void add_device_flag(CLI::App& verb, train::DeviceChoice& device) {
  add_enum_flag(verb, "--device", device, "auto, cpu or cuda");
}

config::DeviceKind planned_device(const config::RunConfig& config, train::DeviceChoice wanted) {
  if (wanted == train::DeviceChoice::automatic) return accounting::usual_device(config);
  return wanted == train::DeviceChoice::cpu ? config::DeviceKind::cpu : config::DeviceKind::gpu;
}

}  // namespace esmscale::cli

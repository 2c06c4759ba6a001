// --device, and the kind of device that it means for a plan.
#pragma once

#include "cli/verb.h"
#include "esmscale/config/config.h"
#include "esmscale/config/engine_choice.h"
#include "esmscale/train/process/device_choice.h"

namespace esmscale::cli {

void add_device_flag(CLI::App& verb, train::DeviceChoice& device);

// The device of a run that need not start on this machine; auto is the usual one for its precision.
config::DeviceKind planned_device(const config::RunConfig& config, train::DeviceChoice wanted);

}  // namespace esmscale::cli

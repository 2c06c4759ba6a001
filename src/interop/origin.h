// Facts that an imported model keeps in addition to its weights (CheckpointInfo::origin), so that an export
// can give it back.
#pragma once

#include "esmscale/interop/contact_head.h"

#include <string>

namespace esmscale::interop {

inline constexpr const char* kContactWeight = "esm.contact_head.regression.weight";
inline constexpr const char* kContactBias = "esm.contact_head.regression.bias";

// JSON: the folder's config.json (its text) and the head.
std::string origin_of(const std::string& config, const ContactHead& head);

}  // namespace esmscale::interop

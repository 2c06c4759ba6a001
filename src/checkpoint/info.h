#pragma once

#include "esmscale/checkpoint/checkpoint.h"

namespace esmscale::checkpoint {

Json info_to_json(const CheckpointInfo& info);
// Errors name the file and what is missing, newer or of another kind.
CheckpointInfo info_from_json(const Json& json, const std::filesystem::path& file);

// checkpoint.json of a folder. `bytes` and `blocks`: length and checksums of its tensors.
void write_metadata(const std::filesystem::path& folder, const CheckpointInfo& info, const Json& bytes,
                    const Json& blocks);

}  // namespace esmscale::checkpoint

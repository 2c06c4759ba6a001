// The parts of `esmscale doctor`.
#pragma once

#include "esmscale/train/doctor.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <c10/core/Device.h>

namespace esmscale::train::doctor {

// A check of what may throw: an Error becomes its result, with the error's own advice.
Check guarded(const std::string& name, const std::function<Check()>& check);

// This process's machine: processor, cores, memory.
std::vector<Check> machine_checks();
// GPUs, the driver, and what else uses them.
Check device_check(DeviceChoice wanted);
// The file system of `folder`: renaming, locks, speed, room.
std::vector<Check> file_checks(const std::filesystem::path& folder);

// All ranks call the rest, in this order.

// How many ranks on which nodes; ranks that share a GPU, GPUs that no rank uses.
Check placement_check(const c10::Device& device, dist::Ranks& ranks);
// The same from what the ranks are on: hosts, and GPUs ("" for a CPU). `gpus_of_node`: of this rank's node;
// 0: not known.
Check judge_placement(const std::vector<std::string>& hosts, const std::vector<std::string>& gpus,
                      int gpus_of_node);
// Whether a file that rank 0 writes is there for the others.
Check shared_folder_check(const std::filesystem::path& folder, dist::Ranks& ranks);

// Known whole numbers through every collective, and how fast they go, from 40 B to `largest_bytes`.
Check collectives_check(const c10::Device& device, int64_t largest_bytes, dist::Ranks& ranks,
                        std::vector<CollectiveRate>& rates);

// NCCL writes what it connects, and over what network, to this file (its %h and %p are host and process). To
// be called before its first collective; false where the user's own NCCL_DEBUG or NCCL_DEBUG_FILE wins.
bool log_nccl_to(const std::filesystem::path& file);

// NCCL's own words about the connections that it makes, from its construction on. NCCL_DEBUG and
// NCCL_DEBUG_FILE of the user's win; then nothing is read.
class NcclLog {
 public:
  NcclLog(const c10::Device& device, const dist::Ranks& ranks);
  ~NcclLog();
  NcclLog(const NcclLog&) = delete;
  NcclLog& operator=(const NcclLog&) = delete;
  std::string text() const;

 private:
  std::filesystem::path path_;
};
// "P2P, NET/IB": the transports in NCCL's log.
std::string transports_in(const std::string& nccl_log);
Check transport_check(const c10::Device& device, const std::string& nccl_log, bool has_several_nodes,
                      dist::Ranks& ranks);

// Twenty steps of a small model at each ZeRO stage against one rank, with and without a device-wide wait
// after every collective; the weights bit for bit between ranks. One check for each stage.
std::vector<Check> training_checks(const c10::Device& device, dist::Ranks& ranks);

}  // namespace esmscale::train::doctor

#include "esmscale/core/checksum.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/process/device.h"
#include "train/doctor/checks.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include <unistd.h>

#ifdef ESMSCALE_HAS_CUDA
#include <ATen/cuda/CUDAContext.h>
#endif

namespace esmscale::train::doctor {
namespace {

// What makes a GPU that one, on whatever node; "" for a CPU.
std::string identity_of(const c10::Device& device) {
#ifdef ESMSCALE_HAS_CUDA
  if (device.is_cuda()) {
    const cudaDeviceProp& gpu = *at::cuda::getDeviceProperties(device.index());
    return checksum_hex(std::string_view(gpu.uuid.bytes, sizeof(gpu.uuid.bytes)));
  }
#endif
  return device.is_cuda() ? "GPU" : "";
}

// Which ranks are on which node, and on which GPU.
std::map<std::string, std::vector<std::string>> ranks_by(const std::vector<std::string>& places) {
  std::map<std::string, std::vector<std::string>> ranks;
  for (size_t rank = 0; rank < places.size(); ++rank)
    if (!places[rank].empty()) ranks[places[rank]].push_back(std::to_string(rank));
  return ranks;
}

}  // namespace

Check judge_placement(const std::vector<std::string>& hosts, const std::vector<std::string>& gpus,
                      int gpus_of_node) {
  const auto by_node = ranks_by(hosts), by_gpu = ranks_by(gpus);
  Check check{.name = "placement",
              .found = text(hosts.size(), hosts.size() == 1 ? " rank on " : " ranks on ", by_node.size(),
                            by_node.size() == 1 ? " node" : " nodes")};
  for (const auto& [place, sharing] : by_gpu)
    if (sharing.size() > 1) {
      check.result = CheckResult::error;
      check.found += text("; one GPU has the ranks ", join(sharing, ", "));
      check.advice = "start as many ranks on a node as it has GPUs (--ntasks-per-node, --gpus-per-node)";
      return check;
    }
  const auto ranks_of_node = static_cast<int>(by_node.begin()->second.size());
  if (!by_gpu.empty() && gpus_of_node > ranks_of_node) {
    check.result = CheckResult::warning;
    check.found += text("; ", gpus_of_node - ranks_of_node, " GPUs of a node have no rank");
    check.advice = "start a rank for each GPU";
  }
  return check;
}

Check placement_check(const c10::Device& device, dist::Ranks& ranks) {
  // NCCL takes ranks of different NCCL_HOSTID for ranks of different nodes.
  const char* given = std::getenv("NCCL_HOSTID");
  const std::string host = given ? text(run::host_name(), " ", given) : run::host_name();
  const std::string gpu = identity_of(device);
  const std::vector<std::string> hosts = ranks.exchange("nodes", host);
  const std::vector<std::string> gpus = ranks.exchange("GPUs", gpu.empty() ? "" : host + " " + gpu);
  // A rank that sees one GPU has it from the scheduler: what else the node has is not known.
  return judge_placement(hosts, gpus, gpu_count() > 1 ? gpu_count() : 0);
}

bool log_nccl_to(const std::filesystem::path& file) {
  if (std::getenv("NCCL_DEBUG") || std::getenv("NCCL_DEBUG_FILE")) return false;
  ::setenv("NCCL_DEBUG", "INFO", 1);
  ::setenv("NCCL_DEBUG_SUBSYS", "INIT,NET,P2P,SHM,NVLS,ENV", 0);
  ::setenv("NCCL_DEBUG_FILE", file.c_str(), 1);
  return true;
}

NcclLog::NcclLog(const c10::Device& device, const dist::Ranks& ranks) {
  if (!device.is_cuda() || ranks.size() == 1) return;
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     esmscale::text("esmscale-doctor-nccl-", ::getpid(), "-", ranks.rank());
  if (log_nccl_to(file)) path_ = file;
}

NcclLog::~NcclLog() {
  if (!path_.empty()) discard(path_);
}

std::string NcclLog::text() const {
  return path_.empty() || !std::filesystem::exists(path_) ? "" : read_file(path_);
}

std::string transports_in(const std::string& nccl_log) {
  std::set<std::string> transports;
  const std::string via = " via ";
  for (size_t at = nccl_log.find(via); at != std::string::npos; at = nccl_log.find(via, at + 1)) {
    const size_t begin = at + via.size();
    for (const char* name : {"P2P", "SHM", "NET/IB", "NET/Socket", "NVLS", "COLLNET"})
      if (nccl_log.compare(begin, std::string_view(name).size(), name) == 0) transports.insert(name);
    // A plugin's network, "NET/AWS Libfabric/0": its name as NCCL gives it.
    const size_t end = nccl_log.find_first_of("/\n", begin + 4);
    if (nccl_log.compare(begin, 4, "NET/") == 0 && end != std::string::npos)
      transports.insert(nccl_log.substr(begin, end - begin));
  }
  const std::vector<std::string> names(transports.begin(), transports.end());
  return join(names, ", ");
}

Check transport_check(const c10::Device& device, const std::string& nccl_log, bool has_several_nodes,
                      dist::Ranks& ranks) {
  if (device.is_cpu()) return {.name = "transport", .found = "Gloo over TCP"};
  std::set<std::string> all;
  for (const std::string& transports : ranks.exchange("transports", transports_in(nccl_log)))
    if (!transports.empty()) all.insert(transports);
  const std::string found = join(std::vector<std::string>(all.begin(), all.end()), ", ");
  if (found.empty())
    return {.name = "transport",
            .found = "not known: NCCL's log is where NCCL_DEBUG and NCCL_DEBUG_FILE say"};
  Check check{.name = "transport", .found = "NCCL over " + found};
  if (has_several_nodes && found.find("NET/Socket") != std::string::npos) {
    check.result = CheckResult::warning;
    check.advice =
        "the nodes talk over TCP, ten times slower than their InfiniBand or the like: load the site's NCCL "
        "plugin (aws-ofi-nccl), or set NCCL_IB_HCA, NCCL_IB_GID_INDEX or NCCL_SOCKET_IFNAME (docs/slurm.md)";
  }
  return check;
}

}  // namespace esmscale::train::doctor

#include "esmscale/dist/placement.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <charconv>
#include <optional>

namespace esmscale::dist {
namespace {

constexpr int kFirstPort = 20000, kPorts = 12000;  // Linux hands out ports from 32768 on by itself

// The variables of one starter of processes; "" where it has none.
struct Names {
  const char *source, *rank, *ranks, *local_rank, *local_ranks, *job;
};
constexpr Names kTorchrun{"torchrun",           "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
                          "TORCHELASTIC_RUN_ID"};
constexpr Names kOpenMpi{"Open MPI",
                         "OMPI_COMM_WORLD_RANK",
                         "OMPI_COMM_WORLD_SIZE",
                         "OMPI_COMM_WORLD_LOCAL_RANK",
                         "OMPI_COMM_WORLD_LOCAL_SIZE",
                         "OMPI_MCA_ess_base_jobid"};
constexpr Names kSlurm{"SLURM", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "", "SLURM_JOB_ID"};

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  std::string text_of(const char* name) const {
    const char* value = *name ? environment_(name) : nullptr;
    return value ? value : "";
  }

  std::optional<int> number(const char* name) const {
    const std::string value = text_of(name);
    if (value.empty()) return std::nullopt;
    int number = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (problem != std::errc() || end != value.data() + value.size() || number < 0)
      throw usage_error({.where = name, .expected = "a whole number", .found = text("'", value, "'")});
    return number;
  }

 private:
  const Environment& environment_;
};

int meeting_port(const Reader& env, const std::string& job) {
  constexpr int kLargest = 65535;
  if (const auto port = env.number("MASTER_PORT")) {
    if (*port > 0 && *port <= kLargest) return *port;
    throw usage_error({.where = "MASTER_PORT",
                       .expected = text("a port from 1 to ", kLargest),
                       .found = std::to_string(*port)});
  }
  unsigned hash = 0;
  for (const char c : job) hash = hash * 31 + static_cast<unsigned char>(c);
  return kFirstPort + static_cast<int>(hash % kPorts);
}

bool is_one_node(const Reader& env, const Names& names, int ranks) {
  if (const auto nodes = env.number("SLURM_STEP_NUM_NODES"); nodes && names.source == kSlurm.source)
    return *nodes == 1;
  return env.number(names.local_ranks) == ranks;
}

// The number of this rank on its node; −1: nobody states it, and it does not follow from the rank.
int local_rank_of(const Reader& env, const Names& names, int rank, int ranks) {
  for (const char* name : {names.local_rank, kOpenMpi.local_rank, kSlurm.local_rank})
    if (const auto local_rank = env.number(name)) return *local_rank;
  return ranks == 1 || is_one_node(env, names, ranks) ? rank : -1;
}

// One of the two numbers alone says that something was forgotten, unless another starter has both.
void require_both(const Reader& env, const Names& names) {
  const bool has_rank = env.number(names.rank).has_value(), has_ranks = env.number(names.ranks).has_value();
  if (has_rank == has_ranks) return;
  throw usage_error({.where = has_rank ? names.ranks : names.rank,
                     .expected = text("a number, as ", has_rank ? names.rank : names.ranks, " is set"),
                     .found = "nothing",
                     .advice = "start the ranks with srun, torchrun, mpirun or --ranks N, or unset both"});
}

std::optional<Placement> placement_by(const Reader& env, const Names& names) {
  const auto rank = env.number(names.rank), ranks = env.number(names.ranks);
  if (!rank || !ranks) return std::nullopt;
  if (*rank >= *ranks)
    throw usage_error({.where = text(names.rank, " and ", names.ranks),
                       .expected = "a rank below the number of ranks",
                       .found = text(*rank, " of ", *ranks)});
  Placement placement{.rank = *rank,
                      .ranks = *ranks,
                      .local_rank = local_rank_of(env, names, *rank, *ranks),
                      .host = env.text_of("MASTER_ADDR"),
                      .job = env.text_of(names.job),
                      .source = names.source};
  if (names.source == kSlurm.source) placement.job = text(placement.job, ".", env.text_of("SLURM_STEP_ID"));
  // torchrun starts the ranks anew after a failure, and its store still holds the attempt before.
  if (const int restarts = env.number("TORCHELASTIC_RESTART_COUNT").value_or(0); restarts > 0)
    placement.job = text(placement.job, ", attempt ", restarts + 1);
  placement.port = meeting_port(env, placement.job);
  if (placement.host.empty() && *ranks > 1 && !is_one_node(env, names, *ranks))
    throw usage_error(
        {.where = "MASTER_ADDR",
         .expected = "the address of the first node, where the ranks meet",
         .found = "nothing",
         .advice = "export MASTER_ADDR=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | head -n 1)"});
  if (placement.host.empty()) placement.host = "127.0.0.1";
  placement.launcher = env.number(kLauncherVariable).value_or(0);
  // torchrun's agent and our launcher serve the store themselves.
  placement.hosts_store = *rank == 0 && env.text_of("TORCHELASTIC_USE_AGENT_STORE") != "True";
  return placement;
}

}  // namespace

Placement find_placement(const Environment& environment) {
  const Reader env(environment);
  for (const Names& names : {kTorchrun, kOpenMpi, kSlurm})
    if (auto placement = placement_by(env, names)) return *placement;
  for (const Names& names : {kTorchrun, kOpenMpi}) require_both(env, names);
  return {};
}

void require_all_tasks(const Placement& placement, const Environment& environment) {
  const int tasks = Reader(environment).number("SLURM_NTASKS").value_or(1);
  if (!placement.source.empty() || tasks < 2) return;
  throw usage_error({.where = "SLURM_NTASKS",
                     .expected = "one process for each task of the job",
                     .found = text(tasks, " tasks, and this is one process"),
                     .advice = "start it with srun, or give --ranks 1 for one process"});
}

}  // namespace esmscale::dist

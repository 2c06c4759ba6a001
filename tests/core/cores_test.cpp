#include "esmscale/core/cores.h"

#include "esmscale/core/files/files.h"
#include "support/temporary.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

namespace esmscale {
namespace {

using ::testing::HasSubstr;

CoreLimits machine_of(int cores) {
  return {.machine = cores, .affinity = cores};
}

TEST(Cores, TheLeastLimitCounts) {
  EXPECT_EQ(usable_cores(machine_of(16)).count, 16);
  CoreLimits limits = machine_of(16);
  limits.affinity = 4;
  EXPECT_EQ(usable_cores(limits).count, 4);
  EXPECT_THAT(usable_cores(limits).limit, HasSubstr("mask of 4 cores"));
  limits.quota = 2.5;  // time for two cores and a half keeps three threads busy
  EXPECT_EQ(usable_cores(limits).count, 3);
  limits.slurm = 2;
  EXPECT_EQ(usable_cores(limits).limit, "SLURM_CPUS_PER_TASK = 2");
  limits.omp = 1;
  EXPECT_EQ(usable_cores(limits).count, 1);
  limits.quota = 0.5;
  EXPECT_EQ(usable_cores(limits).count, 1) << "never none";
}

TEST(Cores, RanksOfANodeShareWhatIsNotTheirOwn) {
  CoreLimits shared = machine_of(16);
  shared.node_ranks = 4;
  EXPECT_EQ(usable_cores(shared).count, 4);
  CoreLimits bound = shared;
  bound.affinity = 4;  // srun has bound each rank to its own
  EXPECT_EQ(usable_cores(bound).count, 4);
  CoreLimits asked = shared;
  asked.slurm = 3;  // each task's
  EXPECT_EQ(usable_cores(asked).count, 3);
  CoreLimits few = machine_of(2);
  few.node_ranks = 8;
  EXPECT_EQ(usable_cores(few).count, 1);
}

TEST(Cores, LimitsAreReadFromTheEnvironment) {
  const std::map<std::string, std::string> variables{
      {"SLURM_CPUS_PER_TASK", "6"}, {"OMP_NUM_THREADS", "many"}, {"SLURM_STEP_TASKS_PER_NODE", "4(x2),3"}};
  const CoreLimits limits = core_limits([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
  EXPECT_EQ(limits.slurm, 6);
  EXPECT_EQ(limits.omp, 0) << "no number";
  EXPECT_EQ(limits.node_ranks, 4);
}

// Oracle: the rules of the kernel's documentation, "QUOTA PERIOD" in cpu.max and "max" for none; the group
// above limits those within it.
TEST(Cores, QuotasOfControlGroups) {
  const TemporaryFolder root;
  const auto none = [](const char*) -> const char* { return nullptr; };
  const auto file = [&](const std::string& path, const std::string& content) {
    make_folder(std::filesystem::path(root / path).parent_path());
    write_file(root / path, content);
  };
  EXPECT_EQ(core_limits(none, root / "").quota, 0);
  file("proc/self/cgroup", "0::/jobs/one\n");
  file("sys/fs/cgroup/jobs/one/cpu.max", "max 100000\n");
  EXPECT_EQ(core_limits(none, root / "").quota, 0);
  file("sys/fs/cgroup/jobs/cpu.max", "150000 100000\n");
  EXPECT_EQ(core_limits(none, root / "").quota, 1.5);
  file("sys/fs/cgroup/jobs/one/cpu.max", "50000 100000\n");
  EXPECT_EQ(core_limits(none, root / "").quota, 0.5);
  file("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/old\n");
  file("sys/fs/cgroup/cpu/old/cpu.cfs_quota_us", "300000\n");
  file("sys/fs/cgroup/cpu/old/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(core_limits(none, root / "").quota, 3);
}

TEST(Cores, TheAffinityMaskOfThisProcess) {
  cpu_set_t before, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  for (size_t core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core)
    if (CPU_ISSET(core, &before)) CPU_SET(core, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(core_limits([](const char*) -> const char* { return nullptr; }).affinity, 1);
  EXPECT_EQ(usable_cores().count, 1);
  ::sched_setaffinity(0, sizeof(before), &before);
}

}  // namespace
}  // namespace esmscale

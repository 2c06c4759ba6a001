#include "esmscale/train/doctor.h"

#include "esmscale/core/files/files.h"
#include "support/ranks_in_threads.h"
#include "support/temporary.h"
#include "train/doctor/checks.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

const Check& check_of(const Diagnosis& diagnosis, const std::string& name) {
  const auto found = std::find_if(diagnosis.checks.begin(), diagnosis.checks.end(),
                                  [&](const Check& check) { return check.name == name; });
  static const Check none{.name = "none"};
  return found == diagnosis.checks.end() ? none : *found;
}

TEST(Doctor, OneRankLooksAtItsMachine) {
  const TemporaryFolder folder;
  dist::Ranks alone;
  const Diagnosis diagnosis = diagnose({.device = DeviceChoice::cpu, .folder = folder.path()}, alone);
  for (const char* name :
       {"processor", "cores", "memory", "devices", "atomic rename", "locks", "fsync", "free space"})
    EXPECT_EQ(check_of(diagnosis, name).name, name);
  for (const char* name : {"atomic rename", "locks"})
    EXPECT_EQ(check_of(diagnosis, name).result, CheckResult::ok) << check_of(diagnosis, name).found;
  EXPECT_TRUE(diagnosis.collectives.empty());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "what was tried is removed";
  const Json json = to_json(diagnosis);
  for (const char* key : {"name", "result", "found", "advice"})
    EXPECT_TRUE(json["checks"][0].contains(key)) << key;
  EXPECT_TRUE(json["collectives"].is_array());
}

TEST(Doctor, AFolderThatIsNotThereIsAnError) {
  dist::Ranks alone;
  const Diagnosis diagnosis = diagnose({.device = DeviceChoice::cpu, .folder = "/proc/nowhere"}, alone);
  EXPECT_EQ(diagnosis.worst(), CheckResult::error);
  EXPECT_THAT(check_of(diagnosis, "free space").found, HasSubstr("/proc/nowhere"));
}

TEST(Doctor, AGpuThatIsAskedForAndNotThere) {
  const Check check = doctor::device_check(DeviceChoice::cuda);
  if (check.result == CheckResult::ok) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_EQ(check.result, CheckResult::error);
  EXPECT_NE(check.advice, "");
}

TEST(Doctor, RanksTryTheirCollectivesAndTrain) {
  const TemporaryFolder folder;
  std::mutex mutex;
  std::vector<Diagnosis> all;
  dist::with_ranks(2, [&](dist::Ranks& ranks) {
    Diagnosis one =
        diagnose({.device = DeviceChoice::cpu, .folder = folder.path(), .largest_bytes = 1 << 20}, ranks);
    const std::lock_guard lock(mutex);
    all.push_back(std::move(one));
  });
  ASSERT_EQ(all.size(), 2U);
  for (const Diagnosis& diagnosis : all) {
    for (const char* name : {"placement", "shared folder", "collectives", "transport", "training at stage 0",
                             "training at stage 1", "training at stage 2"})
      EXPECT_EQ(check_of(diagnosis, name).result, CheckResult::ok) << check_of(diagnosis, name).found;
    EXPECT_THAT(check_of(diagnosis, "training at stage 2").found,
                AllOf(HasSubstr("bit-equal on all ranks"), HasSubstr("0e+00 from a wait")));
    ASSERT_EQ(diagnosis.collectives.size(), 8U) << "four collectives at 40 B and at 1 MiB";
    for (const CollectiveRate& rate : diagnosis.collectives) {
      EXPECT_GE(rate.bytes, 40);
      EXPECT_GT(rate.seconds, 0);
      // The factors of nccl-tests at two ranks.
      const double factor = rate.name == "broadcast" ? 1 : (rate.name == "all-reduce" ? 2 : 1) / 2.0;
      EXPECT_NEAR(rate.bus_bandwidth * rate.seconds / static_cast<double>(rate.bytes), factor, 1e-9);
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Doctor, RanksThatShareAGpuAreNamed) {
  const std::vector<std::string> hosts{"n1", "n1", "n2", "n2"};
  EXPECT_EQ(doctor::judge_placement(hosts, {"n1 a", "n1 b", "n2 a", "n2 b"}, 2).result, CheckResult::ok);
  EXPECT_THAT(doctor::judge_placement(hosts, {"", "", "", ""}, 0).found, HasSubstr("4 ranks on 2 nodes"));
  const Check shared = doctor::judge_placement(hosts, {"n1 a", "n1 b", "n2 a", "n2 a"}, 2);
  EXPECT_EQ(shared.result, CheckResult::error);
  EXPECT_THAT(shared.found, HasSubstr("one GPU has the ranks 2, 3"));
  const Check idle = doctor::judge_placement(hosts, {"n1 a", "n1 b", "n2 a", "n2 b"}, 8);
  EXPECT_EQ(idle.result, CheckResult::warning);
  EXPECT_THAT(idle.found, HasSubstr("6 GPUs of a node have no rank"));
}

TEST(Doctor, NcclsLogIsTheUsersFirst) {
  const char* names[] = {"NCCL_DEBUG", "NCCL_DEBUG_SUBSYS", "NCCL_DEBUG_FILE"};
  for (const char* name : names) ::unsetenv(name);
  EXPECT_TRUE(doctor::log_nccl_to("/runs/logs/nccl-%h-%p.log"));
  EXPECT_STREQ(std::getenv("NCCL_DEBUG_FILE"), "/runs/logs/nccl-%h-%p.log");
  EXPECT_FALSE(doctor::log_nccl_to("/elsewhere")) << "now it is set";
  EXPECT_STREQ(std::getenv("NCCL_DEBUG_FILE"), "/runs/logs/nccl-%h-%p.log");
  for (const char* name : names) ::unsetenv(name);
}

// Lines of NCCL 2.28's log.
TEST(Doctor, TransportsOfNccl) {
  EXPECT_EQ(
      doctor::transports_in("n1:7 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM/read\n"
                            "n1:7 [0] NCCL INFO Channel 01/0 : 1[1] -> 2[0] [send] via NET/IB/0/GDRDMA\n"),
      "NET/IB, P2P");
  EXPECT_EQ(doctor::transports_in("Channel 00/0 : 0[0] -> 1[0] [receive] via NET/Socket/0\n"), "NET/Socket");
  EXPECT_EQ(doctor::transports_in("Channel 00/0 : 0[0] -> 1[0] [send] via NET/AWS Libfabric/1\n"),
            "NET/AWS Libfabric");
  EXPECT_EQ(doctor::transports_in("Channel 00 : 0[0] -> 1[1] via SHM/direct/direct\n"), "SHM");
  EXPECT_EQ(doctor::transports_in("nothing of it"), "");
}

TEST(Doctor, WordsForPeople) {
  const Diagnosis diagnosis{
      .checks = {{.name = "locks", .result = CheckResult::warning, .found = "none", .advice = "mount it"}},
      .collectives = {{.name = "all-reduce", .bytes = 1 << 20, .seconds = 0.5, .bus_bandwidth = 2e6}}};
  EXPECT_EQ(diagnosis.worst(), CheckResult::warning);
  EXPECT_THAT(to_text(diagnosis), AllOf(HasSubstr("warning: locks: none\n    mount it"),
                                        HasSubstr("all-reduce"), HasSubstr("500.000")));
}

}  // namespace
}  // namespace esmscale::train

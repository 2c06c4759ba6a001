#include "esmscale/dist/placement.h"

#include "support/error_of.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::dist {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Placement placed(const Variables& variables) {
  return find_placement([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const Variables& variables) {
  return error_of([&] { placed(variables); });
}

Variables torchrun() {
  return {{"RANK", "5"},
          {"WORLD_SIZE", "8"},
          {"LOCAL_RANK", "1"},
          {"MASTER_ADDR", "node7"},
          {"MASTER_PORT", "29500"},
          {"LOCAL_WORLD_SIZE", "4"},
          {"TORCHELASTIC_RUN_ID", "job"},
          {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
}

Variables slurm(const std::string& rank, const std::string& nodes) {
  return {{"SLURM_PROCID", rank},  {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_LOCALID", "1"},
          {"SLURM_JOB_ID", "831"}, {"SLURM_STEP_ID", "0"},        {"SLURM_STEP_NUM_NODES", nodes}};
}

TEST(Placement, AloneWhenNobodySaysOtherwise) {
  const Placement alone = placed({});
  EXPECT_EQ(alone.ranks, 1);
  EXPECT_EQ(alone.rank, 0);
  EXPECT_EQ(alone.source, "");
  // A shell inside an allocation is no task of a step.
  EXPECT_EQ(placed({{"SLURM_JOB_ID", "1"}, {"SLURM_PROCID", "0"}}).ranks, 1);
}

TEST(Placement, Torchrun) {
  const Placement place = placed(torchrun());
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.ranks, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.host, "node7");
  EXPECT_EQ(place.port, 29500);
  EXPECT_EQ(place.source, "torchrun");
  EXPECT_FALSE(place.hosts_store) << "the agent serves it";
}

TEST(Placement, FirstRankServesTheStoreWhereNobodyElseDoes) {
  Variables variables = torchrun();
  variables.erase("TORCHELASTIC_USE_AGENT_STORE");
  EXPECT_FALSE(placed(variables).hosts_store);
  variables["RANK"] = "0";
  EXPECT_TRUE(placed(variables).hosts_store);
}

TEST(Placement, Slurm) {
  const Placement first = placed(slurm("0", "1")), last = placed(slurm("3", "1"));
  EXPECT_EQ(first.source, "SLURM");
  EXPECT_EQ(last.rank, 3);
  EXPECT_EQ(last.ranks, 4);
  EXPECT_EQ(last.local_rank, 1);
  EXPECT_TRUE(first.hosts_store);
  EXPECT_FALSE(last.hosts_store);
  EXPECT_EQ(first.port, last.port) << "without MASTER_PORT the job's number decides";
  EXPECT_GE(first.port, 20000);
  EXPECT_LT(first.port, 32768) << "Linux hands out the ports from there on";
  Variables other = slurm("0", "1");
  other["SLURM_JOB_ID"] = "832";
  EXPECT_NE(placed(other).port, first.port);
}

TEST(Placement, OpenMpi) {
  const Placement place = placed({{"OMPI_COMM_WORLD_RANK", "2"},
                                  {"OMPI_COMM_WORLD_SIZE", "3"},
                                  {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}});
  EXPECT_EQ(place.rank, 2);
  EXPECT_EQ(place.ranks, 3);
  EXPECT_EQ(place.host, "127.0.0.1") << "one node";
  EXPECT_EQ(place.source, "Open MPI");
}

TEST(Placement, SeveralNodesNeedAnAddress) {
  EXPECT_THAT(refusal(slurm("0", "2")),
              AllOf(HasSubstr("MASTER_ADDR"), HasSubstr("scontrol show hostnames")));
  Variables variables = torchrun();
  variables.erase("MASTER_ADDR");
  EXPECT_THAT(refusal(variables), HasSubstr("MASTER_ADDR"));
}

TEST(Placement, ANumberWithoutTheOtherIsRefused) {
  EXPECT_THAT(refusal({{"WORLD_SIZE", "2"}}), AllOf(HasSubstr("RANK:"), HasSubstr("as WORLD_SIZE is set")));
  EXPECT_THAT(refusal({{"RANK", "0"}}), AllOf(HasSubstr("WORLD_SIZE:"), HasSubstr("srun, torchrun")));
  EXPECT_THAT(refusal({{"OMPI_COMM_WORLD_SIZE", "2"}}), HasSubstr("OMPI_COMM_WORLD_RANK"));
  Variables both = slurm("2", "1");
  both["WORLD_SIZE"] = "4";  // scripts for other programs export it
  EXPECT_EQ(placed(both).rank, 2) << "srun states both";
}

TEST(Placement, ALocalRankThatNobodyStates) {
  Variables variables = torchrun();
  variables.erase("LOCAL_RANK");
  EXPECT_EQ(placed(variables).local_rank, -1) << "four of eight ranks are here, and this is the sixth";
  variables["SLURM_LOCALID"] = "3";
  EXPECT_EQ(placed(variables).local_rank, 3);
  variables.erase("SLURM_LOCALID");
  variables["LOCAL_WORLD_SIZE"] = "8";
  EXPECT_EQ(placed(variables).local_rank, 5) << "on one node it is the rank";
}

TEST(Placement, PortsThatAreNone) {
  Variables variables = torchrun();
  for (const char* port : {"0", "65536", "99999"}) {
    variables["MASTER_PORT"] = port;
    EXPECT_THAT(refusal(variables), AllOf(HasSubstr("MASTER_PORT"), HasSubstr("1 to 65535"))) << port;
  }
}

// Its store outlives an attempt, and the reason that ended that attempt is still in it.
TEST(Placement, AnAttemptOfTorchrunHasKeysOfItsOwn) {
  Variables variables = torchrun();
  variables["TORCHELASTIC_RESTART_COUNT"] = "0";
  const std::string first = placed(variables).job;
  EXPECT_EQ(first, "job");
  variables["TORCHELASTIC_RESTART_COUNT"] = "1";
  EXPECT_NE(placed(variables).job, first);
}

TEST(Placement, AForgottenSrunIsNamed) {
  const auto refused = [](const Variables& variables) {
    return error_of([&] {
      require_all_tasks(placed(variables), [&](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      });
    });
  };
  Variables batch{{"SLURM_JOB_ID", "1"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}};
  EXPECT_THAT(refused(batch), AllOf(HasSubstr("8 tasks"), HasSubstr("srun"), HasSubstr("--ranks 1")));
  batch["SLURM_NTASKS"] = "1";
  EXPECT_EQ(refused(batch), "no error");
  Variables step = slurm("2", "1");
  step["SLURM_NTASKS"] = "4";
  EXPECT_EQ(refused(step), "no error");
}

TEST(Placement, VariablesThatMakeNoSense) {
  Variables variables = torchrun();
  variables["RANK"] = "8";
  EXPECT_THAT(refusal(variables), AllOf(HasSubstr("RANK"), HasSubstr("8 of 8")));
  for (const char* value : {"x", "-1", "3.5", "1e3", ""}) {
    variables["RANK"] = value;
    if (*value == 0)
      EXPECT_THAT(refusal(variables), HasSubstr("as WORLD_SIZE is set")) << "an empty variable says nothing";
    else
      EXPECT_THAT(refusal(variables), AllOf(HasSubstr("RANK"), HasSubstr("whole number"))) << value;
  }
}

}  // namespace
}  // namespace esmscale::dist

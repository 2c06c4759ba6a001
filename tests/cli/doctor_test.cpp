// esmscale doctor, as users start it.
#include "cli/process.h"
#include "esmscale/core/json.h"
#include "support/temporary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Doctor : testing::Test {
  TemporaryFolder folder;
  std::vector<std::string> examined(const std::vector<std::string>& more) const {
    std::vector<std::string> all{"doctor", "--device", "cpu", "--output", folder.path()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(Doctor, RanksGiveOneDocument) {
  const TemporaryFolder words;
  Process process(words / "ranks", examined({"--ranks", "2", "--largest", "100K", "--json"}));
  ASSERT_EQ(process.wait(120), 0) << process.err() << process.out();
  const Json document = parse_json(process.out(), "doctor");
  std::vector<std::string> names;
  for (const Json& check : document["checks"]) {
    names.push_back(check["name"].get<std::string>());
    EXPECT_NE(check["result"], "error") << check;
  }
  for (const char* name : {"program", "cores", "placement", "collectives", "training at stage 2"})
    EXPECT_THAT(names, testing::Contains(name));
  EXPECT_EQ(document["collectives"].size(), 8U);
  EXPECT_GT(document["collectives"][7]["bus_bandwidth"].get<double>(), 0);
}

TEST_F(Doctor, AnErrorIsExitCodeOne) {
  const TemporaryFolder words;
  Process alone(words / "alone", {"doctor", "--device", "cpu", "--output", "/proc/nowhere"});
  EXPECT_EQ(alone.wait(), 1);
  EXPECT_THAT(alone.out(), AllOf(HasSubstr("error: atomic rename"), HasSubstr("ok: program: esmscale")));
  Process ranks(words / "ranks",
                {"doctor", "--device", "cpu", "--output", "/proc/nowhere", "--ranks", "2", "--json"});
  EXPECT_EQ(ranks.wait(), 1);
  EXPECT_TRUE(parse_json(ranks.out(), "doctor").contains("checks")) << "one document all the same";
}

TEST_F(Doctor, AForgottenSrunIsNamed) {
  const TemporaryFolder words;
  Process process(words / "srun", examined({}), {"SLURM_JOB_ID=1", "SLURM_PROCID=0", "SLURM_NTASKS=8"});
  EXPECT_EQ(process.wait(), 2);
  EXPECT_THAT(process.err(), HasSubstr("start it with srun"));
}

TEST_F(Doctor, CoresAreThoseOfTheProcess) {
  const TemporaryFolder words;
  Process process(words / "cores", examined({"--json"}), {"SLURM_CPUS_PER_TASK=1"});
  ASSERT_EQ(process.wait(), 0) << process.err();
  EXPECT_THAT(process.out(), HasSubstr("SLURM_CPUS_PER_TASK = 1"));
}

}  // namespace
}  // namespace esmscale::cli

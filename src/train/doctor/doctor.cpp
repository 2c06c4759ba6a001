#include "esmscale/train/doctor.h"

#include "esmscale/core/error.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/run/environment.h"
#include "esmscale/train/process/device.h"
#include "train/doctor/checks.h"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

namespace esmscale::train {
namespace {

constexpr int64_t kLargestOnGpu = int64_t{400} << 20, kLargestOnCpu = int64_t{25} << 20;

Json to_json(const std::vector<Check>& checks) {
  Json rows = Json::array();
  for (const Check& check : checks)
    rows.push_back({{"name", check.name},
                    {"result", enum_name(check.result)},
                    {"found", check.found},
                    {"advice", check.advice}});
  return rows;
}

std::vector<Check> checks_from(const Json& rows) {
  std::vector<Check> checks;
  for (const Json& row : rows)
    checks.push_back({row["name"], enum_from_name<CheckResult>(row["result"].get<std::string>(), "result"),
                      row["found"], row["advice"]});
  return checks;
}

// What several ranks found, by the words that they found it in.
Check merged(const std::vector<Check>& of_ranks) {
  Check all = of_ranks.front();
  std::map<std::string, std::vector<std::string>> ranks_by_words;
  for (size_t rank = 0; rank < of_ranks.size(); ++rank) {
    const Check& check = of_ranks[rank];
    ranks_by_words[check.found].push_back(std::to_string(rank));
    if (check.result <= all.result) continue;
    all.result = check.result;
    all.advice = check.advice;
  }
  if (ranks_by_words.size() == 1) return all;
  constexpr size_t kShown = 4;
  std::vector<std::string> words;
  for (const auto& [found, ranks] : ranks_by_words)
    if (words.size() < kShown) words.push_back(text("rank ", join(ranks, ", "), ": ", found));
  if (ranks_by_words.size() > kShown) words.push_back(text(ranks_by_words.size() - kShown, " others"));
  all.found = join(words, "; ");
  return all;
}

// The same checks of every rank's own machine.
std::vector<Check> merged_machines(const std::vector<Check>& mine, dist::Ranks& ranks) {
  if (ranks.size() == 1) return mine;
  std::vector<std::vector<Check>> of_ranks;
  for (const std::string& said : ranks.exchange("machines", esmscale::to_text(to_json(mine))))
    of_ranks.push_back(checks_from(parse_json(said, "a rank's checks")));
  std::vector<Check> all;
  for (size_t i = 0; i < mine.size(); ++i) {
    std::vector<Check> one;
    for (const std::vector<Check>& checks : of_ranks) one.push_back(checks.at(i));
    all.push_back(merged(one));
  }
  return all;
}

bool has_several_nodes(dist::Ranks& ranks) {
  const std::vector<std::string> hosts = ranks.exchange("hosts", run::host_name());
  return std::set<std::string>(hosts.begin(), hosts.end()).size() > 1;
}

void examine_ranks(const DoctorOptions& options, dist::Ranks& ranks, Diagnosis& diagnosis) {
  const c10::Device device = choose_device(options.device, ranks.local_rank());
  const auto add = [&](const Check& check) { diagnosis.checks.push_back(check); };
  add(doctor::placement_check(device, ranks));
  add(doctor::shared_folder_check(options.folder, ranks));
  if (diagnosis.worst() == CheckResult::error) return;  // NCCL would hang or refuse
  const int64_t largest = options.largest_bytes > 0 ? options.largest_bytes
                          : device.is_cuda()        ? kLargestOnGpu
                                                    : kLargestOnCpu;
  const doctor::NcclLog log(device, ranks);
  add(doctor::collectives_check(device, largest, ranks, diagnosis.collectives));
  add(doctor::transport_check(device, log.text(), has_several_nodes(ranks), ranks));
  for (const Check& check : doctor::training_checks(device, ranks)) add(check);
}

}  // namespace

Check doctor::guarded(const std::string& name, const std::function<Check()>& check) {
  try {
    return check();
  } catch (const Error& error) {
    return {.name = name,
            .result = CheckResult::error,
            .found = text(error.report().where, ": ", error.report().found),
            .advice = error.report().advice};
  }
}

CheckResult Diagnosis::worst() const {
  CheckResult worst = CheckResult::ok;
  for (const Check& check : checks) worst = std::max(worst, check.result);
  return worst;
}

Diagnosis diagnose(const DoctorOptions& options, dist::Ranks& ranks) {
  std::vector<Check> mine = doctor::machine_checks();
  mine.push_back(doctor::device_check(options.device));
  const std::vector<Check> files = doctor::file_checks(options.folder);
  mine.insert(mine.end(), files.begin(), files.end());
  Diagnosis diagnosis{.checks = merged_machines(mine, ranks), .collectives = {}};
  if (ranks.size() > 1) examine_ranks(options, ranks, diagnosis);
  return diagnosis;
}

Json to_json(const Diagnosis& diagnosis) {
  Json collectives = Json::array();
  for (const CollectiveRate& rate : diagnosis.collectives)
    collectives.push_back({{"name", rate.name},
                           {"bytes", rate.bytes},
                           {"seconds", rate.seconds},
                           {"bus_bandwidth", rate.bus_bandwidth}});
  return {{"checks", to_json(diagnosis.checks)}, {"collectives", collectives}};
}

std::string to_text(const Diagnosis& diagnosis) {
  std::string all;
  for (const Check& check : diagnosis.checks) {
    all += one_line(text(enum_name(check.result), ": ", check.name, ": ", check.found)) + "\n";
    if (!check.advice.empty()) all += "    " + one_line(check.advice) + "\n";
  }
  if (diagnosis.collectives.empty()) return all;
  Table table({"collective", "size", "ms", "bus bandwidth"});
  for (const CollectiveRate& rate : diagnosis.collectives)
    table.add({rate.name, human_bytes(static_cast<double>(rate.bytes)), fixed(1e3 * rate.seconds, 3),
               human_bytes(rate.bus_bandwidth) + "/s"});
  return all + "\n" + table.str();
}

}  // namespace esmscale::train

// The rows that `study arms` and `study add` write into study.json.
#pragma once

#include "esmscale/study/arms/arms.h"

#include <string>
#include <vector>

namespace esmscale::study {

using Settings = std::vector<std::string>;  // key.path=value

// Usage error for a key that occurs twice, also among another's values, or that the study sets itself.
// `where`: the command.
void require_factors(const std::vector<Factor>& factors, const char* where, bool may_be_none);
// Usage error unless the value of this flag can begin the name of a file.
void require_plain(const std::string& flag, const std::string& name);

// a / b to four decimals: rates that move together.
double rounded_ratio(double a, double b);

// All combinations of one value of each factor, the last factor the fastest; one, empty, without factors.
std::vector<Settings> combinations(const std::vector<Factor>& factors);

// A plain file name: "schedule.name-constant_train.batch_tokens-4K_s1". seed 0: none.
std::string name_of(const std::string& prefix, const Settings& combination, int64_t seed);

// What the rows of one request share.
struct RowTemplate {
  config::RunConfig base;
  std::string base_file;  // in DIR/configs
  config::RunStage stage = config::RunStage::main;
  std::string parent{};
  const ArmGrid* grid = nullptr;  // set before a row is made
};

// A row of study.json. Usage error for settings that no configuration can have. seed 0: the base's own.
Json row_of(const RowTemplate& shared, const std::string& name, Settings settings, int64_t seed);

}  // namespace esmscale::study

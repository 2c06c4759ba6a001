#include "cli/checks.h"

#include "cli/info.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"

#include <charconv>
#include <cmath>

namespace esmscale::cli {

namespace fs = std::filesystem;

CLI::Validator whole_number(uint64_t largest) {
  const auto check = [largest](const std::string& given) -> std::string {
    uint64_t value = 0;
    const char* last = given.data() + given.size();
    const auto [end, problem] = std::from_chars(given.data(), last, value);
    if (problem == std::errc() && end == last && value <= largest) return {};
    return text("expected a whole number from 0 to ", largest, ", found '", given, "'");
  };
  return CLI::Validator(check, "");
}

CLI::Validator finite_number() {
  const auto check = [](const std::string& given) -> std::string {
    double number = 0;
    if (CLI::detail::lexical_cast(given, number) && std::isfinite(number)) return {};
    return "expected a finite number, found " + given;
  };
  return CLI::Validator(check, "FINITE");
}

double positive_number(const std::string& value, const char* where) {
  double number = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (problem != std::errc() || end != value.data() + value.size()) number = double(parse_size(value, where));
  if (!std::isfinite(number) || number <= 0)
    throw usage_error({.where = where, .expected = "a finite number above zero", .found = value});
  return number;
}

void require_output_file(const fs::path& path, bool force) {
  std::error_code ignored;  // what cannot be looked at cannot be written either
  if (path.empty() || fs::is_directory(path, ignored))
    throw Error({.where = path.empty() ? "the output" : path.string(),
                 .expected = "the name of a file",
                 .found = path.empty() ? "none" : "a folder",
                 .advice = "give a name in a folder that is there"});
  require_no_dataset(fs::absolute(path).parent_path());
  require_replaceable(path, force);
  const AtomicOutput output(path);
  const OutputFile attempt(output.path());
}

void add_force_flag(CLI::App& verb, bool& force) {
  verb.add_flag("--force", force, "Replace outputs that exist");
}

void require_no_dataset(const fs::path& folder) {
  if (!is_dataset(folder)) return;
  throw usage_error({.where = folder.string(),
                     .expected = "a folder for results",
                     .found = "a data set",
                     .advice = "choose another folder: a result may replace a file of the set"});
}

}  // namespace esmscale::cli

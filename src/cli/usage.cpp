#include "cli/usage.h"

#include "esmscale/core/text.h"
#include "esmscale/core/violations.h"

#include <algorithm>
#include <set>

namespace esmscale::cli {
namespace {

// The verb, or action of a verb, that the arguments chose.
const CLI::App& chosen(const CLI::App& app) {
  const CLI::App* verb = &app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().front();
  return *verb;
}

std::vector<std::string> flags_of(const CLI::App& verb) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  return flags;
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& subcommands) {
  std::vector<std::string> names;
  for (const CLI::App* sub : subcommands) names.push_back(sub->get_name());
  return names;
}

std::string with_hint(std::string problem, const std::string& name, const std::vector<std::string>& known) {
  const std::string nearest_name = nearest(name, known);
  return nearest_name.empty() ? problem : text(problem, " (did you mean '", nearest_name, "'?)");
}

// The first word that is no flag and that nothing takes; "" for none.
std::string left_over(const CLI::App& verb) {
  for (const std::string& word : verb.remaining())
    if (!word.starts_with("--")) return word;
  return {};
}

void find_unknown_flags(const CLI::App& verb, const std::vector<std::string>& arguments, Violations& wrong) {
  const std::vector<std::string> known = flags_of(verb);
  std::set<std::string> unknown;
  for (const std::string& argument : arguments) {
    const std::string flag = argument.substr(0, argument.find('='));
    if (flag.starts_with("--") && flag.size() > 2 &&
        std::find(known.begin(), known.end(), flag) == known.end() && unknown.insert(flag).second)
      wrong.add(with_hint("unknown flag " + flag, flag, known));
  }
}

void find_wrong_values(const CLI::App& verb, Violations& wrong) {
  for (const CLI::Option* option : verb.get_options()) {
    if (option->count() == 0) {
      if (option->get_required()) wrong.add(option->get_name() + " is required");
      continue;
    }
    try {
      static_cast<void>(option->reduced_results());  // validates
    } catch (const CLI::ParseError& problem) {
      wrong.add(problem.what());
    }
  }
}

// Errors that concern more than one argument's own value, or its type. CLI11 gives an error of
// the first kind the name of the verb, so the exit code decides.
bool is_of_several(const CLI::ParseError& problem) {
  const auto code = static_cast<CLI::ExitCodes>(problem.get_exit_code());
  return code != CLI::ExitCodes::ExtrasError && code != CLI::ExitCodes::RequiredError &&
         code != CLI::ExitCodes::ValidationError;
}

}  // namespace

Error wrong_arguments(const CLI::App& app, const std::vector<std::string>& arguments,
                      const CLI::ParseError& problem) {
  const CLI::App& verb = chosen(app);
  const std::vector<std::string> subs = names_of(verb.get_subcommands({}));
  const std::string word = left_over(verb);
  Violations wrong;
  if (!word.empty() && !subs.empty()) {
    wrong.add(with_hint(text("unknown ", &verb == &app ? "verb" : "action", " '", word, "'"), word, subs));
  } else if (&verb == &app) {
    wrong.add(subs.empty() ? problem.what() : "expected a verb, found none");
  } else {
    find_unknown_flags(verb, arguments, wrong);
    if (wrong.empty() && !word.empty()) wrong.add(text("unexpected '", word, "'"));  // else a flag's value
    find_wrong_values(verb, wrong);
    if (is_of_several(problem) || wrong.empty()) wrong.add(problem.what());
  }
  std::string whole = "esmscale";
  for (const CLI::App* part = &verb; part != &app; part = part->get_parent())
    whole.insert(8, " " + part->get_name());
  return usage_error(
      {.where = whole, .expected = "", .found = wrong.listed(), .advice = text("see `", whole, " --help`")});
}

}  // namespace esmscale::cli

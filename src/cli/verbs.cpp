// The one list of verbs, and the way from arguments to an exit code.
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/version.h"

#include <algorithm>
#include <csignal>
#include <iostream>
#include <thread>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

// CLI11 says "The following argument was not expected: --x"; users want the nearest flag too.
std::string advice_for(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* verb = &app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().front();
  std::vector<std::string> known;
  for (const CLI::Option* option : verb->get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::vector<const CLI::App*> subs = verb->get_subcommands({});
  for (const CLI::App* sub : subs) known.push_back(sub->get_name());
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    const bool is_known =
        std::find(known.begin(), known.end(), name) != known.end() || name == verb->get_name();
    if (is_known || (subs.empty() && !name.starts_with("--"))) continue;
    if (const std::string hint = did_you_mean(name, known); !hint.empty()) return hint;
  }
  return "see `esmscale " + (verb == &app ? "" : verb->get_name() + " ") + "--help`";
}

int parse(CLI::App& app, const std::vector<std::string>& arguments, std::ostream& out) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    return -1;
  } catch (const CLI::CallForVersion& version) {
    const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    out << (json ? to_text(version_json(), 2) : version.what()) << std::endl;
    return 0;
  } catch (const CLI::Success& done) {  // --help
    app.exit(done, out, out);
    return 0;
  } catch (const CLI::ParseError& error) {
    throw usage_error({.where = arguments.empty() ? "esmscale" : "esmscale " + arguments.front(),
                       .expected = "",
                       .found = error.what(),
                       .advice = advice_for(app, arguments)});
  }
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all{
      {"prepare", add_prepare},   {"info", add_info},     {"fasta", add_fasta},
      {"train", add_train},       {"eval", add_eval},     {"count-flops", add_count_flops},
      {"import", add_import},     {"export", add_export}, {"logits", add_logits},
      {"fit", add_fit},           {"plan", add_plan},     {"assess", add_assess},
      {"study", add_study},       {"score", add_score},   {"embed", add_embed},
      {"contacts", add_contacts}, {"config", add_config},
  };
  return all;
}

CLI::App* Program::add_verb(CLI::App& app, const std::string& name, const std::string& help,
                            const std::string& example) {
  CLI::App* verb = app.add_subcommand(name, help);
  verb->footer("Example:\n  " + example);
  verb->option_defaults()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);  // as scripts append overrides
  verb->set_version_flag("--version", version_text);
  add_common(*verb);
  verb->add_option("--threads", threads, "Threads where work is threaded; 0 is all cores")
      ->check(CLI::Range(0, 4096));
  return verb;
}

void Program::add_common(CLI::App& app) {
  app.add_flag("--json", json, "Exactly one JSON document on stdout");
  app.add_option("--log-level", log_level, "debug, info, warning, error or off")->capture_default_str();
}

int Program::thread_count() const {
  return threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void Program::print(const Json& document) const {
  out << to_text(document, 2) << std::endl;
}

int run_program(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  // A file that outgrows its limit is then an error of write(), as on a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    CLI::App app("esmscale: which ESM-2 to train with this compute and these sequences, and its training");
    Program program{.out = out, .command_line = arguments};
    app.require_subcommand(1);
    app.set_version_flag("--version", version_text);
    program.add_common(app);
    for (const Verb& verb : verbs()) verb.add(app, program);
    if (const int status = parse(app, arguments, out); status >= 0) return status;
    set_log_level(log_level_from(program.log_level));
    const int status = program.action();
    if (status == 0) require_written(out);  // a result that got lost on its way is none
    return status;
  } catch (const std::exception& problem) {
    const Error error = error_from(problem);
    err << "error: " << error.what() << std::endl;
    return error.exit_code();
  }
}

}  // namespace esmscale::cli

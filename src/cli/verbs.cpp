// The one list of verbs, and the way from arguments to an exit code.
#include "cli/usage.h"
#include "cli/verb.h"
#include "esmscale/core/cores.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/log.h"
#include "esmscale/core/version.h"

#include <algorithm>
#include <csignal>
#include <iostream>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

bool asks_for_json(const std::vector<std::string>& arguments) {
  return std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
}

// With --json stdout is one document also when the verb failed.
void report(const Error& error, bool as_json, std::ostream& out, std::ostream& err) {
  err << "error: " << error.what() << std::endl;
  if (!as_json) return;
  const Error::Report& report = error.report();
  const Json document{{"error",
                       {{"where", report.where},
                        {"expected", report.expected},
                        {"found", report.found},
                        {"advice", report.advice},
                        {"exit_code", error.exit_code()}}}};
  out << to_text(document, 2) << std::endl;
}

int parse(CLI::App& app, const std::vector<std::string>& arguments, std::ostream& out) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    return -1;
  } catch (const CLI::CallForVersion& version) {
    out << (asks_for_json(arguments) ? to_text(version_json(), 2) : version.what()) << std::endl;
    return 0;
  } catch (const CLI::Success& done) {  // --help
    app.exit(done, out, out);
    return 0;
  } catch (const CLI::ParseError& error) {
    throw wrong_arguments(app, arguments, error);
  }
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all{
      {"prepare", add_prepare}, {"info", add_info},
      {"fasta", add_fasta},     {"train", add_train},
      {"eval", add_eval},       {"count-flops", add_count_flops},
      {"import", add_import},   {"export", add_export},
      {"logits", add_logits},   {"fit", add_fit},
      {"plan", add_plan},       {"assess", add_assess},
      {"study", add_study},     {"score", add_score},
      {"embed", add_embed},     {"contacts", add_contacts},
      {"runs", add_runs},       {"report", add_report},
      {"compare", add_compare}, {"doctor", add_doctor},
      {"config", add_config},   {"completion", add_completion},
      {"manual", add_manual},
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
  verb->add_option("--threads", threads,
                   "Threads where work is threaded; 0: the cores that this process may use")
      ->check(CLI::Range(0, 4096));
  return verb;
}

void Program::add_common(CLI::App& app) {
  app.add_flag("--json", json, "Exactly one JSON document on stdout");
  app.add_option("--log-level", log_level, "debug, info, warning, error or off")->capture_default_str();
}

int Program::thread_count() const {
  return threads > 0 ? threads : usable_cores().count;
}

void Program::print(const Json& document) const {
  out << to_text(document, 2) << std::endl;
}

int run_program(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  // A file that outgrows its limit and a reader that goes away are then errors of write(), as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    CLI::App app("esmscale: which ESM-2 to train with this compute and these sequences, and its training",
                 "esmscale");
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
    report(error, asks_for_json(arguments), out, err);
    return error.exit_code();
  }
}

}  // namespace esmscale::cli

// How a verb joins the program: one file each in src/cli, listed once in verbs.cpp.
#pragma once

#include "esmscale/core/json.h"

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace esmscale::cli {

// What all verbs share. A verb's add_ function declares its subcommand and flags, and lets CLI11's callback
// set `action`, which does the work and returns the exit code.
struct Program {
  std::ostream& out;  // results, and nothing else
  bool json = false;  // --json: out gets exactly one JSON document
  int threads = 0;    // --threads; 0: the cores that this process may use
  std::string log_level = "info";
  std::vector<std::string> command_line{};
  std::function<int()> action;

  void add_common(CLI::App& app);  // flags that go before the verb or after it
  // All common flags; returns the subcommand for the verb's own. app: the program, or a verb with actions.
  CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& help,
                     const std::string& example);
  int thread_count() const;
  void print(const Json& document) const;
};

struct Verb {
  const char* name;
  void (*add)(CLI::App& app, Program& program);
};
const std::vector<Verb>& verbs();

// What --version prints, and with --json: null where a part is not built in.
std::string version_text();
Json version_json();

// The whole program: parses, dispatches, maps errors to exit codes. Tests call it too.
int run_program(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

void add_prepare(CLI::App& app, Program& program);
void add_info(CLI::App& app, Program& program);
void add_fasta(CLI::App& app, Program& program);
void add_train(CLI::App& app, Program& program);
void add_eval(CLI::App& app, Program& program);
void add_count_flops(CLI::App& app, Program& program);
void add_config(CLI::App& app, Program& program);
void add_import(CLI::App& app, Program& program);
void add_export(CLI::App& app, Program& program);
void add_logits(CLI::App& app, Program& program);
void add_fit(CLI::App& app, Program& program);
void add_plan(CLI::App& app, Program& program);
void add_assess(CLI::App& app, Program& program);
void add_study(CLI::App& app, Program& program);
void add_score(CLI::App& app, Program& program);
void add_embed(CLI::App& app, Program& program);
void add_contacts(CLI::App& app, Program& program);
void add_doctor(CLI::App& app, Program& program);
void add_runs(CLI::App& app, Program& program);
void add_report(CLI::App& app, Program& program);
void add_compare(CLI::App& app, Program& program);
void add_completion(CLI::App& app, Program& program);
void add_manual(CLI::App& app, Program& program);

}  // namespace esmscale::cli

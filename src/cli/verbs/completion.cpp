// esmscale completion and esmscale manual: what the shell and man know of the program.
#include "cli/checks.h"
#include "cli/command_tree.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/output_set.h"
#include "esmscale/core/text.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

// Every page of `command` and its commands, as NAME.1; returns how many.
int add_pages(const CommandEntry& command, const std::string& path, OutputSet& files) {
  std::string name = path;
  std::replace(name.begin(), name.end(), ' ', '-');
  files.add(name + ".1", manual_page(command, path));
  int pages = 1;
  for (const CommandEntry& sub : command.commands) pages += add_pages(sub, path + " " + sub.name, files);
  return pages;
}

const CommandEntry& command_named(const CommandEntry& program, const std::vector<std::string>& words) {
  const CommandEntry* command = &program;
  for (const std::string& word : words) {
    const auto sub = std::find_if(command->commands.begin(), command->commands.end(),
                                  [&](const CommandEntry& entry) { return entry.name == word; });
    if (sub == command->commands.end()) {
      std::vector<std::string> names;
      for (const CommandEntry& entry : command->commands) names.push_back(entry.name);
      throw usage_error({.where = "esmscale manual",
                         .expected = "a verb",
                         .found = text("'", word, "'"),
                         .advice = did_you_mean(word, names)});
    }
    command = &*sub;
  }
  return *command;
}

}  // namespace

void add_completion(CLI::App& app, Program& program) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = program.add_verb(app, "completion", "Prints a script that completes verbs, flags and keys",
                                    "esmscale completion bash");
  verb->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->callback([&app, &program, shell] {
    program.action = [&app, &program, shell] {
      const CommandEntry tree = command_tree(app);
      const std::string script = *shell == "bash"  ? bash_completion(tree)
                                 : *shell == "zsh" ? zsh_completion(tree)
                                                   : fish_completion(tree);
      if (program.json)
        program.print({{"shell", *shell}, {"script", script}});
      else
        program.out << script;
      return 0;
    };
  });
}

void add_manual(CLI::App& app, Program& program) {
  struct Options {
    std::vector<std::string> words;
    std::string output;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = program.add_verb(app, "manual", "Prints the manual page of a verb, for man -l -",
                                    "esmscale manual train");
  verb->add_option("VERB", options->words, "A verb, or a verb and its action; default: the program")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--output", options->output, "Write all pages into this folder instead");
  add_force_flag(*verb, options->force);
  verb->callback([&app, &program, options] {
    program.action = [&app, &program, options] {
      const CommandEntry tree = command_tree(app);
      if (!options->output.empty()) {
        require_no_dataset(options->output);
        OutputSet files(options->output, options->force);
        const int pages = add_pages(tree, tree.name, files);
        files.publish();
        if (program.json)
          program.print({{"output", options->output}, {"pages", pages}});
        else
          program.out << options->output << ": " << pages << " pages\n";
        return 0;
      }
      std::string path = tree.name;
      for (const std::string& word : options->words) path += " " + word;
      const std::string page = manual_page(command_named(tree, options->words), path);
      if (program.json)
        program.print({{"page", page}});
      else
        program.out << page;
      return 0;
    };
  });
}

}  // namespace esmscale::cli

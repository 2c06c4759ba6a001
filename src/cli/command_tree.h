// The verbs and flags of the program as data, for completion and manual pages.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace esmscale::cli {

struct FlagEntry {
  std::string name;  // "--set"; of a positional argument "DIR"
  std::string help;
  bool is_positional = false, takes_value = false, is_required = false;
};

struct CommandEntry {
  std::string name;  // "train", of the program itself "esmscale"
  std::string help, example;
  std::vector<FlagEntry> flags;
  std::vector<CommandEntry> commands;  // verbs, or actions of a verb
};

CommandEntry command_tree(const CLI::App& app);

// Scripts that complete verbs, flags, keys after --set and shipped configurations after --config.
std::string bash_completion(const CommandEntry& program);
std::string zsh_completion(const CommandEntry& program);
std::string fish_completion(const CommandEntry& program);

// One page for man, section 1. `path`: the command's words, such as "esmscale study run".
std::string manual_page(const CommandEntry& command, const std::string& path);

}  // namespace esmscale::cli

// Completion scripts for three shells.
#include "cli/command_tree.h"
#include "esmscale/config/config.h"
#include "esmscale/config/field.h"
#include "esmscale/core/text.h"

namespace esmscale::cli {
namespace {

std::string keys() {
  config::RunConfig config;
  std::vector<std::string> names;
  for (const config::Field& field : config::fields(config)) names.push_back(field.path + "=");
  return join(names, " ");
}

std::string presets() {
  std::vector<std::string> names;
  for (const auto& file : config::shipped_configs()) names.push_back(file.stem().string());
  return join(names, " ");
}

std::string flag_names(const CommandEntry& command) {
  std::vector<std::string> names;
  for (const FlagEntry& flag : command.flags)
    if (!flag.is_positional) names.push_back(flag.name);
  return join(names, " ");
}

std::string command_names(const CommandEntry& command) {
  std::vector<std::string> names;
  for (const CommandEntry& sub : command.commands) names.push_back(sub.name);
  return join(names, " ");
}

// In single quotes of a shell; `also`: a character that the shell's own function takes for a separator.
std::string quoted(const std::string& raw, char also = 0) {
  std::string out = "'";
  for (const char c : raw) {
    if (c == '\'')
      out += "'\\''";
    else if (c == also)
      out += std::string("\\") + c;
    else
      out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::string bash_cases(const CommandEntry& program) {
  std::string cases;
  for (const CommandEntry& verb : program.commands) {
    if (verb.commands.empty()) {
      cases += text("    ", verb.name, ") words=", quoted(flag_names(verb)), " ;;\n");
      continue;
    }
    cases +=
        text("    ", verb.name, ")\n      if ((COMP_CWORD == 2)); then words=", quoted(command_names(verb)),
             "; fi\n      case ${COMP_WORDS[2]} in\n");
    for (const CommandEntry& action : verb.commands)
      cases += text("        ", action.name, ") words=", quoted(flag_names(action)), " ;;\n");
    cases += "      esac ;;\n";
  }
  return cases;
}

std::string zsh_described(const std::vector<std::pair<std::string, std::string>>& names) {
  std::string out;
  for (const auto& [name, help] : names)
    out += text(" ", quoted(name + ":" + help.substr(0, help.find('\n'))));
  return out;
}

std::string zsh_flags(const CommandEntry& command) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const FlagEntry& flag : command.flags)
    if (!flag.is_positional) names.emplace_back(flag.name, flag.help);
  return zsh_described(names);
}

std::string zsh_commands(const CommandEntry& command) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const CommandEntry& sub : command.commands) names.emplace_back(sub.name, sub.help);
  return zsh_described(names);
}

std::string fish_flags(const CommandEntry& command, const std::string& condition) {
  std::string out;
  for (const FlagEntry& flag : command.flags) {
    if (flag.is_positional) continue;
    std::string values = flag.takes_value ? " -r" : "";
    if (flag.name == "--set") values = text(" -x -a ", quoted(keys()));
    if (flag.name == "--config") values = text(" -r -a ", quoted(presets()));
    out += text("complete -c esmscale -n ", quoted(condition), " -l ", flag.name.substr(2), values, " -d ",
                quoted(flag.help), "\n");
  }
  return out;
}

}  // namespace

std::string bash_completion(const CommandEntry& program) {
  return text(R"(# Completion of esmscale for bash: source it, or put it into bash-completion's folder.
_esmscale() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=
  case $prev in
    --set) mapfile -t COMPREPLY < <(compgen -W )",
              quoted(keys()), R"( -- "$cur")
      compopt -o nospace 2>/dev/null
      return ;;
    --config) mapfile -t COMPREPLY < <(compgen -W )",
              quoted(presets()), R"( -- "$cur"; compgen -f -- "$cur")
      return ;;
  esac
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W )",
              quoted(command_names(program) + " " + flag_names(program)),
              R"( -- "$cur")
    return
  fi
  case ${COMP_WORDS[1]} in
)",
              bash_cases(program), R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"; [[ $cur == -* ]] || compgen -f -- "$cur")
}
complete -o filenames -F _esmscale esmscale
)");
}

std::string zsh_completion(const CommandEntry& program) {
  std::string cases;
  for (const CommandEntry& verb : program.commands) {
    if (verb.commands.empty()) {
      cases += text("    ", verb.name, ") flags=(", zsh_flags(verb), " ) ;;\n");
      continue;
    }
    cases +=
        text("    ", verb.name, ")\n      if ((CURRENT == 3)); then\n        commands=(", zsh_commands(verb),
             " )\n        _describe action commands\n        return\n      fi\n      case $words[3] in\n");
    for (const CommandEntry& action : verb.commands)
      cases += text("        ", action.name, ") flags=(", zsh_flags(action), " ) ;;\n");
    cases += "      esac ;;\n";
  }
  return text(
      "#compdef esmscale\n# Completion of esmscale for zsh: put it into a folder of $fpath as _esmscale.\n"
      "_esmscale() {\n  local -a commands flags\n  case $words[CURRENT-1] in\n    --set) compadd -S '' -- ",
      keys(), "; return ;;\n    --config) compadd -- ", presets(),
      "; _files; return ;;\n  esac\n  if ((CURRENT == 2)); then\n    commands=(", zsh_commands(program),
      " )\n    _describe verb commands\n    return\n  fi\n  case $words[2] in\n", cases,
      "  esac\n  if [[ $words[CURRENT] == -* ]]; then\n    _describe -o flag flags\n  else\n    _files\n"
      "  fi\n}\nif [[ $funcstack[1] == _esmscale ]]; then\n  _esmscale \"$@\"\nelse\n"
      "  compdef _esmscale esmscale\nfi\n");
}

std::string fish_completion(const CommandEntry& program) {
  std::string out =
      "# Completion of esmscale for fish: put it into ~/.config/fish/completions/esmscale.fish.\n";
  for (const CommandEntry& verb : program.commands) {
    out += text("complete -c esmscale -n __fish_use_subcommand -f -a ", verb.name, " -d ", quoted(verb.help),
                "\n");
    const std::string seen = "__fish_seen_subcommand_from " + verb.name;
    if (verb.commands.empty()) {
      out += fish_flags(verb, seen);
      continue;
    }
    const std::string actions = command_names(verb);
    for (const CommandEntry& action : verb.commands) {
      out +=
          text("complete -c esmscale -n ", quoted(seen + "; and not __fish_seen_subcommand_from " + actions),
               " -f -a ", action.name, " -d ", quoted(action.help), "\n");
      out += fish_flags(action, seen + "; and __fish_seen_subcommand_from " + action.name);
    }
  }
  return out;
}

}  // namespace esmscale::cli

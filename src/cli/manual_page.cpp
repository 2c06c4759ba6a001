// Manual pages in the macros of man(7).
#include "cli/command_tree.h"
#include "esmscale/core/text.h"
#include "esmscale/core/version.h"

#include <algorithm>

namespace esmscale::cli {
namespace {

// Text of a page: no line of it is taken for a request, hyphens stay what they are.
std::string roff(const std::string& raw) {
  std::string out;
  bool is_line_begin = true;
  for (const char c : raw) {
    if (is_line_begin && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    is_line_begin = c == '\n';
  }
  return out;
}

std::string page_name(const std::string& path) {
  std::string name = path;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string synopsis(const CommandEntry& command, const std::string& path) {
  std::string line = text(".B ", roff(path), "\n");
  if (!command.commands.empty()) line += ".I COMMAND\n";
  for (const FlagEntry& flag : command.flags) {
    const std::string shown = roff(flag.name) + (flag.takes_value && !flag.is_positional ? " VALUE" : "");
    if (flag.is_required) line += text(".RI \"", shown, "\"\n");
  }
  return line + "[options]\n";
}

}  // namespace

std::string manual_page(const CommandEntry& command, const std::string& path) {
  std::string page =
      text(".TH ", page_name(path), " 1 \"\" \"esmscale ", version(), "\" \"esmscale\"\n", ".SH NAME\n",
           roff(page_name(path)), " \\- ", roff(command.help), "\n.SH SYNOPSIS\n", synopsis(command, path));
  if (!command.commands.empty()) page += ".SH COMMANDS\n";
  for (const CommandEntry& sub : command.commands)
    page += text(".TP\n.BR ", roff(page_name(path + " " + sub.name)), " (1)\n", roff(sub.help), "\n");
  page += ".SH OPTIONS\n";
  for (const FlagEntry& flag : command.flags)
    page += text(".TP\n.B ", roff(flag.name), flag.takes_value && !flag.is_positional ? " \\fIVALUE\\fR" : "",
                 "\n", roff(flag.help), flag.is_required ? " (required)" : "", "\n");
  if (!command.example.empty()) page += text(".SH EXAMPLE\n.nf\n", roff(command.example), "\n.fi\n");
  return page +
         text(
             ".SH EXIT STATUS\n0: done. 1: failed. 2: wrong usage or configuration. 85: stopped with a "
             "checkpoint; run the same command again.\n");
}

}  // namespace esmscale::cli

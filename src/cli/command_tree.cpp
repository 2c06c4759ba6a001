#include "cli/command_tree.h"

#include "esmscale/core/text.h"

namespace esmscale::cli {

CommandEntry command_tree(const CLI::App& app) {
  constexpr std::string_view kExample = "Example:\n  ";
  CommandEntry entry{.name = app.get_name(), .help = app.get_description(), .example = app.get_footer()};
  if (entry.example.starts_with(kExample)) entry.example.erase(0, kExample.size());
  for (const CLI::Option* option : app.get_options()) {
    const bool is_positional = option->get_lnames().empty();
    entry.flags.push_back(
        {.name = is_positional ? option->get_name(true) : "--" + option->get_lnames().front(),
         .help = option->get_description(),
         .is_positional = is_positional,
         .takes_value = option->get_items_expected_max() > 0,
         .is_required = option->get_required()});
  }
  for (const CLI::App* sub : app.get_subcommands({})) entry.commands.push_back(command_tree(*sub));
  return entry;
}

}  // namespace esmscale::cli

// Lines of tables as text: cells between tabs, semicolons or commas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace esmscale {

// What separates the cells of a header line: a tab, else `;`, else `,`; 0 when it has none of them.
char separator_of(std::string_view header);

// A cell may stand in double quotes, which may hold separators and doubled quotes. Blanks around it are left
// out, so is a carriage return at the end.
std::vector<std::string> cells_of(std::string_view line, char separator);

// `s` without blanks and carriage returns at either end.
std::string_view trimmed(std::string_view s);

}  // namespace esmscale

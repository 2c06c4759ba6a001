// Pieces of a self-contained HTML page.
#pragma once

#include <string>
#include <vector>

namespace esmscale::report {

// A table that scrolls sideways on a narrow screen. Cells are text; they are escaped here.
class HtmlTable {
 public:
  // The first `left_columns` are aligned to the left (names), and the last where it holds text; the others to
  // the right.
  explicit HtmlTable(std::vector<std::string> header, size_t left_columns = 1, bool text_last = false);
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string html() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
  size_t left_columns_;
  bool text_last_;
};

// A titled section; body is HTML.
std::string section(const std::string& title, const std::string& body);
std::string paragraph(const std::string& text);                // escaped
std::string bullets(const std::vector<std::string>& entries);  // escaped

// The whole document around `body` (HTML), with its style, light and dark by the reader's choice, and the
// script that shows the titles of points when they are hovered or tapped. A browser
// reloads the page every refresh_seconds; 0: never.
std::string page(const std::string& title, const std::string& body, int refresh_seconds = 0);

// A number with `digits` significant digits, in the shorter of both notations: "0.34931", "1.28e+04".
std::string significant(double value, int digits = 5);

}  // namespace esmscale::report

// A strict look at markup: every element that is opened is closed in order, no bare & or <.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace esmscale::report {

// "" or what is wrong and where. Elements of HTML without an end tag are allowed; style and script are
// skipped.
inline std::string markup_problem(const std::string& text) {
  static const std::set<std::string> alone{"meta", "!doctype", "br"};
  std::vector<std::string> open;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '&' && text.find(';', at) > at + 6) return "a bare & at " + text.substr(at, 30);
    if (text[at] != '<') continue;
    const size_t end = text.find('>', at);
    if (end == text.npos) return "no > after " + text.substr(at, 30);
    const std::string tag = text.substr(at + 1, end - at - 1);
    const bool closes = tag[0] == '/';
    const std::string name = tag.substr(closes, tag.find_first_of(" /", closes) - closes);
    if (closes) {
      if (open.empty() || open.back() != tag.substr(1)) return "unexpected </" + tag.substr(1) + ">";
      open.pop_back();
    } else if (tag.back() != '/' && !alone.contains(name)) {
      open.push_back(name);
      if (name == "style" || name == "script") at = text.find("</" + name + ">", end) - 1;
    }
    if (at < end) at = end;
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

}  // namespace esmscale::report

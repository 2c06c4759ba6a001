// The look of all plots, from one table of colours: as a style sheet for pages, light and dark, and as
// attributes of each element for files, which programs without style sheets read too.
#include "esmscale/core/text.h"
#include "report/plots/plot.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace esmscale::report {
namespace {

struct Paint {
  std::string_view name, light, dark;
};
// Four of the page; then those of series: q, c0 to c6, r0 to r6.
constexpr size_t kOfPage = 4;
constexpr Paint kPaints[] = {
    {"paper", "#ffffff", "#14181f"}, {"ink", "#1c2430", "#e6eaf0"}, {"soft", "#5b6675", "#9aa5b4"},
    {"rule", "#e3e7ed", "#2b323d"},  {"q", "#8a94a3", "#7d8796"},   {"c0", "#2563c9", "#6ea8ff"},
    {"c1", "#c2570c", "#f0944d"},    {"c2", "#0d8a63", "#3fcf9b"},  {"c3", "#8b3fc2", "#c48bf2"},
    {"c4", "#c22f55", "#f2748f"},    {"c5", "#7a6a10", "#d6c14a"},  {"c6", "#0e7c94", "#4cc9e0"},
    {"r0", "#12877c", "#35c4b5"},    {"r1", "#2a7fb8", "#57b0e6"},  {"r2", "#4d67cf", "#8699f5"},
    {"r3", "#7d53c9", "#ae8af2"},    {"r4", "#ad45ab", "#dc7fdb"},  {"r5", "#cc3f76", "#f279a7"},
    {"r6", "#d0502f", "#f28a66"}};

std::string_view light(std::string_view name) {
  return std::find_if(std::begin(kPaints), std::end(kPaints), [&](const Paint& p) { return p.name == name; })
      ->light;
}

std::string variables(std::string_view Paint::*shade) {
  std::string out;
  for (const Paint& paint : kPaints) out += text("--", paint.name, ":", paint.*shade, ";");
  return out;
}

// What a class means as attributes. `colour` is the name of a series' colour, for classes that have one.
struct Look {
  std::string_view kind;
  std::string (*attributes)(std::string_view colour);
};
constexpr std::array<Look, 12> kLooks{{
    {"plot",
     [](auto) {
       return std::string(" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"11\"");
     }},
    {"paper", [](auto) { return text(" fill=\"", light("paper"), "\""); }},
    {"frame", [](auto) { return text(" fill=\"none\" stroke=\"", light("soft"), "\""); }},
    {"grid", [](auto) { return text(" stroke=\"", light("rule"), "\""); }},
    {"minor", [](auto) { return text(" stroke=\"", light("soft"), "\" stroke-width=\"0.7\""); }},
    {"tick", [](auto) { return text(" fill=\"", light("soft"), "\""); }},
    {"axis", [](auto) { return text(" fill=\"", light("ink"), "\" font-size=\"12\""); }},
    {"key", [](auto) { return text(" fill=\"", light("ink"), "\""); }},
    {"line",
     [](std::string_view colour) {
       return text(" fill=\"none\" stroke=\"", light(colour),
                   "\" stroke-width=\"1.8\" stroke-linejoin=\"round\"");
     }},
    {"band",
     [](std::string_view colour) { return text(" fill=\"", light(colour), "\" fill-opacity=\"0.16\""); }},
    {"dot",
     [](std::string_view colour) { return text(" fill=\"", light(colour), "\" fill-opacity=\"0.85\""); }},
    {"hollow",
     [](std::string_view colour) {
       return text(" fill=\"", light("paper"), "\" stroke=\"", light(colour), "\" stroke-width=\"1.6\"");
     }},
}};

std::string attributes_of(const std::string& classes) {
  const std::vector<std::string> words = split(classes, ' ');
  const auto look =
      std::find_if(kLooks.begin(), kLooks.end(), [&](const Look& l) { return l.kind == words.front(); });
  std::string out = look->attributes(words.back());
  if (std::find(words.begin(), words.end(), "dashed") != words.end()) out += " stroke-dasharray=\"5 4\"";
  return out;
}

}  // namespace

const std::string& plot_style() {
  static const std::string style = [] {
    std::string out =
        text("\n.plot{", variables(&Paint::light),
             "\nwidth:100%;height:auto;display:block;font-family:system-ui,-apple-system,\"Segoe "
             "UI\",Roboto,\"DejaVu Sans\",sans-serif}\n@media screen and "
             "(prefers-color-scheme:dark){.plot{",
             variables(&Paint::dark), "}}");
    out += R"(
.plot .paper{fill:var(--paper)}.plot .frame{fill:none;stroke:var(--soft);stroke-width:1}
.plot .grid{stroke:var(--rule);stroke-width:1}.plot .minor{stroke:var(--soft);stroke-width:.7}
.plot text{fill:var(--ink);font-size:11px}.plot .tick{fill:var(--soft)}.plot .axis{font-size:12px}
.plot .line{fill:none;stroke-width:1.8;stroke-linejoin:round}.plot .dashed{stroke-dasharray:5 4}
.plot .band{stroke:none!important;opacity:.16}.plot .dot{opacity:.85}.plot .hollow{fill:var(--paper);stroke-width:1.6}
.plot .line,.plot .hollow{stroke:var(--k)}.plot .dot,.plot .band{fill:var(--k)}.plot circle:hover{stroke:var(--ink);stroke-width:2}
)";
    for (size_t i = kOfPage; i < std::size(kPaints); ++i)
      out += text(".plot .", kPaints[i].name, "{--k:var(--", kPaints[i].name, ")}");
    return out + "\n";
  }();
  return style;
}

std::string without_style_sheet(const std::string& svg) {
  constexpr std::string_view kBegin = " class=\"";
  std::string out;
  size_t at = 0;
  for (size_t found; (found = svg.find(kBegin, at)) != std::string::npos;) {
    const size_t first = found + kBegin.size(), last = svg.find('"', first);
    out += svg.substr(at, found - at) + attributes_of(svg.substr(first, last - first));
    at = last + 1;
  }
  return out + svg.substr(at);
}

}  // namespace esmscale::report

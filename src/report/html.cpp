#include "report/html.h"

#include "esmscale/core/text.h"
#include "report/plots/plot.h"

#include <cmath>
#include <cstdio>

namespace esmscale::report {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--page:#f5f7fa;--card:#fff;--ink:#1c2430;--soft:#5b6675;--rule:#e3e7ed;--warn:#b4540a;--warnbg:#fff4e5}
@media (prefers-color-scheme:dark){:root{--page:#0d1016;--card:#14181f;--ink:#e6eaf0;--soft:#9aa5b4;--rule:#2b323d;--warn:#f2b26b;--warnbg:#2a2013}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:20px 16px 60px}
h1{font-size:26px;line-height:1.2;margin:8px 0 4px}h2{font-size:19px;margin:36px 0 10px}h3{font-size:15px;margin:0 0 8px}
p{margin:6px 0;max-width:85ch}.soft{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:18px 0}
.card,figure,.scroll,.warnings{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.card{padding:12px 14px}.card b{display:block;font-size:22px;font-weight:600;line-height:1.3}.card span{color:var(--soft);font-size:13px}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:14px}
figure{margin:0;padding:14px 12px 10px;min-width:0}figure a{color:var(--soft);font-size:12px;float:right}
.scroll{overflow-x:auto;max-height:620px;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:6px 11px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:600;position:sticky;top:0;background:var(--card)}
.l{text-align:left}td.l{white-space:normal;min-width:112px}tr:last-child td{border-bottom:0}
.warnings{background:var(--warnbg);padding:10px 16px;border-color:transparent}.warnings h3{color:var(--warn)}
details{margin:8px 0}summary{cursor:pointer;color:var(--soft);overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:10px 12px;overflow-x:auto;font-size:12.5px}
ul{margin:4px 0;padding-left:20px}footer{margin-top:40px;color:var(--soft);font-size:13px}
@media (max-width:500px){main{padding:14px 10px 40px}figure{padding:10px 5px 8px}figure h3{padding-left:6px}}
@media print{@page{margin:12mm}:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--rule:#ccc;--warn:#8a3f00;--warnbg:#fff}
body{font-size:9.5pt}main{max-width:none;padding:0}#tip,figure a{display:none}h2,h3{break-after:avoid}
.scroll{overflow:visible;max-height:none;border:0}table{font-size:7pt;table-layout:auto}th{position:static}
th,td{padding:2px 4px}th,td.l{white-space:normal;min-width:0}td.l{overflow-wrap:anywhere}thead{display:table-header-group}tr,figure,.card,.warnings li{break-inside:avoid}
.plots{display:grid;grid-template-columns:1fr 1fr;gap:6px}.card b{font-size:13pt}}
#tip{position:fixed;pointer-events:none;background:var(--ink);color:var(--page);padding:5px 9px;border-radius:6px;font-size:12.5px;max-width:min(320px,90vw);opacity:0;transition:opacity .1s;z-index:9}
)";

constexpr const char* kScript = R"(
const tip=document.getElementById('tip');
for(const dot of document.querySelectorAll('.plot circle')){
 const title=dot.querySelector('title');if(!title)continue;
 dot.dataset.tip=title.textContent;title.remove();
 const show=e=>{tip.textContent=dot.dataset.tip;tip.style.opacity=1;
  const w=tip.offsetWidth,h=tip.offsetHeight;
  tip.style.left=Math.max(6,Math.min(e.clientX+12,innerWidth-w-6))+'px';
  tip.style.top=(e.clientY-h-12<6?e.clientY+16:e.clientY-h-12)+'px'};
 dot.addEventListener('pointermove',show);dot.addEventListener('pointerdown',show);
 dot.addEventListener('pointerleave',()=>tip.style.opacity=0);
}
)";

}  // namespace

HtmlTable::HtmlTable(std::vector<std::string> header, size_t left_columns, bool text_last)
    : header_(std::move(header)), left_columns_(left_columns), text_last_(text_last) {}

void HtmlTable::add(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
}

std::string HtmlTable::html() const {
  const auto row = [&](const std::vector<std::string>& cells, const char* tag) {
    std::string out = "<tr>";
    for (size_t i = 0; i < cells.size(); ++i) {
      const bool is_left = i < left_columns_ || (text_last_ && i + 1 == cells.size());
      out += text("<", tag, is_left ? " class=\"l\"" : "", ">", escaped(cells[i]), "</", tag, ">");
    }
    return out + "</tr>\n";
  };
  std::string out = "<div class=\"scroll\"><table><thead>" + row(header_, "th") + "</thead><tbody>\n";
  for (const auto& cells : rows_) out += row(cells, "td");
  return out + "</tbody></table></div>\n";
}

std::string section(const std::string& title, const std::string& body) {
  return text("<section><h2>", escaped(title), "</h2>\n", body, "</section>\n");
}

std::string paragraph(const std::string& content) {
  return text("<p>", escaped(content), "</p>\n");
}

std::string bullets(const std::vector<std::string>& entries) {
  std::string out = "<ul>";
  for (const std::string& entry : entries) out += text("<li>", escaped(entry), "</li>\n");
  return out + "</ul>\n";
}

std::string page(const std::string& title, const std::string& body, int refresh_seconds) {
  const std::string refresh =
      refresh_seconds > 0 ? text("<meta http-equiv=\"refresh\" content=\"", refresh_seconds, "\">\n") : "";
  return text("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n",
              "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n", refresh, "<title>",
              escaped(title), "</title>\n<style>", kStyle, plot_style(), "</style></head>\n<body><main>\n",
              body, "</main><div id=\"tip\" role=\"status\"></div>\n<script>", kScript,
              "</script></body></html>\n");
}

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

}  // namespace esmscale::report

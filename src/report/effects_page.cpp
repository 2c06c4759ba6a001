#include "esmscale/report/effects_page.h"

#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "report/html.h"
#include "report/plots/effects_plots.h"

namespace esmscale::report {
namespace {

std::string effects_table(const std::vector<study::Effect>& effects) {
  HtmlTable table(study::effects_header(), 3);
  for (const study::Effect& effect : effects) table.add(study::effects_cells(effect));
  return table.html();
}

std::string repeats_text(const std::vector<study::RepeatWorth>& repeats) {
  std::string out = paragraph(
      "D tokens from an epoch of U count as U·[1 + R*·(1 − e^(−r/R*))] fresh ones, r = D/U − 1. Text models "
      "have R* = 15.4 (Muennighoff et al. 2023). The interval holds the R* that an F test accepts at 95%.");
  for (const study::RepeatWorth& worth : repeats) {
    out += paragraph(
        text(worth.model, worth.recipe.empty() ? "" : ", " + worth.recipe, ": ", study::verdict_of(worth)));
    if (!worth.why.empty()) continue;
    HtmlTable table(study::repeats_header());
    for (const study::RepeatedRun& run : worth.runs) table.add(study::repeats_cells(worth, run));
    out += table.html();
  }
  return out;
}

std::string rates_table(const study::RateLaw& law) {
  HtmlTable table(study::rates_header());
  for (const study::BestRate& group : law.groups) table.add(study::rates_cells(group, law));
  return paragraph(study::verdict_of(law)) + table.html();
}

std::string memory_table(const std::vector<study::RunMemory>& memory) {
  HtmlTable table({"run", "model", "rows of a micro-batch", "predicted", "measured", "measured / predicted"},
                  2);
  for (const study::RunMemory& m : memory)
    table.add({m.run, m.model, human_count(m.micro_batch_tokens), human_bytes(m.predicted),
               human_bytes(m.measured), fixed(m.ratio(), 2)});
  return table.html();
}

}  // namespace

std::string effects_page(const study::StudyAnswers& answers) {
  std::string body = text("<h1>", escaped(answers.name),
                          "</h1><p class=\"soft\">loss: ", enum_name(answers.loss), ", nats</p>\n");
  if (!answers.effects.empty())
    body += section("What each value changes", paragraph(study::meaning_of_effects()) +
                                                   figures(effect_plots(answers.effects)) +
                                                   effects_table(answers.effects));
  if (!answers.repeats.empty())
    body +=
        section("Repeated tokens", figures(repeat_plots(answers.repeats)) + repeats_text(answers.repeats));
  if (!answers.rates.groups.empty())
    body += section("Learning rates", figures(rate_plots(answers.rates)) + rates_table(answers.rates));
  if (!answers.memory.empty())
    body +=
        section("Memory", paragraph("Tensors of the first rank in training, without the program itself.") +
                              figures(memory_plots(answers.memory)) + memory_table(answers.memory));
  return page(answers.name, body + text("<footer>esmscale ", version(), " (", revision(), ")</footer>"));
}

}  // namespace esmscale::report

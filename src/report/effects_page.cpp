#include "esmscale/report/effects_page.h"

#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "report/effects_plots.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

std::string nats(double value) {
  return std::isfinite(value) ? fixed(value, 4) : "unknown";
}

std::string effects_table(const std::vector<study::Effect>& effects) {
  HtmlTable table({"key", "value", "against", "loss (nats)", "difference", "standard error", "95%", "pairs"},
                  3);
  for (const study::Effect& e : effects)
    table.add({e.key, e.value, e.reference, nats(e.loss), nats(e.difference), nats(e.error),
               study::shown_interval(e), text(e.pairs)});
  return table.html();
}

std::string repeats_text(const std::vector<study::RepeatWorth>& repeats) {
  std::string out = paragraph(
      "D tokens from an epoch of U count as U·[1 + R*·(1 − e^(−r/R*))] fresh ones, r = D/U − 1. Text models "
      "have R* = 15.4 (Muennighoff et al. 2023). The interval holds the R* that an F test accepts at 95%.");
  for (const study::RepeatWorth& worth : repeats) {
    out += paragraph(worth.model + ": " + study::verdict_of(worth));
    if (!worth.why.empty()) continue;
    HtmlTable table({"run", "tokens", "epochs", "loss (nats)", "fresh tokens that a token is worth"});
    for (const study::RepeatedRun& run : worth.runs)
      table.add({run.name, human_count(run.tokens), fixed(run.epochs(), 2), nats(run.loss),
                 fixed(worth.worth_at(std::max(1.0, run.epochs())), 2)});
    out += table.html();
  }
  return out;
}

std::string rates_table(const study::RateLaw& law) {
  HtmlTable table({"model", "N", "B", "D", "C", "rates tried", "best rate", "factor of error",
                   "twice or half loses (nats)"});
  for (const study::BestRate& group : law.groups)
    table.add({group.model, human_count(group.parameters), human_count(group.batch_tokens),
               human_count(group.tokens), scientific(group.flops, 1), text(group.tried.size()),
               group.why.empty() ? scientific(group.rate, 2) : group.why,
               std::isfinite(group.log_error) ? fixed(std::exp(group.log_error), 2) : "unknown",
               std::isfinite(group.doubled) ? fixed(group.doubled, 4) : "unknown"});
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
    body +=
        section("What each value changes",
                paragraph("The loss with the value minus the loss with the one it is compared against, over "
                          "pairs of runs that differ in this key alone.") +
                    figures(effect_plots(answers.effects)) + effects_table(answers.effects));
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

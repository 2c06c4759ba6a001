#include "esmscale/study/arms/answers.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"
#include "study/arms/finished_arms.h"

#include <nlohmann/json.hpp>

namespace esmscale::study {

StudyAnswers answers_of(const Study& study, laws::LossKind loss) {
  const std::vector<FinishedArm> arms = finished_arms(study, loss);
  StudyAnswers answers{.name = study.name,
                       .loss = loss,
                       .effects = effects_of(study, loss),
                       .repeats = repeats_of(arms),
                       .rates = rates_of(arms),
                       .memory = memory_of(arms)};
  const bool is_empty = answers.effects.empty() && answers.repeats.empty() && answers.rates.groups.empty() &&
                        answers.memory.empty();
  if (is_empty)
    throw usage_error(
        {.where = study.folder.string(),
         .expected = "finished runs, or rows that set a key to several values",
         .found = text(study.runs.size(), " rows without either"),
         .advice = "train it with esmscale study run, or lay arms out with esmscale study arms"});
  return answers;
}

const char* meaning_of_effects() {
  return "Difference: the loss with the value minus the loss with the one it is compared against, over pairs "
         "of runs that differ in this key alone (seeds and other keys equal).";
}

Json to_json(const StudyAnswers& answers) {
  return {{"effects", to_json(answers.effects)},
          {"repeats", to_json(answers.repeats)},
          {"rates", to_json(answers.rates)},
          {"memory", to_json(answers.memory)}};
}

std::string to_text(const StudyAnswers& answers) {
  std::string out;
  if (!answers.effects.empty()) out = to_text(answers.effects) + meaning_of_effects() + "\n";
  return out + to_text(answers.repeats) + to_text(answers.rates) + to_text(answers.memory);
}

}  // namespace esmscale::study

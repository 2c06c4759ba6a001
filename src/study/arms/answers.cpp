#include "esmscale/study/answers.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <nlohmann/json.hpp>

namespace esmscale::study {

StudyAnswers answers_of(const Study& study, laws::LossKind loss) {
  StudyAnswers answers{.name = study.name,
                       .loss = loss,
                       .effects = effects_of(study, loss),
                       .repeats = repeats_of(study, loss),
                       .rates = rates_of(study, loss),
                       .memory = memory_of(study)};
  if (answers.effects.empty() && answers.rates.groups.empty())
    throw usage_error({.where = study.folder.string(),
                       .expected = "a study whose rows set a key to several values",
                       .found = text(study.runs.size(), " rows without one"),
                       .advice = "lay one out: esmscale study arms DIR --vary KEY=VALUE,VALUE"});
  return answers;
}

Json to_json(const StudyAnswers& answers) {
  return {{"effects", to_json(answers.effects)},
          {"repeats", to_json(answers.repeats)},
          {"rates", to_json(answers.rates)},
          {"memory", to_json(answers.memory)}};
}

std::string to_text(const StudyAnswers& answers) {
  std::string out;
  if (!answers.effects.empty())
    out =
        to_text(answers.effects) +
        "Difference: the loss with the value minus the loss with the one it is compared against, over pairs "
        "of runs that differ in this key alone (seeds and other keys equal).\n";
  return out + to_text(answers.repeats) + to_text(answers.rates) + to_text(answers.memory);
}

}  // namespace esmscale::study

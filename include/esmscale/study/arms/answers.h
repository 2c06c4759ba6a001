// What the finished runs of a study say about its questions.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/study/arms/arms.h"
#include "esmscale/study/arms/best_rates.h"
#include "esmscale/study/arms/repeats.h"
#include "esmscale/study/arms/run_memory.h"

#include <string>
#include <vector>

namespace esmscale::study {

struct StudyAnswers {
  std::string name;
  laws::LossKind loss = laws::LossKind::eval;
  std::vector<Effect> effects;
  std::vector<RepeatWorth> repeats;
  RateLaw rates;
  std::vector<RunMemory> memory;
};

// Usage error where rows set no key to several values, and finished runs answer nothing else.
StudyAnswers answers_of(const Study& study, laws::LossKind loss);

// How an effect's difference is made, in a sentence.
const char* meaning_of_effects();

Json to_json(const StudyAnswers& answers);
std::string to_text(const StudyAnswers& answers);

}  // namespace esmscale::study

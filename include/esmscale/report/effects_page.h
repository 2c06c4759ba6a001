// One self-contained page of what a study's runs say about its questions.
#pragma once

#include "esmscale/study/arms/answers.h"

#include <string>

namespace esmscale::report {

std::string effects_page(const study::StudyAnswers& answers);

}  // namespace esmscale::report

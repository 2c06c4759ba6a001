// What `eval` prints: tables for people, keys for programs.
#pragma once

#include "cli/verbs/eval_score.h"

#include <span>
#include <string>

namespace esmscale::cli {

// `group_of`: the group of each sequence of the holdout; empty when no groups are asked for.
void report_one(const Program& program, const Scored& scored, std::span<const std::string> group_of);
// Both, and a − b, paired by sequence.
void report_two(const Program& program, const Scored& a, const Scored& b,
                std::span<const std::string> group_of);

}  // namespace esmscale::cli

// How two fits differ, beside their errors: the exponent a, N_opt and the loss at one budget, per approach.
#pragma once

#include "esmscale/core/json.h"
#include "esmscale/laws/fits/bootstrap.h"
#include "esmscale/laws/law_file.h"

#include <optional>
#include <string>
#include <vector>

namespace esmscale::laws {

// One number in two fits. The interval is that of the change over all pairs of their draws (the first 2,000
// of each): the fits are independent, so every draw of one may meet every draw of the other. NaN: unknown.
struct Change {
  double first = 0, second = 0;
  double change = 0;                 // first − second; of N_opt the ratio first/second
  std::optional<Interval> interval;  // 95%
};

struct LawDifference {
  struct Row {
    Approach approach;
    std::string why_not;  // which fit does not support it, and why; "": both do
    Change exponent, parameters, loss;
  };
  std::string first, second;  // paths
  double flops = 0;
  std::vector<Row> rows;  // of all approaches
  std::vector<std::string> warnings;
};

// The exponent is that about C: the slope of ln N_opt over a decade. flops 0: the middle of the budgets that
// both fits have; usage error where they have none. Usage error that names every count that differs: flop
// count, parameter count, loss, holdout, most epochs. With allow_mixed the last two may differ; losses on
// different holdouts are not compared.
LawDifference difference_of(const LawFile& first, const LawFile& second, double flops, bool allow_mixed);

Json to_json(const LawDifference& difference);

}  // namespace esmscale::laws

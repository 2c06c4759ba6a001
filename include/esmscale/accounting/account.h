// Parameters, FLOPs and memory of one configuration, as `count-flops` and `train --dry-run` print them.
#pragma once

#include "esmscale/accounting/flops.h"
#include "esmscale/accounting/memory.h"
#include "esmscale/config/config.h"
#include "esmscale/core/json.h"

#include <cstdint>
#include <span>
#include <string>

namespace esmscale::accounting {

// Lengths of the sequences that FLOPs are counted for, in rows: residues + START + END, cropped.
struct Lengths {
  double sequences = 0;
  double tokens = 0;          // Σ n
  double squared_tokens = 0;  // Σ n²

  double mean() const { return tokens / sequences; }
  double mean_square() const { return squared_tokens / sequences; }
};
Lengths equal_lengths(double rows);
// `residues` holds at least one sequence.
Lengths real_lengths(std::span<const uint32_t> residues, int64_t max_seq_len);

struct Account {
  config::RunConfig config;  // resolved
  Lengths lengths;
  int ranks = 1;
  config::DeviceKind device = config::DeviceKind::cpu;
  ParameterCounts parameters;
  ForwardFlops forward;           // of the mean sequence
  double training_per_token = 0;  // Hoffmann's count
  double six_n_per_token = 0;     // N = kaplan_non_embedding
  double executed_per_token = 0;  // head on masked positions only, embedding a gather
  double run_tokens = 0;          // D of the run; 0: unknown
  MemoryPrediction memory;        // of one rank on `device`
};

// run_tokens 0: the account has no run.
Account account_for(const config::RunConfig& resolved, const Lengths& lengths, double run_tokens, int ranks,
                    config::DeviceKind device);

// One entry of `count-flops --json`.
Json to_json(const Account& account);

// For people: the table of weights and FLOPs, then the totals, the run and the memory.
std::string account_text(const Account& account);
// One line for each account.
std::string accounts_table(std::span<const Account> accounts);

}  // namespace esmscale::accounting

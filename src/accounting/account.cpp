#include "esmscale/accounting/account.h"

#include "esmscale/core/table.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <nlohmann/json.hpp>

namespace esmscale::accounting {
namespace {

// Over the tokens of a run.
double mean_masking_rate(const config::RunConfig& config) {
  const double first = config.masking.mlm_probability, last = config.masking.final_mlm_probability;
  return last > 0 ? (first + last) / 2 : first;
}

struct Row {
  const char* key;    // in JSON
  const char* title;  // for people
  int64_t weights;    // -1: the part has none of its own
  double flops;       // forward, of the mean sequence
};

std::vector<Row> rows_of(const Account& a) {
  const ForwardFlops& f = a.forward;
  const auto d = a.config.model.width, blocks = a.config.model.layers;
  return {{"embedding", "embedding", a.parameters.embedding, f.embedding},
          {"qkv", "QKV", blocks * 3 * d * d, f.qkv},
          {"attention_logits", "attention logits", -1, f.attention_logits},
          {"attention_softmax", "attention softmax", -1, f.attention_softmax},
          {"attention_values", "attention values", -1, f.attention_values},
          {"attention_output", "attention output", blocks * d * d, f.attention_output},
          {"ffn", "FFN", a.parameters.ffn, f.ffn},
          {"head_dense", "head dense", a.parameters.head_dense, f.head_dense},
          {"head_decoder", "head decoder", a.parameters.head_decoder, f.head_decoder}};
}

// A whole number is written as one.
Json number(double value) {
  if (std::floor(value) == value && std::abs(value) < 0x1p53) return static_cast<int64_t>(value);
  return value;
}

Json parameters_json(const ParameterCounts& p) {
  return {{"embedding", p.embedding},
          {"attention", p.attention},
          {"ffn", p.ffn},
          {"head_dense", p.head_dense},
          {"head_decoder", p.head_decoder},
          {"kaplan_non_embedding", p.kaplan_non_embedding},
          {"kaplan_with_head", p.kaplan_with_head()},
          {"trainable", p.trainable}};
}

Json flops_json(const Account& a) {
  Json forward = Json::object();
  for (const Row& row : rows_of(a)) forward[row.key] = row.flops;
  forward["total"] = a.forward.total();
  return {{"forward", forward},
          {"training_per_sequence", a.training_per_token * a.lengths.mean()},
          {"training_per_token", a.training_per_token},
          {"six_n_per_token", a.six_n_per_token},
          {"executed_per_token", a.executed_per_token}};
}

Json run_json(const Account& a) {
  if (a.run_tokens <= 0) return nullptr;
  return {{"tokens", number(a.run_tokens)},
          {"training_flops", a.training_per_token * a.run_tokens},
          {"six_n_d", a.six_n_per_token * a.run_tokens},
          {"executed_flops", a.executed_per_token * a.run_tokens}};
}

// A rank's bytes at ZeRO stages 0, 1 and 2.
std::vector<double> totals_by_stage(const Account& a) {
  std::vector<double> totals;
  config::RunConfig config = a.config;
  for (const int64_t stage : {0, 1, 2}) {
    config.parallel.zero_stage = stage;
    totals.push_back(predict_memory(config, a.ranks, a.device).total());
  }
  return totals;
}

const char* shown_device(config::DeviceKind device) {
  return device == config::DeviceKind::cpu ? "cpu" : "cuda";
}

Json memory_json(const Account& a) {
  const MemoryPrediction& m = a.memory;
  return {{"ranks", a.ranks},
          {"device", shown_device(a.device)},
          {"zero_stage", a.config.parallel.zero_stage},
          {"micro_batch_tokens", a.config.train.micro_batch_tokens},
          {"precision", enum_name(a.config.train.precision)},
          {"engine", enum_name(a.config.train.engine)},
          {"recompute", enum_name(a.config.train.recompute)},
          {"parameters", m.parameters},
          {"gradients", m.gradients},
          {"moments", m.moments},
          {"averages", m.averages},
          {"activations", m.activations},
          {"workspace", m.workspace},
          {"total", m.total()},
          {"total_by_stage", totals_by_stage(a)}};
}

std::string shown_flops(double flops) {
  return scientific(flops, 3);
}
std::string shown_rows(const Lengths& lengths) {
  return fixed(lengths.mean(), std::floor(lengths.mean()) == lengths.mean() ? 0 : 1);
}

std::string part_table(const Account& a) {
  Table table({"part", "weights", "forward FLOPs", "share"});
  const double total = a.forward.total();
  const auto share = [&](double flops) { return fixed(100 * flops / total, 1) + "%"; };
  int64_t weights = 0;
  for (const Row& row : rows_of(a)) {
    table.add(
        {row.title, row.weights < 0 ? "–" : text(row.weights), shown_flops(row.flops), share(row.flops)});
    weights += std::max<int64_t>(row.weights, 0);
  }
  table.add({"total", text(weights), shown_flops(total), share(total)});
  return table.str();
}

std::string by_stage_text(const Account& a) {
  std::vector<std::string> shown;
  for (const double total : totals_by_stage(a)) shown.push_back(human_bytes(total));
  return join(shown, ", ");
}

std::string memory_text(const Account& a) {
  const MemoryPrediction& m = a.memory;
  return text("memory of a rank (", a.ranks, a.ranks == 1 ? " rank" : " ranks", ", ZeRO stage ",
              a.config.parallel.zero_stage, ", ", enum_name(a.config.train.precision), " on ",
              shown_device(a.device), ", ", a.config.train.micro_batch_tokens,
              " rows a micro-batch): ", human_bytes(m.total()), " = parameters ", human_bytes(m.parameters),
              " + gradients ", human_bytes(m.gradients), " + moments ", human_bytes(m.moments),
              m.averages > 0 ? " + averages " + human_bytes(m.averages) : "", " + activations ",
              human_bytes(m.activations), " + workspace ", human_bytes(m.workspace), "\n",
              a.ranks > 1 ? text("  at stages 0, 1, 2: ", by_stage_text(a), "\n") : "");
}

}  // namespace

Lengths equal_lengths(double rows) {
  return {.sequences = 1, .tokens = rows, .squared_tokens = rows * rows};
}

Lengths real_lengths(std::span<const uint32_t> residues, int64_t max_seq_len) {
  Lengths lengths{.sequences = static_cast<double>(residues.size())};
  for (const uint32_t length : residues) {
    const auto rows = static_cast<double>(std::min<int64_t>(int64_t{length} + 2, max_seq_len));
    lengths.tokens += rows;
    lengths.squared_tokens += rows * rows;
  }
  return lengths;
}

Account account_for(const config::RunConfig& config, const Lengths& lengths, double run_tokens, int ranks,
                    config::DeviceKind device) {
  const FlopCounter counter(config.model);
  const double tokens = lengths.tokens, squared = lengths.squared_tokens;
  return {
      .config = config,
      .lengths = lengths,
      .ranks = ranks,
      .device = device,
      .parameters = count_parameters(config.model),
      .forward = forward_flops(config.model, lengths.mean(), lengths.mean_square()),
      .training_per_token = counter.training(tokens, squared) / tokens,
      .six_n_per_token = counter.six_n_d(1),
      .executed_per_token = counter.executed(tokens, squared, mean_masking_rate(config) * tokens) / tokens,
      .run_tokens = run_tokens,
      .memory = predict_memory(config, ranks, device)};
}

Json to_json(const Account& a) {
  const config::ModelConfig& m = a.config.model;
  return {{"name", m.name},
          {"layers", m.layers},
          {"width", m.width},
          {"heads", m.heads},
          {"ffn", m.ffn_dim()},
          {"vocabulary", m.alphabet},
          {"sequence_length", number(a.lengths.mean())},
          {"mean_squared_length", number(a.lengths.mean_square())},
          {"parameters", parameters_json(a.parameters)},
          {"flops", flops_json(a)},
          {"run", run_json(a)},
          {"memory", memory_json(a)}};
}

std::string account_text(const Account& a) {
  const config::ModelConfig& m = a.config.model;
  std::string shown =
      text(one_line(m.name), ": ", m.layers, " blocks of width ", m.width, ", ", m.heads, " heads, FFN ",
           m.ffn_dim(), ", ", m.alphabet, " tokens; a sequence of ", shown_rows(a.lengths), " rows",
           a.lengths.sequences > 1 ? " (the mean of the data's, cropped)" : "", "\n", part_table(a));
  shown += text("N (Kaplan, without embedding) ", a.parameters.kaplan_non_embedding, "; with head dense ",
                a.parameters.kaplan_with_head(), "; all trainable ", a.parameters.trainable, "\n");
  shown += text("training FLOPs a token ", shown_flops(a.training_per_token),
                " (3 × forward) = ", fixed(a.training_per_token / a.six_n_per_token, 2), " × 6N (",
                shown_flops(a.six_n_per_token), "); executed, head on masked positions only, ",
                shown_flops(a.executed_per_token), "\n");
  if (a.run_tokens > 0)
    shown += text("a run of ", human_count(a.run_tokens),
                  " tokens: ", shown_flops(a.training_per_token * a.run_tokens), " training FLOPs; 6ND ",
                  shown_flops(a.six_n_per_token * a.run_tokens), "; executed ",
                  shown_flops(a.executed_per_token * a.run_tokens), "\n");
  return shown + memory_text(a);
}

std::string accounts_table(std::span<const Account> accounts) {
  const bool has_run =
      std::any_of(accounts.begin(), accounts.end(), [](const Account& a) { return a.run_tokens > 0; });
  std::vector<std::string> header{"model",        "blocks × width", "heads",       "N (Kaplan)",
                                  "+ head dense", "trainable",      "FLOPs/token", "6N/token",
                                  "ratio",        "executed/token", "memory"};
  if (has_run) header.insert(header.end(), {"D", "run FLOPs", "6ND"});
  Table table(header);
  for (const Account& a : accounts) {
    const config::ModelConfig& m = a.config.model;
    const ParameterCounts& p = a.parameters;
    std::vector<std::string> row{m.name,
                                 text(m.layers, " × ", m.width),
                                 text(m.heads),
                                 text(p.kaplan_non_embedding),
                                 text(p.kaplan_with_head()),
                                 text(p.trainable),
                                 shown_flops(a.training_per_token),
                                 shown_flops(a.six_n_per_token),
                                 fixed(a.training_per_token / a.six_n_per_token, 2),
                                 shown_flops(a.executed_per_token),
                                 human_bytes(a.memory.total())};
    const auto of_run = [&](double per_token) {
      return a.run_tokens > 0 ? shown_flops(per_token * a.run_tokens) : "–";
    };
    if (has_run)
      row.insert(row.end(), {a.run_tokens > 0 ? human_count(a.run_tokens) : "–", of_run(a.training_per_token),
                             of_run(a.six_n_per_token)});
    table.add(row);
  }
  return table.str();
}

}  // namespace esmscale::accounting

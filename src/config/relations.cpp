#include "config/relations.h"

#include "esmscale/config/engine_choice.h"
#include "esmscale/core/text.h"

#include <algorithm>

namespace esmscale::config {

void check_relations(const RunConfig& c, Violations& violations) {
  const auto require = [&](bool holds, const std::string& what) { violations.require(holds, what); };
  const ModelConfig& m = c.model;
  require(m.heads > 0 && m.width % m.heads == 0,
          text("model.heads = ", m.heads, " does not divide model.width = ", m.width));
  require(m.heads <= 0 || m.width % m.heads != 0 || m.head_dim() % 2 == 0,
          text("head_dim = width / heads = ", m.heads > 0 ? m.head_dim() : 0, " is odd; rotary needs pairs"));
  require(m.alphabet == 29 || m.alphabet == 33,
          text("model.alphabet = ", m.alphabet, " is neither 29 nor 33"));
  require(c.optimizer.name == OptimizerKind::adamw || c.optimizer.weight_decay == 0,
          "optimizer.weight_decay > 0 needs optimizer.name = adamw; muon and normuon have "
          "optimizer.matrix_weight_decay");
  const ScheduleConfig& s = c.schedule;
  require(
      s.name != ScheduleKind::exponential || s.decay_factor > 0,
      "schedule.decay_factor = 0 is never reached by an exponential decay; linear, cosine and wsd reach it");
  require(s.decay_tokens == 0 || s.decay_tokens > s.warmup_tokens,
          text("schedule.decay_tokens = ", s.decay_tokens,
               " ends before the warm-up does, schedule.warmup_tokens = ", s.warmup_tokens));
  require(s.min_lr <= c.optimizer.lr,
          text("schedule.min_lr = ", s.min_lr, " is above the peak, optimizer.lr = ", c.optimizer.lr));
  const TrainConfig& t = c.train;
  const int64_t pack = t.pack_tokens > 0 ? t.pack_tokens : std::min(2 * c.data.max_seq_len, t.batch_tokens);
  require(pack >= c.data.max_seq_len,
          text("train.pack_tokens = ", pack,
               " is smaller than one sequence's crop, data.max_seq_len = ", c.data.max_seq_len));
  require(t.batch_tokens % pack == 0,
          text("train.batch_tokens = ", t.batch_tokens, " is not a multiple of train.pack_tokens = ", pack));
  require(t.first_batch_tokens % pack == 0 && t.first_batch_tokens <= t.batch_tokens,
          text("train.first_batch_tokens = ", t.first_batch_tokens,
               " is not a multiple of train.pack_tokens = ", pack,
               " up to train.batch_tokens = ", t.batch_tokens));
  require((t.first_batch_tokens > 0) == (t.batch_warmup_tokens > 0),
          "train.first_batch_tokens and train.batch_warmup_tokens are given together or not at all");
  require(t.micro_batch_tokens % pack == 0, text("train.micro_batch_tokens = ", t.micro_batch_tokens,
                                                 " is not a multiple of train.pack_tokens = ", pack));
  const auto& parallel = c.parallel;
  const bool shards = parallel.master_weights == MasterWeights::sharded;
  require(!shards || parallel.zero_stage > 0,
          "parallel.master_weights = sharded needs parallel.zero_stage = 1 or 2");
  require(!shards || t.precision == Precision::automatic || has_short_activations(t.precision),
          text("parallel.master_weights = sharded needs train.precision = bf16 or fp8; ",
               enum_name(t.precision), " training has no bf16 copy of the weights"));
  require(!shards || c.log.layer_norms_every == 0,
          "log.layer_norms_every > 0 needs parallel.master_weights = whole");
}

}  // namespace esmscale::config

// Every configuration field, declared once.
#include "esmscale/config/config.h"

namespace esmscale::config {
namespace {

constexpr double kMany = 1e15;

Field field(std::string path, Field::Home home, std::string help) {
  Field made{.path = std::move(path), .home = home, .help = std::move(help)};
  if (const auto* named = std::get_if<EnumRef>(&made.home)) made.choices = named->names();
  return made;
}

}  // namespace

std::vector<Field> fields(RunConfig& c) {
  return {
      field("model.name", &c.model.name, "Name of the model in tables and reports"),
      field("model.layers", &c.model.layers, "Transformer blocks").within(1, 1000).identity(),
      field("model.width", &c.model.width, "Embedding width d").within(4, 65536).identity(),
      field("model.heads", &c.model.heads, "Attention heads; head_dim = width / heads is even")
          .within(1, 4096)
          .identity(),
      field("model.ffn", &c.model.ffn, "FFN width; 0 is 4 · width").within(0, 1 << 20).identity(),
      field("model.alphabet", &c.model.alphabet, "Tokens: 29 (the paper's) or 33 (the official order)")
          .within(29, 33)
          .identity(),
      field("model.token_dropout", &c.model.token_dropout,
            "ESM-2's rescaling of embeddings by the share of <mask>")
          .identity(),
      field("model.init.scheme", &c.model.init.scheme, "How weights start")
          .identity(),
      field("model.init.decoder_bias", &c.model.init.decoder_bias,
            "Decoder bias at the start: zeros, or the log letter frequencies of the training set")
          .identity(),

      field("data.train", &c.data.train, "Folder of the prepared training set"),
      field("data.holdout", &c.data.holdout, "Folder of the prepared holdout"),
      field("data.sequences", &c.data.sequences, "Train on the first so many of the shuffled order; 0 is all")
          .unit("sequences")
          .within(0, kMany)
          .identity(),
      field("data.max_seq_len", &c.data.max_seq_len, "Rows of the longest crop, START and END included")
          .unit("tokens")
          .within(8, 1 << 20)
          .identity(),

      field("train.batch_tokens", &c.train.batch_tokens, "Rows of a global batch; a multiple of pack_tokens")
          .unit("tokens")
          .within(8, kMany)
          .identity(),
      field("train.micro_batch_tokens", &c.train.micro_batch_tokens,
            "Rows of a micro-batch on one rank; 0 is chosen for the device")
          .unit("tokens")
          .within(0, kMany),
      field("train.pack_tokens", &c.train.pack_tokens,
            "Rows of a pack; 0 is 2 · max_seq_len, no more than a batch")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("train.epochs", &c.train.epochs, "Passes over the data").within(1, 10000).identity(),
      field("train.max_tokens", &c.train.max_tokens, "Stop after so many tokens; 0 is all epochs")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("train.seed", &c.train.seed, "Seed of initialisation, order, crops and masks")
          .within(0, 4294967295.0)
          .identity(),
      field("train.precision", &c.train.precision,
            "Arithmetic of matrix products; master weights are fp32 always")
          .identity(),
      field("train.engine", &c.train.engine,
            "How a step is computed: plain (autograd), fused (written out), auto: fused where it can be"),
      field("train.grad_clip", &c.train.grad_clip, "Largest norm of the whole gradient; 0 is no clipping")
          .at_least(0)
          .identity(),
      field("train.recompute", &c.train.recompute,
            "What the fused engine makes again in backward to save memory: LayerNorm and GELU outputs, whole "
            "blocks, or nothing, which is fastest"),
      field("train.deterministic", &c.train.deterministic,
            "Bit-equal GPU runs at some cost; CPU runs are bit-equal always"),
      field("train.max_bad_steps", &c.train.max_bad_steps, "Give up after so many non-finite steps in a row")
          .unit("steps")
          .within(1, 1e9),

      field("optimizer.name", &c.optimizer.name, "adam, or adamw with decoupled weight decay")
          .identity(),
      field("optimizer.lr", &c.optimizer.lr, "Peak learning rate").within(0, 10).identity(),
      field("optimizer.betas", &c.optimizer.betas, "Decay of the first and second moment")
          .within(0, 0.999999999)
          .identity(),
      field("optimizer.eps", &c.optimizer.eps, "Added to the root of the second moment")
          .within(0, 1)
          .identity(),
      field("optimizer.weight_decay", &c.optimizer.weight_decay, "Decoupled decay of matrices (adamw only)")
          .within(0, 10)
          .identity(),

      field("masking.mlm_probability", &c.masking.mlm_probability,
            "Share of eligible residues that are chosen")
          .within(0.001, 0.9)
          .identity(),

      field("schedule.name", &c.schedule.name, "Learning rate by tokens")
          .identity(),
      field("schedule.warmup_tokens", &c.schedule.warmup_tokens, "Linear warm-up")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("schedule.decay_tokens", &c.schedule.decay_tokens,
            "Where the decay ends; 0 is the end of the run")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("schedule.decay_factor", &c.schedule.decay_factor, "Learning rate at the end over the peak")
          .within(0, 1)
          .identity(),
      field("schedule.decay_fraction", &c.schedule.decay_fraction,
            "wsd: the last part of the run, in which it decays")
          .within(0, 1)
          .identity(),
      field("schedule.min_lr", &c.schedule.min_lr, "Floor after the warm-up").within(0, 10).identity(),

      field("parallel.zero_stage", &c.parallel.zero_stage,
            "What ranks share out: 0 nothing, 1 moments, 2 gradients too")
          .within(0, 2),
      field("parallel.heartbeat_seconds", &c.parallel.heartbeat_seconds,
            "A rank silent for so long ends the run")
          .unit("s")
          .within(1, 86400),
      field("parallel.collective_timeout_seconds", &c.parallel.collective_timeout_seconds,
            "Longest wait in one collective")
          .unit("s")
          .within(1, 86400),

      field("eval.every_tokens", &c.eval.every_tokens, "Evaluate the holdout so often; 0 is at the end only")
          .unit("tokens")
          .within(0, kMany),
      field("checkpoint.every_tokens", &c.checkpoint.every_tokens,
            "Write a checkpoint so often; 0 is by time only")
          .unit("tokens")
          .within(0, kMany),
      field("checkpoint.every_minutes", &c.checkpoint.every_minutes,
            "Write a checkpoint so often; 0 is by tokens only")
          .unit("min")
          .within(0, 1e6),
      field("checkpoint.keep", &c.checkpoint.keep, "Newest checkpoints kept, beside the best by holdout")
          .within(1, 1e6),
      field("log.every_steps", &c.log.every_steps, "Write a line of metrics so often")
          .unit("steps")
          .within(1, 1e9),
      field("log.tensorboard", &c.log.tensorboard, "Write TensorBoard event files too"),

      field("study.name", &c.study.name, "Study this run belongs to"),
      field("study.budget", &c.study.budget, "IsoFLOP group").unit("FLOPs").at_least(0),
      field("study.replicate", &c.study.replicate, "Which repeat with another seed").within(0, 1e6),
  };
}

}  // namespace esmscale::config

// Every configuration field, declared once.
#include "esmscale/config/choices.h"
#include "esmscale/config/config.h"

namespace esmscale::config {
namespace {

constexpr double kMany = 1e15;

Field field(std::string path, Field::Home home, std::string help) {
  Field made{.path = std::move(path), .home = std::move(home), .help = std::move(help)};
  if (const auto* named = std::get_if<EnumRef>(&made.home)) made.choices = named->names();
  return made;
}

}  // namespace

std::vector<Field> fields(RunConfig& c) {
  return {
      field("model.name", &c.model.name, "Name of the model in tables and reports"),
      field("model.layers", &c.model.layers, "Number of transformer blocks").within(1, 1000).identity(),
      field("model.width", &c.model.width, "Embedding width d, also the width of every block")
          .within(4, 65536)
          .identity(),
      field("model.heads", &c.model.heads, "Attention heads; head_dim = width / heads must be even")
          .within(1, 4096)
          .identity(),
      field("model.ffn", &c.model.ffn, "Inner width of the feed-forward network; 0 means 4 · width")
          .within(0, 1 << 20)
          .identity(),
      field("model.alphabet", &c.model.alphabet,
            "Vocabulary size: 29 (the tokens that training uses) or 33 (the official ESM-2 order)")
          .within(29, 33)
          .identity(),
      field("model.token_dropout", &c.model.token_dropout,
            "Rescale embeddings by the share of <mask> tokens, as ESM-2 does")
          .identity(),
      field("model.token_dropout_rate", &c.model.token_dropout_rate,
            "Masking rate that token dropout's scale assumes. ESM-2 and Hugging Face fix it at 0.15, "
            "whatever the "
            "masks of training are")
          .within(0, 0.9)
          .identity(),
      field("model.layer_norm_eps", &c.model.layer_norm_eps,
            "ε of every LayerNorm: 1e-5 in ESM-2, 1e-12 where a Hugging Face configuration names none")
          .within(1e-20, 0.1)
          .identity(),
      field("model.init.scheme", &c.model.init.scheme,
            "Initialisation of the weights: xavier, or hf (normal with deviation 0.02, as in transformers)")
          .identity(),
      field("model.init.decoder_bias", &c.model.init.decoder_bias,
            "Initial decoder bias: zeros, or the log letter frequencies of the training set")
          .identity(),

      field("data.train", &c.data.train, "Folder of the prepared training set"),
      field("data.holdout", &c.data.holdout, "Folder of the prepared holdout"),
      field("data.sequences", &c.data.sequences,
            "Train on the first N sequences of the shuffled order; 0 means all")
          .unit("sequences")
          .within(0, kMany)
          .identity(),
      field("data.max_seq_len", &c.data.max_seq_len, "Longest crop of a sequence, START and END included")
          .unit("tokens")
          .within(8, 1 << 20)
          .identity(),

      field("train.batch_tokens", &c.train.batch_tokens,
            "Tokens in a global batch; a multiple of pack_tokens")
          .unit("tokens")
          .within(8, kMany)
          .identity(),
      field("train.first_batch_tokens", &c.train.first_batch_tokens,
            "Tokens in the first global batch, a multiple of pack_tokens; the batch doubles until it is "
            "batch_tokens. 0 means batch_tokens from the start")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("train.batch_warmup_tokens", &c.train.batch_warmup_tokens,
            "Tokens of the run by which the batch has grown from first_batch_tokens to batch_tokens")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("train.micro_batch_tokens", &c.train.micro_batch_tokens,
            "Tokens in a micro-batch of one rank; 0 chooses a size for the device")
          .unit("tokens")
          .within(0, kMany),
      field("train.pack_tokens", &c.train.pack_tokens,
            "Tokens in a pack; 0 means 2 · max_seq_len, at most batch_tokens")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("train.epochs", &c.train.epochs, "Passes over the training set").within(1, 10000).identity(),
      field("train.max_tokens", &c.train.max_tokens, "Stop after N tokens; 0 means after all epochs")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("train.seed", &c.train.seed, "Seed for the initial weights, the data order, crops and masks")
          .within(0, 4294967295.0)
          .identity(),
      field("train.precision", &c.train.precision,
            "Arithmetic of matrix products; the master weights are always fp32. auto is bf16 on a GPU that "
            "has it, "
            "else fp32, and a run keeps what it began with. A CPU computes in fp32 or bf16. fp8 (GPUs of "
            "compute capability 8.9 and more) has "
            "never been run on a GPU")
          .identity(),
      field("train.allow_slow_bf16", &c.train.allow_slow_bf16,
            "Allow bf16 on a CPU without AVX512_BF16 or AMX, where it is slower than fp32"),
      field(
          "train.engine", &c.train.engine,
          "How a step is computed: plain (autograd), fused (hand-written kernels), or auto (fused where its "
          "kernels support the model)"),
      field("train.grad_clip", &c.train.grad_clip,
            "Clip the norm of the whole gradient to this value; 0 disables clipping")
          .at_least(0)
          .identity(),
      field("train.recompute", &c.train.recompute,
            "What the fused engine recomputes in backward to save memory: none (fastest), LayerNorm and GELU "
            "outputs, or whole blocks"),
      field("train.deterministic", &c.train.deterministic,
            "Make GPU runs bit-equal, at some cost in speed; CPU runs always are"),
      field("train.max_bad_steps", &c.train.max_bad_steps, "Give up after N non-finite steps in a row")
          .unit("steps")
          .within(1, 1e9),

      field(
          "optimizer.name", &c.optimizer.name,
          "Optimizer: adam, adamw (decoupled weight decay), muon or normuon (orthogonalised hidden matrices)")
          .identity(),
      field("optimizer.lr", &c.optimizer.lr, "Peak learning rate").within(0, 10).identity(),
      field("optimizer.betas", &c.optimizer.betas, "Decay rates of the first and second moment")
          .within(0, 0.999999999)
          .identity(),
      field("optimizer.eps", &c.optimizer.eps, "Epsilon, added to the square root of the second moment")
          .within(0, 1)
          .identity(),
      field("optimizer.weight_decay", &c.optimizer.weight_decay,
            "Decoupled weight decay of matrices (adamw only)")
          .within(0, 10)
          .identity(),

      field("optimizer.matrix_lr", &c.optimizer.matrix_lr,
            "muon and normuon: peak learning rate of hidden matrices; a step changes a matrix's largest "
            "singular "
            "value by the rate times sqrt(rows / columns)")
          .within(0, 10)
          .identity(),
      field("optimizer.momentum", &c.optimizer.momentum, "muon and normuon: decay rate of the momentum")
          .within(0, 0.9999)
          .identity(),
      field("optimizer.matrix_weight_decay", &c.optimizer.matrix_weight_decay,
            "muon and normuon: decoupled weight decay of hidden matrices")
          .within(0, 10)
          .identity(),
      field("optimizer.row_beta", &c.optimizer.row_beta,
            "normuon: decay rate of the mean square of each row's update")
          .within(0, 0.9999)
          .identity(),

      field("masking.mlm_probability", &c.masking.mlm_probability,
            "Probability that a residue is chosen for prediction")
          .within(0.001, 0.9)
          .identity(),
      field("masking.final_mlm_probability", &c.masking.final_mlm_probability,
            "Masking probability at the end of the run, reached linearly in tokens; 0 means constant")
          .within(0, 0.9)
          .identity(),

      field("average.ema_tokens", &c.average.ema_tokens,
            "Keep an exponential average of the weights with a time constant of N tokens; 0 means none")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("average.last_fraction", &c.average.last_fraction,
            "Keep the mean of the weights over this fraction of the run, at its end; 0 means none")
          .within(0, 1)
          .identity(),

      field("schedule.name", &c.schedule.name, "Shape of the learning rate over the tokens of the run")
          .identity(),
      field("schedule.warmup_tokens", &c.schedule.warmup_tokens, "Length of the linear warm-up")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("schedule.decay_tokens", &c.schedule.decay_tokens,
            "Tokens at which the decay ends; 0 means the end of the run")
          .unit("tokens")
          .within(0, kMany)
          .identity(),
      field("schedule.decay_factor", &c.schedule.decay_factor, "Final learning rate divided by the peak")
          .within(0, 1)
          .identity(),
      field("schedule.decay_fraction", &c.schedule.decay_fraction,
            "wsd only: fraction of the run, at its end, in which the learning rate decays")
          .within(0, 1)
          .identity(),
      field("schedule.min_lr", &c.schedule.min_lr, "Lowest learning rate after the warm-up")
          .within(0, 10)
          .identity(),

      field("parallel.zero_stage", &c.parallel.zero_stage,
            "ZeRO stage: 0 shards nothing, 1 the optimizer state, 2 also the gradients")
          .within(0, 2),
      field("parallel.master_weights", &c.parallel.master_weights,
            "fp32 weights on each rank: whole (all of them) or sharded (those that it updates, and all "
            "weights in bf16; needs bf16 or fp8 and ZeRO stage 1 or 2)"),
      field("parallel.reduce", &c.parallel.reduce,
            "Type in which gradients travel between ranks: bf16 halves the bytes and rounds each sum to 8 "
            "significant bits")
          .identity(),
      field("parallel.heartbeat_seconds", &c.parallel.heartbeat_seconds,
            "End the run when a rank has been silent for this long")
          .unit("s")
          .within(0.1, 86400),
      field("parallel.collective_timeout_seconds", &c.parallel.collective_timeout_seconds,
            "Longest wait in one collective operation")
          .unit("s")
          .within(1, 86400),

      field("eval.every_tokens", &c.eval.every_tokens,
            "Evaluate the holdout every N tokens; 0 means only at the end")
          .unit("tokens")
          .within(0, kMany),
      field("eval.mlm_probability", &c.eval.mlm_probability,
            "Masking rate of evaluations, whatever masking.mlm_probability is")
          .within(0.001, 0.9),
      field("eval.draws", &c.eval.draws, "Evaluate with N sets of masks and average them").within(1, 1000),
      field(
          "eval.assays", &c.eval.assays,
          "Tables of measured variants (CSV, each with the wild type's sequence in a FASTA file of the same "
          "name) to score at each evaluation"),
      field("checkpoint.every_tokens", &c.checkpoint.every_tokens,
            "Write a checkpoint every N tokens; 0 means by time only")
          .unit("tokens")
          .within(0, kMany),
      field("checkpoint.every_minutes", &c.checkpoint.every_minutes,
            "Write a checkpoint every N minutes; 0 means by tokens only")
          .unit("min")
          .within(0, 1e6),
      field("checkpoint.keep", &c.checkpoint.keep,
            "Number of newest checkpoints to keep, in addition to the best by holdout loss")
          .within(1, 1e6),
      field(
          "checkpoint.retry_minutes", &c.checkpoint.retry_minutes,
          "While the disk or a quota is full, train on and try again to write for N minutes; 0 means end at "
          "once")
          .unit("min")
          .within(0, 1e6),
      field("checkpoint.in_background", &c.checkpoint.in_background,
            "Copy the state of a regular checkpoint to host memory, and continue training while threads "
            "write the copy"),
      field("log.every_steps", &c.log.every_steps, "Write a line of metrics every N steps")
          .unit("steps")
          .within(1, 1e9),
      field("log.layer_norms_every", &c.log.layer_norms_every,
            "Write the norms of each layer's weights and updates, and its largest attention logit, every N "
            "steps; 0 means never. Needs parallel.master_weights = whole")
          .unit("steps")
          .within(0, 1e9),
      field("log.tensorboard", &c.log.tensorboard, "Also write TensorBoard event files"),

      field("study.name", &c.study.name, "Name of the study that this run belongs to"),
      field("study.budget", &c.study.budget, "Budget of the IsoFLOP group that this run belongs to")
          .unit("FLOPs")
          .at_least(0),
      field("study.replicate", &c.study.replicate, "Which repeat with another seed").within(0, 1e6),
      field("study.stage", &c.study.stage,
            "main, trunk (not decayed), lr-sweep or arm; fits take main runs only"),
  };
}

}  // namespace esmscale::config

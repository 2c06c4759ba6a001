// The configuration of a run. Every field is declared once, in fields() (fields.cpp), and the structs below
// hold the defaults. Tokens are real tokens: residues + START + END.
#pragma once

#include "esmscale/config/choices.h"
#include "esmscale/config/field.h"
#include "esmscale/core/json.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace esmscale::config {

struct ModelConfig {
  std::string name = "custom";
  int64_t layers = 6;
  int64_t width = 320;
  int64_t heads = 20;
  int64_t ffn = 0;        // 0: 4 · width; resolve() writes the number
  int64_t alphabet = 29;  // 29 (the paper's tokens) or 33 (the official order)
  bool token_dropout = true;
  double token_dropout_rate = 0.15;  // p of its scale; whatever the masks' rate is
  double layer_norm_eps = 1e-5;      // ε of every LayerNorm; ESM-2 has 1e-5
  struct Init {
    InitScheme scheme = InitScheme::xavier;
    DecoderBias decoder_bias = DecoderBias::zeros;
  } init;

  int64_t head_dim() const { return width / heads; }
  int64_t ffn_dim() const { return ffn > 0 ? ffn : 4 * width; }
};

struct DataConfig {
  std::string train, holdout;  // folders of prepared data sets
  int64_t sequences = 0;       // the first N of the shuffled order; 0: all
  int64_t max_seq_len = 1024;  // rows of the longest crop, START and END included
};

struct TrainConfig {
  int64_t batch_tokens = 524288;
  int64_t first_batch_tokens = 0;   // of the first step; 0: batch_tokens
  int64_t batch_warmup_tokens = 0;  // the batch has grown to batch_tokens by then
  int64_t micro_batch_tokens = 0;   // per rank; 0: chosen for the device
  int64_t pack_tokens = 0;          // 0: 2 · max_seq_len, at most batch_tokens
  int64_t epochs = 1;
  int64_t max_tokens = 0;  // 0: all epochs
  int64_t seed = 1;
  Precision precision = Precision::fp32;
  bool allow_slow_bf16 = false;  // on a CPU without instructions for it
  EngineKind engine = EngineKind::automatic;
  double grad_clip = 1.0;  // 0: none
  Recompute recompute = Recompute::outputs;
  bool deterministic = false;
  int64_t max_bad_steps = 5;
};

struct OptimizerConfig {
  OptimizerKind name = OptimizerKind::adam;
  double lr = 4e-4;
  std::array<double, 2> betas{0.9, 0.98};
  double eps = 1e-8;
  double weight_decay = 0;
  // muon and normuon: the update of hidden matrices. The others are Adam's, with the keys above.
  double matrix_lr = 6e-3;
  double momentum = 0.95;
  double matrix_weight_decay = 0;
  double row_beta = 0.95;  // normuon: decay of the mean square of a row's update
};

struct ScheduleConfig {
  ScheduleKind name = ScheduleKind::exponential;
  int64_t warmup_tokens = 0;
  int64_t decay_tokens = 0;  // 0: the planned tokens of the run
  double decay_factor = 0.1;
  double decay_fraction = 0.2;  // wsd: the last part of the run
  double min_lr = 0;
};

// Averages of the weights, which are kept in addition; training does not see them.
struct AverageConfig {
  int64_t ema_tokens = 0;    // time constant of an exponential average; 0: none
  double last_fraction = 0;  // plain mean over the last part of the run; 0: none
};

struct RunConfig {
  ModelConfig model;
  DataConfig data;
  TrainConfig train;
  OptimizerConfig optimizer;
  struct Masking {
    double mlm_probability = 0.15;
    double final_mlm_probability = 0;  // at the end of the run; 0: mlm_probability throughout
  } masking;
  AverageConfig average;
  ScheduleConfig schedule;
  struct Parallel {
    int64_t zero_stage = 0;
    MasterWeights master_weights = MasterWeights::whole;
    ReduceType reduce = ReduceType::fp32;
    double heartbeat_seconds = 30, collective_timeout_seconds = 600;
  } parallel;
  struct Eval {
    int64_t every_tokens = 0;         // 0: at the end only
    double mlm_probability = 0.15;    // of the holdout's masks, whatever training's is
    int64_t draws = 1;                // sets of masks
    std::vector<std::string> assays;  // tables of variants to score at each evaluation
  } eval;
  struct Checkpoint {
    int64_t every_tokens = 0;
    double every_minutes = 15;
    int64_t keep = 2;
    double retry_minutes = 10;
    bool in_background = false;
  } checkpoint;
  struct Log {
    int64_t every_steps = 10;
    int64_t layer_norms_every = 0;  // steps between lines with norms of each layer; 0: none
    bool tensorboard = false;
  } log;
  struct Study {
    std::string name;
    double budget = 0;
    int64_t replicate = 0;
    RunStage stage = RunStage::main;
  } study;
};

// Every field of `config`, in the order of the documentation; the homes point into `config`.
std::vector<Field> fields(RunConfig& config);

Json to_json(const RunConfig& config);

// Defaults, overlaid with a document or with key.path=value settings. Unknown keys (the nearest is named),
// wrong types, values out of bounds and contradictions are one usage error that lists them all.
RunConfig config_from_json(const Json& document, std::string_view where,
                           std::span<const std::string> settings = {});
// A configuration that a run or a checkpoint recorded, perhaps before a key existed: absent keys get what
// that program did.
RunConfig recorded_config(Json document, std::string_view where);
// A configuration file, looked up as find_config() does: of a pipe there is one reading.
struct ConfigSource {
  std::filesystem::path path;
  std::string text;
};
ConfigSource read_config_source(const std::filesystem::path& file);
RunConfig load_config(const ConfigSource& source, std::span<const std::string> settings = {});
RunConfig load_config(const std::filesystem::path& file, std::span<const std::string> settings = {});

// FILE as given, then among the shipped configs/ (in the installation or next to the sources), also without
// its ".json". Usage error, which names the nearest, when it is nowhere.
std::filesystem::path find_config(const std::filesystem::path& file);
std::vector<std::filesystem::path> shipped_configs();
// A script for SLURM by its name (train.sbatch, study.sbatch), next to the sources or in the installation.
std::filesystem::path shipped_script(const std::string& name);

// Fills what follows from other fields (ffn, pack_tokens, micro_batch_tokens) and checks what needs several:
// contradictions are one usage error that lists them all. micro_batch_tokens 0 becomes about 8,192 rows,
// whatever the device.
void resolve(RunConfig& config);

// The keys that a resumed run must agree on, and a checksum of them.
Json identity(const RunConfig& config);
std::string identity_hash(const RunConfig& config);

// For `esmscale config`: one entry a field, and a JSON Schema for editors.
Json schema();

}  // namespace esmscale::config

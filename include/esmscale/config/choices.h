// The enumerations of a configuration and their names in JSON and on the command line.
#pragma once

#include "esmscale/core/enum_names.h"

namespace esmscale::config {

// The stage of a run in its study, as configurations (study.stage), study.json and status tables name it.
enum class RunStage {
  main,      // a point of a fit; also every run outside a study
  trunk,     // its learning rate has not decayed; its branches are the points
  lr_sweep,  // a trial of a learning rate, which may not be the chosen one
  arm,       // added to a study for a question of its own
};

// The type of matrix products; master weights are always fp32. automatic: bf16 on a GPU that has it, else
// fp32 (precision_on in engine_choice.h); a run records what that was at its beginning. fp8: bf16, where the
// products of inner blocks, except those of weight gradients, have operands of e4m3.
enum class Precision { automatic, fp32, tf32, bf16, fp8 };
enum class EngineKind { automatic, plain, fused };
// What the fused engine computes again in backward: nothing; outputs of LayerNorm and GELU; all of a block
// except its input.
enum class Recompute { none, outputs, blocks };
// Where several ranks keep the fp32 weights that the optimiser updates, when products take bf16: whole on
// every rank, or on each rank those that it updates.
enum class MasterWeights { whole, sharded };
// The type in which gradients travel between ranks. They are summed over micro-batches in fp32.
enum class ReduceType { fp32, bf16 };
enum class OptimizerKind { adam, adamw, muon, normuon };
enum class ScheduleKind { exponential, constant, linear, cosine, wsd };
enum class InitScheme { xavier, hf };
enum class DecoderBias { zeros, frequencies };

}  // namespace esmscale::config

namespace esmscale {

template <>
struct EnumNames<config::Precision> {
  using enum config::Precision;
  static constexpr std::pair<config::Precision, std::string_view> table[] = {
      {automatic, "auto"}, {fp32, "fp32"}, {tf32, "tf32"}, {bf16, "bf16"}, {fp8, "fp8"}};
};

template <>
struct EnumNames<config::EngineKind> {
  using enum config::EngineKind;
  static constexpr std::pair<config::EngineKind, std::string_view> table[] = {
      {automatic, "auto"}, {plain, "plain"}, {fused, "fused"}};
};

template <>
struct EnumNames<config::Recompute> {
  using enum config::Recompute;
  static constexpr std::pair<config::Recompute, std::string_view> table[] = {
      {none, "none"}, {outputs, "outputs"}, {blocks, "blocks"}};
};

template <>
struct EnumNames<config::MasterWeights> {
  using enum config::MasterWeights;
  static constexpr std::pair<config::MasterWeights, std::string_view> table[] = {{whole, "whole"},
                                                                                 {sharded, "sharded"}};
};

template <>
struct EnumNames<config::ReduceType> {
  using enum config::ReduceType;
  static constexpr std::pair<config::ReduceType, std::string_view> table[] = {{fp32, "fp32"}, {bf16, "bf16"}};
};

template <>
struct EnumNames<config::OptimizerKind> {
  using enum config::OptimizerKind;
  static constexpr std::pair<config::OptimizerKind, std::string_view> table[] = {
      {adam, "adam"}, {adamw, "adamw"}, {muon, "muon"}, {normuon, "normuon"}};
};

template <>
struct EnumNames<config::ScheduleKind> {
  using enum config::ScheduleKind;
  static constexpr std::pair<config::ScheduleKind, std::string_view> table[] = {{exponential, "exponential"},
                                                                                {constant, "constant"},
                                                                                {linear, "linear"},
                                                                                {cosine, "cosine"},
                                                                                {wsd, "wsd"}};
};

template <>
struct EnumNames<config::InitScheme> {
  using enum config::InitScheme;
  static constexpr std::pair<config::InitScheme, std::string_view> table[] = {{xavier, "xavier"}, {hf, "hf"}};
};

template <>
struct EnumNames<config::DecoderBias> {
  using enum config::DecoderBias;
  static constexpr std::pair<config::DecoderBias, std::string_view> table[] = {{zeros, "zeros"},
                                                                               {frequencies, "frequencies"}};
};

template <>
struct EnumNames<config::RunStage> {
  using enum config::RunStage;
  static constexpr std::pair<config::RunStage, std::string_view> table[] = {
      {main, "main"}, {trunk, "trunk"}, {lr_sweep, "lr-sweep"}, {arm, "arm"}};
};

}  // namespace esmscale

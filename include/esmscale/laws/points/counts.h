// What the numbers of a point count, by the names of laws.json and of the flags --flop-count,
// --parameter-count and --loss (science.md, sections 3 and 5).
#pragma once

#include "esmscale/core/enum_names.h"

namespace esmscale::laws {

enum class FlopCount {
  six_n_d,   // 6·N·D
  hoffmann,  // all matrix products of the shape at the real lengths of the sequences
  column,    // a points file's own
};

enum class ParameterCount {
  kaplan,            // the blocks' matrices, without biases and embeddings
  kaplan_with_head,  // those and the dense layer of the head
  trainable,         // every parameter
};

enum class LossKind {
  eval,            // the holdout's last loss, masked as in training (80/10/10)
  eval_mask_only,  // the holdout's last loss with every chosen position masked
  train,           // mean training loss at the end of the run
};

}  // namespace esmscale::laws

namespace esmscale {

template <>
struct EnumNames<laws::FlopCount> {
  using enum laws::FlopCount;
  static constexpr std::pair<laws::FlopCount, std::string_view> table[] = {
      {six_n_d, "6nd"}, {hoffmann, "hoffmann"}, {column, "column"}};
};

template <>
struct EnumNames<laws::ParameterCount> {
  using enum laws::ParameterCount;
  static constexpr std::pair<laws::ParameterCount, std::string_view> table[] = {
      {kaplan, "kaplan"}, {kaplan_with_head, "kaplan+head"}, {trainable, "trainable"}};
};

template <>
struct EnumNames<laws::LossKind> {
  using enum laws::LossKind;
  static constexpr std::pair<laws::LossKind, std::string_view> table[] = {
      {eval, "eval"}, {eval_mask_only, "eval-mask-only"}, {train, "train"}};
};

}  // namespace esmscale

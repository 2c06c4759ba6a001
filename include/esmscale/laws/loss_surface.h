// One set of constants of an approach as a loss over N and D, and what can be asked of it.
#pragma once

#include "esmscale/laws/fits/frontier.h"
#include "esmscale/laws/fits/frontier_loss.h"
#include "esmscale/laws/fits/repeats.h"
#include "esmscale/laws/points/flop_ratio.h"

#include <optional>
#include <variant>

namespace esmscale::laws {

// What is known of C, N, D and L; 0: not given. Two of them, or one and the best choice of the rest.
struct Question {
  double flops = 0;       // C of training and inference together
  double loss = 0;        // L, nats
  double parameters = 0;  // N
  double tokens = 0;      // D
  double max_tokens = 0;  // where D is to be chosen, it is at most this; 0: no limit
  // Tokens that the trained model will read. Each costs a forward pass, a third of a training token.
  double inference_tokens = 0;
  double unique_tokens = 0;  // of one epoch: D beyond it counts by the law of repeats; 0: all D is new

  double inference_flops(const FlopRatio& ratio, double n) const {
    return ratio.flops(n, inference_tokens) / 3;
  }
};

// Along the frontier N_opt and D_opt are powers of C, and the loss is a FrontierLoss; across it ΔL =
// c·(ln N/N_opt)².
struct FrontierPowers {
  PowerLaw parameters, tokens;
  FrontierLoss loss{};
  double curvature = 0;  // c; 0: unknown
};

class LossSurface {
 public:
  LossSurface(const ParametricLaw& law, const FlopRatio& ratio) : law_(law), ratio_(ratio) {}
  LossSurface(const FrontierPowers& powers, const FlopRatio& ratio) : law_(powers), ratio_(ratio) {}

  // From here on tokens beyond Question::unique_tokens count by this law.
  void set_repeats(const RepeatLaw& repeats) { repeats_ = repeats; }

  // At the same C; NaN where the approach does not know it.
  double loss(double parameters, double tokens, double unique_tokens = 0) const;
  // N, D, L and the C of training. NaN where the constants give no answer: no optimum, a loss below the
  // floor, a loss that no D (or N) brings this N (or D) to.
  Optimum answer(const Question& question) const;
  // For C FLOPs of training, every token new.
  Optimum optimum(double flops, double max_tokens = 0) const;

 private:
  Optimum at(double parameters, double tokens, const Question& question) const;
  Optimum best(const Question& question) const;
  Optimum best_by_search(const Question& question) const;
  Optimum best_where(const Question& question, double Optimum::*member, double value, double sign) const;
  Optimum with_parameters(const Question& question) const;
  Optimum with_tokens(const Question& question) const;

  std::variant<ParametricLaw, FrontierPowers> law_;
  FlopRatio ratio_;
  std::optional<RepeatLaw> repeats_;
};

}  // namespace esmscale::laws

#include "report/methods.h"

#include "esmscale/core/text.h"
#include "esmscale/core/version.h"
#include "report/html.h"

#include <algorithm>
#include <cmath>

namespace esmscale::report {
namespace {

struct Reference {
  const char *label, *key, *kind, *fields;  // label: as the paragraph names it
};
constexpr Reference kReferences[] = {
    {"Cheng et al. 2024", "cheng2024", "article",
     "  author = {Cheng, Xingyi and Chen, Bo and Li, Pan and Gong, Jing and Tang, Jie and Song, Le},\n"
     "  title = {Training Compute-Optimal Protein Language Models},\n  journal = {arXiv:2411.02142},\n"
     "  year = {2024}"},
    {"Hoffmann et al. 2022", "hoffmann2022", "article",
     "  author = {Hoffmann, Jordan and Borgeaud, Sebastian and Mensch, Arthur and others},\n"
     "  title = {Training Compute-Optimal Large Language Models},\n  journal = {arXiv:2203.15556},\n"
     "  year = {2022}"},
    {"Huber 1964", "huber1964", "article",
     "  author = {Huber, Peter J.},\n  title = {Robust Estimation of a Location Parameter},\n"
     "  journal = {The Annals of Mathematical Statistics},\n  volume = {35},\n  number = {1},\n"
     "  pages = {73--101},\n  year = {1964}"},
    {"Kaplan et al. 2020", "kaplan2020", "article",
     "  author = {Kaplan, Jared and McCandlish, Sam and Henighan, Tom and others},\n"
     "  title = {Scaling Laws for Neural Language Models},\n  journal = {arXiv:2001.08361},\n"
     "  year = {2020}"},
    {"Liu and Nocedal 1989", "liu1989", "article",
     "  author = {Liu, Dong C. and Nocedal, Jorge},\n"
     "  title = {On the limited memory {BFGS} method for large scale optimization},\n"
     "  journal = {Mathematical Programming},\n  volume = {45},\n  pages = {503--528},\n  year = {1989}"},
    {"Muennighoff et al. 2023", "muennighoff2023", "article",
     "  author = {Muennighoff, Niklas and Rush, Alexander M. and Barak, Boaz and others},\n"
     "  title = {Scaling Data-Constrained Language Models},\n  journal = {arXiv:2305.16264},\n"
     "  year = {2023}"},
    {"Rubin 1981", "rubin1981", "article",
     "  author = {Rubin, Donald B.},\n  title = {The {Bayesian} Bootstrap},\n"
     "  journal = {The Annals of Statistics},\n  volume = {9},\n  number = {1},\n  pages = {130--134},\n"
     "  year = {1981}"},
    {"Serrano et al. 2024", "serrano2024", "article",
     "  author = {Serrano, Yaiza and Ciudad, {\\'A}lvaro and Molina, Alexis},\n"
     "  title = {Are Protein Language Models Compute Optimal?},\n  journal = {arXiv:2406.07249},\n"
     "  year = {2024}"}};

std::string meaning_of_parameters(laws::ParameterCount count) {
  if (count == laws::ParameterCount::kaplan)
    return "the parameters of the blocks, without embeddings and head (Kaplan et al. 2020)";
  if (count == laws::ParameterCount::kaplan_with_head)
    return "the parameters of the blocks and of the head, without embeddings";
  return "all trainable parameters";
}

std::string meaning_of_flops(laws::FlopCount count) {
  if (count == laws::FlopCount::six_n_d) return "6·N·D FLOPs (Kaplan et al. 2020)";
  if (count == laws::FlopCount::hoffmann)
    return "the training FLOPs by the count of Hoffmann et al. 2022, attention, head and embedding included, "
           "at "
           "the real lengths of the sequences";
  return "the FLOPs that the table of points states";
}

std::string meaning_of_loss(laws::LossKind loss) {
  if (loss == laws::LossKind::train)
    return "the training loss, averaged over the last twentieth of the tokens";
  return loss == laws::LossKind::eval
             ? "the loss of masked language modelling on held-out sequences at fixed masks"
             : "the loss of masked language modelling on held-out sequences, every chosen residue "
               "shown as a mask";
}

struct Range {
  double low = INFINITY, high = 0;
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string points_sentence(const laws::Laws& laws) {
  Range n, d, c;
  for (const laws::Point& p : laws.set.points) {
    n.include(p.parameters);
    d.include(p.tokens);
    c.include(p.flops);
  }
  const auto counts = [](const Range& r) { return text(human_count(r.low), " to ", human_count(r.high)); };
  return text("The laws were fitted to ", laws.set.points.size(), " runs of ", counts(n),
              " parameters N and ", counts(d), " training tokens D, ", scientific(c.low, 1), " to ",
              scientific(c.high, 1), " training FLOPs C.");
}

void add_data_sentences(std::vector<std::string>& to, const laws::Laws& laws) {
  const laws::Basis& basis = laws.set.basis;
  to.push_back(text("N is ", meaning_of_parameters(basis.parameter_count), "; C is ",
                    meaning_of_flops(basis.flop_count), "; the loss is ", meaning_of_loss(basis.loss),
                    ", in nats."));
  if (!basis.dataset.empty())
    to.push_back(text("The training set is ", basis.dataset, ", the holdout ",
                      basis.holdout.empty() ? "unknown" : basis.holdout,
                      basis.holdout_label.empty() ? "" : text(" (", basis.holdout_label, ")"),
                      "; models have ", basis.alphabet, "."));
  if (!laws.set.excluded.empty())
    to.push_back(
        text(laws.set.excluded.size(), " runs were left out; laws.json gives each with its reason."));
  if (laws.use.size() < laws.set.points.size())
    to.push_back(text(laws.set.points.size() - laws.use.size(), " runs saw more than ",
                      laws::epochs_text(basis.most_epochs),
                      " of their data and enter the law of repeats only."));
  const auto as_new = std::count_if(laws.use.begin(), laws.use.end(),
                                    [&](size_t i) { return laws::is_repeated(laws.set.points[i]); });
  if (as_new > 0)
    to.push_back(text(as_new, " runs saw more than one epoch, at most ", laws::epochs_text(basis.most_epochs),
                      "; their tokens count as new."));
}

std::string sentence_of(const laws::FrontierLoss& loss) {
  if (loss.floor == 0) return "The lowest losses follow a power law of C.";
  if (loss.levelling == 1)
    return "The lowest losses reject a power law of C (F test, 5%), so they are L∞ + G·C^−α.";
  return "The lowest losses do not decide between a power law of C and L∞ + G·C^−α: predicted losses are the "
         "mean of both, and their intervals cover both.";
}

std::string approach2_sentence(const laws::Laws& laws) {
  const auto kept = std::count_if(laws.profiles.begin(), laws.profiles.end(),
                                  [](const laws::IsoflopProfile& p) { return p.rejected.empty(); });
  return text(
      "Approach 2 (Hoffmann et al. 2022): a parabola of the loss in ln N at each budget, by least squares; "
      "power laws through the minima of the ",
      kept, " of ", laws.profiles.size(), " budgets whose minimum lies inside the sizes; intervals from ",
      laws.options.draws, " draws of normal noise of ", significant(laws.approach2->sigma, 2), " nats (",
      laws.approach2->sigma_from, ") about the parabolas. ", sentence_of(laws.approach2->loss));
}

void add_law_sentences(std::vector<std::string>& to, const laws::Laws& laws) {
  if (laws.approach1)
    to.push_back(
        text("Approach 1 (Hoffmann et al. 2022): at 1,500 values of C the size with the lowest loss of ",
             laws.approach1->from,
             "; power laws through the values that a smaller and a larger size "
             "reach too. ",
             sentence_of(laws.approach1->loss)));
  if (laws.approach2) to.push_back(approach2_sentence(laws));
  if (laws.approach3)
    to.push_back(
        "Approach 3 (Hoffmann et al. 2022): L = E + A/N^α + B/D^β, by the least sum of Huber losses "
        "(Huber 1964; δ = 0.001) of ln L from 4,500 starts with L-BFGS (Liu and Nocedal 1989).");
  if (!laws.kaplan.empty())
    to.push_back(
        "The power laws of Kaplan et al. 2020 in N, D, C and (N, D) were fitted by the same sum, with and "
        "without a floor, and compared by the error on held-out runs.");
  if (laws.repeats)
    to.push_back(
        "Repeated tokens count by the law of Muennighoff et al. 2023, fitted with the constants of "
        "approach 3 held.");
  if ((laws.approach3 || !laws.kaplan.empty()) && laws.options.draws > 0)
    to.push_back(text("Intervals of these fits are percentiles of ", laws.options.draws,
                      " draws of the Bayesian bootstrap (Rubin 1981) over whole runs, seed ",
                      laws.options.seed, "."));
}

void add_judgement(std::vector<std::string>& to, const laws::Laws& laws) {
  if (std::isfinite(laws.point_noise.sigma))
    to.push_back(text("The noise of a loss is ", significant(laws.point_noise.sigma, 2), " nats, by ",
                      laws.point_noise.from,
                      "; a law whose residuals exceed twice the noise counts as refuted."));
  if (const std::optional<laws::Approach> taken = laws.planning.taken())
    to.push_back(
        text("N_opt is taken from ", laws::name_of(*taken), ": ", laws.planning.of(*taken)->why, "."));
  else
    to.push_back("No approach is supported by these points, so no N_opt is given.");
  to.push_back(
      "Published exponents for comparison are those of Kaplan et al. 2020, Hoffmann et al. 2022, Serrano et "
      "al. 2024 and Cheng et al. 2024.");
  to.push_back(text("The fit was made by esmscale ", version(), " (", revision(), ")."));
}

}  // namespace

std::vector<std::string> methods_sentences(const laws::Laws& laws) {
  std::vector<std::string> sentences{points_sentence(laws)};
  add_data_sentences(sentences, laws);
  add_law_sentences(sentences, laws);
  add_judgement(sentences, laws);
  return sentences;
}

std::string methods_text(const laws::Laws& laws) {
  return join(methods_sentences(laws), " ") + "\n";
}

std::string references_of(const laws::Laws& laws) {
  const std::string paragraph = methods_text(laws);
  std::string out;
  for (const Reference& reference : kReferences)
    if (paragraph.find(reference.label) != std::string::npos)
      out += text("@", reference.kind, "{", reference.key, ",\n", reference.fields, "\n}\n");
  return out;
}

}  // namespace esmscale::report

#include "esmscale/data/prepare/prepare.h"

#include "data/dataset/writer.h"
#include "data/prepare/folder.h"
#include "data/prepare/intake.h"
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/text.h"
#include "esmscale/core/thread_pool.h"
#include "esmscale/core/version.h"
#include "esmscale/core/violations.h"
#include "esmscale/data/dataset/manifest.h"
#include "esmscale/data/fasta/input.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace esmscale::data {
namespace {

constexpr const char* kRandomSplit = "random split, homologues present";
constexpr int64_t kLeastWorkingMemory = 24 << 20;
constexpr int64_t kMemoryPerWorker = 16 << 20;
constexpr double kForFrames = 0.12, kForFingerprints = 0.08;  // shares of the working memory while writing
constexpr double kFrameMemory = 1 << 20;
// Compressed size of protein letters, and the rest for each sequence: lengths, fingerprint,
// identifier.
constexpr double kBytesPerResidue = 0.5, kBytesPerSequence = 24;
constexpr double kLeastBytesPerInputByte = 0.3;  // of FASTA, which is at least twice a compressed file
constexpr double kLeastExpansion = 2;
constexpr int64_t kSequencesPerUpdate = 4096;

int64_t resident_bytes() {
  int64_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  statm >> pages >> pages;  // the second number
  return pages * ::sysconf(_SC_PAGESIZE);
}

int64_t physical_bytes() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
}

int64_t working_memory(const PrepareOptions& options) {
  if (options.working_memory > 0) return options.working_memory;
  const int64_t own = resident_bytes(), most = std::min(options.memory, physical_bytes());
  if (most - own >= kLeastWorkingMemory) return most - own;
  log_warning("--memory ", human_bytes(static_cast<double>(options.memory)),
              " is too little: prepare will use ",
              human_bytes(static_cast<double>(own + kLeastWorkingMemory)));
  return kLeastWorkingMemory;
}

void check(const PrepareOptions& options) {
  Violations wrong;
  const auto require = [&](bool holds, const char* violation) { wrong.require(holds, violation); };
  require(!options.inputs.empty(), "--input names no file");
  require(std::count(options.inputs.begin(), options.inputs.end(), "-") <= 1,
          "--input names the standard input twice");
  require(!options.output.empty(), "--output is missing");
  require(options.holdout >= 0, "--holdout is negative");
  require(options.limit >= 0, "--limit is negative");
  require((options.holdout > 0) == !options.holdout_output.empty(),
          "--holdout and --holdout-output need each other");
  require(options.min_length >= 1, "--min-length is below 1");
  require(options.eval_length >= 1, "--eval-length is below 1");
  require(options.columns.identifier.empty() || !options.columns.sequence.empty(),
          "--id-column needs --sequence-column");
  require(!options.allow_missing || !options.exclude.empty() || !options.clusters.empty(),
          "--allow-missing needs --exclude or --clusters");
  require(!options.keep_order || options.clusters.empty(),
          "--keep-order and --clusters contradict each other: clusters are shuffled as wholes");
  require(options.memory > 0, "--memory is not positive");
  require(options.threads >= 1, "--threads is below 1");
  const auto place = [](const std::filesystem::path& path) {
    return std::filesystem::weakly_canonical(path / "");
  };
  require(options.holdout_output.empty() || place(options.output) != place(options.holdout_output),
          "--output and --holdout-output are the same folder");
  wrong.refuse({.where = "prepare", .expected = "", .found = "", .advice = "see `esmscale prepare --help`"});
}

// One run of prepare, in the order in which it happens.
class Preparation {
 public:
  explicit Preparation(const PrepareOptions& options)
      : options_(options),
        excluded_(options.exclude, options.memory / 2),
        clusters_(options.clusters, options.memory / 2),
        memory_(working_memory(options)),
        workers_(static_cast<int>(
            std::clamp<int64_t>(options.threads, 1, std::max<int64_t>(1, memory_ / kMemoryPerWorker)))),
        output_(options.output, options.force) {
    if (options.holdout > 0) holdout_output_.emplace(options.holdout_output, options.force);
  }

  PrepareSummary run() {
    Intake intake(options_, excluded_, clusters_, output_.temporary(), static_cast<uint64_t>(memory_),
                  workers_);
    intake.read();
    intake.find_duplicates();
    plan(intake);
    write(intake);
    warn_of_overlap();
    if (holdout_output_) holdout_output_->publish();
    output_.publish();
    return summary_;
  }

 private:
  void plan(const Intake& intake);
  void write(Intake& intake);
  void warn(std::string warning);
  void warn_of_overlap();
  WriterOptions writer_options() const;
  Json provenance(const Intake& intake) const;

  const PrepareOptions& options_;
  ExcludedIdentifiers excluded_;  // these two are read first: the working memory is what they leave
  ClusterMembers clusters_;
  int64_t memory_;
  ThreadPool workers_;
  StagedFolder output_;
  std::optional<StagedFolder> holdout_output_;
  int64_t train_ = 0;          // units of the training set: 0 … train_ of the shuffled order
  int64_t holdout_begin_ = 0;  // and from here on the holdout
  PrepareSummary summary_;
};

void Preparation::plan(const Intake& intake) {
  const int64_t kept = intake.kept();
  if (kept == 0)
    throw Error({.where = join(options_.inputs, ", "),
                 .expected = "at least one sequence to keep",
                 .found = text("none: records ", intake.records(), ", of them ", listed(intake.counts())),
                 .advice = "look at --exclude and --min-length"});
  const int64_t units = intake.units();
  const char* const what = clusters_.empty() ? " sequences" : " clusters";
  if (options_.holdout >= units)
    throw Error({.where = "--holdout",
                 .expected = text("fewer than the ", units, what, " that are kept"),
                 .found = text(options_.holdout),
                 .advice = "hold out fewer"});
  holdout_begin_ = units - options_.holdout;
  if (options_.limit > holdout_begin_)
    throw Error({.where = "--limit",
                 .expected = text("at most the ", holdout_begin_, what, " there are"),
                 .found = text(options_.limit),
                 .advice = "leave it out to keep all"});
  train_ = options_.limit > 0 ? options_.limit : holdout_begin_;
  const double share = static_cast<double>(train_ + options_.holdout) / static_cast<double>(units);
  require_free_space(output_.output(),
                     static_cast<uint64_t>(share * (intake.residues_kept() * kBytesPerResidue +
                                                    static_cast<double>(kept) * kBytesPerSequence)));
}

WriterOptions Preparation::writer_options() const {
  const auto memory = static_cast<double>(memory_);
  const auto frames = static_cast<size_t>(memory * kForFrames / kFrameMemory);
  return {.seed = options_.seed,
          .eval_length = options_.eval_length,
          .rule = options_.rule,
          .sort_memory = static_cast<uint64_t>(memory * kForFingerprints),
          .frames_under_way = std::clamp<size_t>(frames, 2, static_cast<size_t>(2 * workers_.threads() + 2))};
}

void Preparation::write(Intake& intake) {
  DatasetWriter train(output_.set(), output_.temporary(), workers_, writer_options());
  std::optional<DatasetWriter> holdout;
  if (holdout_output_)
    holdout.emplace(holdout_output_->set(), holdout_output_->temporary(), workers_, writer_options());
  Progress progress("writing", static_cast<double>(intake.kept()), "sequences");
  std::optional<Representatives> representatives;
  if (holdout && !clusters_.empty()) representatives.emplace(*holdout);
  std::optional<uint64_t> cluster;
  int64_t unit = -1, sequences = 0;
  intake.for_each([&](const RecordView& record) {
    const bool is_new = clusters_.empty() || record.key != cluster;
    cluster = record.key;
    unit += is_new;
    if (unit < train_) {
      if (is_new && !clusters_.empty()) train.begin_cluster();
      train.add(record.identifier, record.residues);
    } else if (unit >= holdout_begin_) {
      if (representatives)
        representatives->add(record, clusters_.is_name_of_its_cluster(record.identifier));
      else
        holdout->add(record.identifier, record.residues);
    }
    if (++sequences % kSequencesPerUpdate == 0) progress.update(static_cast<double>(sequences));
  });
  if (representatives) representatives->finish();
  for (std::string& warning : intake.warnings()) warn(std::move(warning));
  const Json from = provenance(intake);
  summary_.train = train.finish("", from);
  if (holdout) summary_.holdout = holdout->finish(kRandomSplit, from);
  summary_.records = intake.records();
  summary_.counts = intake.counts();
  summary_.input_bytes = intake.raw_bytes();
  summary_.text_bytes = intake.text_bytes();
  summary_.temporary_bytes = intake.spilled_bytes();
  progress.finish(text(summary_.train.sequences + (holdout ? summary_.holdout->sequences : 0), " sequences"));
}

void Preparation::warn(std::string warning) {
  log_warning(warning);
  summary_.warnings.push_back(std::move(warning));
}

void Preparation::warn_of_overlap() {
  if (!holdout_output_) return;
  const Dataset train(output_.set()), holdout(holdout_output_->set());
  const Overlap overlap = find_overlap(holdout, train, train.epoch_sequences());
  if (overlap.count > 0)
    warn(text(overlap.count, " of the ", holdout.sequences(),
              " held-out sequences are also in the training set (", join(overlap.examples, ", "),
              overlap.count > static_cast<int64_t>(overlap.examples.size()) ? ", …" : "",
              "): give --deduplicate"));
}

Json Preparation::provenance(const Intake& intake) const {
  return {{"program", text("esmscale ", version())},
          {"inputs", options_.inputs},
          {"sequence_column", options_.columns.sequence},
          {"id_column", options_.columns.identifier},
          {"exclude", options_.exclude.string()},
          {"clusters", options_.clusters.string()},
          {"holdout", options_.holdout},
          {"limit", options_.limit},
          {"keep_order", options_.keep_order},
          {"min_length", options_.min_length},
          {"deduplicate", options_.deduplicate},
          {"counts", to_json(intake.counts())},
          {"warnings", summary_.warnings}};
}

// Before anything is read: what the output takes at least, and as much again for what does not fit into the
// memory while it is shuffled. With --limit little of the input may be kept.
void require_disk_for_inputs(const PrepareOptions& options) {
  double text = 0;
  for (const std::string& input : options.inputs) {
    const bool compressed = input.ends_with(".gz") || input.ends_with(".zst");
    text += static_cast<double>(input_bytes(input)) * (compressed ? kLeastExpansion : 1);
  }
  const bool spills = text > static_cast<double>(options.memory);
  if (options.limit == 0)
    require_free_space(options.output,
                       static_cast<uint64_t>(text * kLeastBytesPerInputByte * (spills ? 2 : 1)));
}

}  // namespace

PrepareSummary prepare(const PrepareOptions& options) {
  check(options);
  const auto begin = std::chrono::steady_clock::now();
  require_disk_for_inputs(options);
  PrepareSummary summary = Preparation(options).run();
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return summary;
}

}  // namespace esmscale::data

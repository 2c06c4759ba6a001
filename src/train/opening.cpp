#include "opening.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/text.h"
#include "esmscale/eval/evaluator.h"
#include "esmscale/train/device.h"
#include "esmscale/train/plan.h"

namespace esmscale {

std::filesystem::path training_folder(const RunConfig& config) {
  if (!config.data.train.empty()) return config.data.train;
  throw usage_error({.where = "data.train",
                     .expected = "the folder of a prepared data set",
                     .found = "none",
                     .advice = "give --data DIR, or make one with `esmscale prepare`"});
}

std::optional<Dataset> open_holdout(const RunConfig& config, const Dataset& train) {
  if (config.data.holdout.empty()) return std::nullopt;
  Dataset holdout(config.data.holdout);
  if (const Overlap overlap = find_overlap(holdout, train, sequences_used(config, train)); overlap.count > 0)
    throw Error({.where = config.data.holdout,
                 .expected = "no sequence of the training set " + config.data.train,
                 .found = text(overlap.count, " of its ", holdout.sequences(), " sequences there too (",
                               join(overlap.examples, ", "), ")"),
                 .advice = "prepare with --deduplicate and --holdout, or --exclude them"});
  if (const int64_t rows = longest_window(holdout); rows > config.data.max_seq_len)
    log_warning("the holdout is scored on windows of up to ", rows, " rows, and data.max_seq_len is ",
                config.data.max_seq_len,
                "; prepare it with a smaller --eval-length to score what is trained");
  return holdout;
}

DevicePeak peak_of_all(const at::Device& device, const std::string& precision, int ranks) {
  DevicePeak peak = device_peak(device_name(device), precision);
  peak.flops *= ranks;
  return peak;
}

std::unique_ptr<FileLock> lock_for(const RunFolder& folder, Ranks& ranks) {
  std::unique_ptr<FileLock> lock;
  if (ranks.is_first()) lock.reset(new FileLock(folder.lock()));
  ranks.barrier("the run folder's lock");
  return lock;
}

}  // namespace esmscale

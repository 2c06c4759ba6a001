#include "patient_reader.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace esmscale {

PatientReader::PatientReader(const Dataset& dataset, ReadPatience patience, std::stop_token stop)
    : dataset_(dataset), patience_(std::move(patience)), stop_(std::move(stop)) {}

std::span<const uint8_t> PatientReader::residues(int64_t sequence) {
  double seconds = patience_.pause_seconds;
  for (int attempt = 1;; ++attempt) {
    try {
      return try_once(sequence);
    } catch (const Error& error) {
      reader_.reset();  // what it holds of the file may be what was wrong
      const bool can_pass = error.kind() == Error::Kind::failure && !stop_.stop_requested();
      if (!can_pass || attempt >= patience_.attempts) throw;
      log_warning("reading sequence ", sequence, " failed (attempt ", attempt, " of ", patience_.attempts,
                  "), again in ", seconds, " s: ", error.what());
    }
    pause(seconds);
    seconds *= 4;
  }
}

std::span<const uint8_t> PatientReader::try_once(int64_t sequence) {
  if (patience_.before_read) patience_.before_read(sequence);
  if (!reader_) reader_.emplace(dataset_);
  const std::span<const uint8_t> letters = reader_->residues(sequence);
  const uint32_t length = dataset_.lengths()[sequence];
  if (letters.size() != length)
    throw Error({.where = text("sequence ", sequence, " of ", dataset_.folder().string()),
                 .expected = text(length, " residues, as the length file says"),
                 .found = text(letters.size()),
                 .advice = "check the data set with `esmscale info --verify`"});
  return letters;
}

void PatientReader::pause(double seconds) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any stopped;
  stopped.wait_for(lock, stop_, std::chrono::duration<double>(seconds), [] { return false; });
}

}  // namespace esmscale

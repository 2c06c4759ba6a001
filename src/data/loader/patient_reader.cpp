#include "data/loader/patient_reader.h"

#include "esmscale/core/error.h"
#include "esmscale/core/log.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace esmscale::data {

PatientReader::PatientReader(const Dataset& dataset, const ReadPatience& patience, std::stop_token stop)
    : reader_(dataset), patience_(patience), stop_(std::move(stop)) {}

std::span<const uint8_t> PatientReader::residues(int64_t sequence) {
  double seconds = patience_.pause_seconds;
  for (int attempt = 1;; ++attempt) {
    try {
      return reader_.residues(sequence);
    } catch (const Error& error) {
      if (attempt >= patience_.attempts || stop_.stop_requested()) throw;
      log_warning("reading sequence ", sequence, " failed (attempt ", attempt, " of ", patience_.attempts,
                  "), again in ", seconds, " s: ", error.what());
    }
    pause(seconds);
    seconds *= 4;
  }
}

void PatientReader::pause(double seconds) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any stopped;
  stopped.wait_for(lock, stop_, std::chrono::duration<double>(seconds), [] { return false; });
}

}  // namespace esmscale::data

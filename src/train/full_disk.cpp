#include "train/full_disk.h"

#include <algorithm>
#include <thread>

namespace esmscale::train {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::duration<double> kWait = 15s, kHurry = 8s, kHurriedWait = 2s;

}  // namespace

FullDisk::FullDisk(double patience_minutes)
    : patience_(60 * patience_minutes), wait_(std::min(kWait, patience_ / 4)) {}

void FullDisk::refuse() {
  const auto now = Clock::now();
  if (!end_) end_ = now + std::chrono::duration_cast<Clock::duration>(patience_);
  next_ =
      now + std::chrono::duration_cast<Clock::duration>(has_hurried_ ? std::min(kHurriedWait, wait_) : wait_);
}

void FullDisk::relieve() {
  end_.reset();
}

bool FullDisk::is_due() const {
  return end_ && Clock::now() >= next_;
}

bool FullDisk::is_over() const {
  return end_ && Clock::now() >= *end_;
}

double FullDisk::seconds_left() const {
  return end_ ? std::chrono::duration<double>(*end_ - Clock::now()).count() : patience_.count();
}

void FullDisk::pause(const std::function<bool()>& hurries) {
  while (end_ && Clock::now() < std::min(next_, *end_)) {
    if (!has_hurried_ && hurries()) {
      has_hurried_ = true;
      next_ = Clock::now();
      end_ = std::min(*end_, next_ + std::chrono::duration_cast<Clock::duration>(kHurry));
    }
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace esmscale::train

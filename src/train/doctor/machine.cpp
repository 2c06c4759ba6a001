#include "esmscale/core/cores.h"
#include "esmscale/core/text.h"
#include "esmscale/kernels/cpu/isa.h"
#include "esmscale/run/environment.h"
#include "train/doctor/checks.h"

#include <fstream>
#include <thread>

namespace esmscale::train::doctor {
namespace {

Check processor_check() {
  using kernels::cpu::Isa;
  const Isa isa = kernels::cpu::active_isa();
  Check check{.name = "processor", .found = text(run::cpu_name(), ", ", kernels::cpu::name(isa))};
  if (isa < Isa::avx2) {
    check.result = CheckResult::warning;
    check.advice = "training on this CPU is several times slower than with AVX2";
  }
  return check;
}

// A rank of train plans batches, builds them and trains.
Check cores_check() {
  constexpr int kWanted = 3;
  const Cores cores = usable_cores();
  Check check{.name = "cores",
              .found = text(cores.count, " of ", std::thread::hardware_concurrency(), " for each rank (",
                            cores.limit, ")")};
  if (cores.count < kWanted) {
    check.result = CheckResult::warning;
    check.advice = "a rank on a GPU keeps three cores busy: srun --cpus-per-task, taskset, OMP_NUM_THREADS";
  }
  return check;
}

// Bytes of a line "MemAvailable:  123 kB" of /proc/meminfo; 0: unknown.
double meminfo(const std::string& key) {
  std::ifstream lines("/proc/meminfo");
  for (std::string name; lines >> name;) {
    double kibibytes = 0;
    if (name == key + ":" && lines >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

Check memory_check() {
  constexpr double kLittle = 4 * 0x1p30;  // the program, its libraries, the loader's queue
  const double available = meminfo("MemAvailable");
  Check check{.name = "memory",
              .found = text(human_bytes(available), " available of ", human_bytes(meminfo("MemTotal")))};
  if (available < kLittle) {
    check.result = CheckResult::warning;
    check.advice = "a rank takes about 1.5 GiB of the host besides what the model takes";
  }
  return check;
}

}  // namespace

std::vector<Check> machine_checks() {
  return {processor_check(), cores_check(), memory_check()};
}

}  // namespace esmscale::train::doctor

// A run of a study as `train` leaves it, for tests of what reads finished runs.
#pragma once

#include "esmscale/config/config.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/text.h"
#include "esmscale/run/run_folder.h"
#include "esmscale/study/state.h"

#include <filesystem>

#include <nlohmann/json.hpp>

namespace esmscale::study {

struct RunEnd {
  double loss = 0;  // holdout, nats
  double tokens = 1000, flops = 1e9;
  double epoch_tokens = 0;  // 0: not written down
};

inline void finish_run(const Study& study, const StudyEntry& entry, const RunEnd& end) {
  const run::RunFolder run(study.output(entry));
  std::filesystem::create_directories(run.checkpoint(4));
  write_file(run.checkpoint(4) / run::kCheckpointMetadata, "{}");
  run.write_config(config::load_config(study.config(entry)));
  write_file(run.metrics(), esmscale::to_text({{"step", 4},
                                               {"tokens", end.tokens},
                                               {"flops", end.flops},
                                               {"time", 2},
                                               {"memory_predicted", 2000},
                                               {"memory_tensors_peak", 1900},
                                               {"eval/loss", end.loss},
                                               {"finished", true}}) +
                                "\n");
  if (end.epoch_tokens > 0)
    write_file(run.environment(), text("[{\"data\":{\"epoch_tokens\":", fixed(end.epoch_tokens, 0), "}}]"));
}

}  // namespace esmscale::study

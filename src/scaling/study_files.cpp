// The files of a planned study or run.
#include "esmscale/core/error.h"
#include "esmscale/core/files.h"
#include "esmscale/core/text.h"
#include "esmscale/scaling/study_layout.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale {

std::string slurm_array(const std::string& name, const std::vector<std::string>& runs, int gpus,
                        double hours) {
  // A longer run requeues itself, so no task asks for more than what most sites grant.
  const int limit = std::clamp(int(std::ceil(hours)), 1, 24);
  return text(
      "#!/bin/bash\n",
      "# One task a run. Set DATA and HOLDOUT to prepared data sets; submit from this folder: sbatch "
      "array.sbatch\n",
      "#SBATCH --job-name=", name, "\n#SBATCH --array=0-", runs.size() - 1, "\n#SBATCH --nodes=1\n",
      "#SBATCH --ntasks-per-node=", gpus, "\n#SBATCH --gpus-per-node=", gpus, "\n#SBATCH --time=", limit,
      ":00:00\n#SBATCH --signal=USR1@300\n#SBATCH --requeue\n#SBATCH --open-mode=append\n",
      "#SBATCH --output=logs/%x-%A_%a.log\n\n", ": \"${DATA:?the prepared training set}\"\n",
      ": \"${HOLDOUT:?the prepared holdout}\"\n", "runs=(", join(runs, " "), ")\n",
      "run=${runs[$SLURM_ARRAY_TASK_ID]}\n\n",
      "srun esmscale train --config \"configs/$run.json\" --data \"$DATA\" --holdout \"$HOLDOUT\" ",
      "--output \"runs/$run\" --resume auto\nstatus=$?\n",
      "# 85: a checkpoint was written in time; start me again.\n", "if [ $status -eq 85 ]; then\n",
      "  scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\" && exit 0\nfi\nexit $status\n");
}

void write_study(const std::filesystem::path& folder, const StudyLayout& layout) {
  namespace fs = std::filesystem;
  if (fs::exists(folder) && !fs::is_empty(folder))
    throw Error({.where = folder.string(),
                 .expected = "an empty or absent folder",
                 .found = "a folder with files",
                 .advice = "give another --output"});
  make_folder(folder / "configs");
  make_folder(folder / "logs");
  std::vector<std::string> names;
  for (const StudyRun& run : layout.runs) {
    write_file(folder / "configs" / (run.name + ".json"), to_text(to_json(run.config), 2) + "\n");
    names.push_back(run.name);
  }
  write_file(folder / "array.sbatch", slurm_array(layout.name, names, 1, 24));
  write_file(folder / "study.json", to_text(to_json(layout), 2) + "\n");
}

}  // namespace esmscale

// One self-contained page of one or many runs, running or finished: curves, differences, a summary.
#pragma once

#include "esmscale/study/runs/run_view.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace esmscale::report {

// watch_seconds: of a page that a watch writes, the seconds between its reloads; 0: it does not reload.
std::string run_page(const std::vector<study::RunView>& runs,
                     std::optional<int> watch_seconds = std::nullopt);

// Was the file written by a watch?
bool is_watched_page(const std::filesystem::path& file);

}  // namespace esmscale::report

// The tables of a fit for a paper, as CSV and as LaTeX, and its points as a file that fits again.
#pragma once

#include "esmscale/laws/laws.h"

#include <filesystem>
#include <string>
#include <vector>

namespace esmscale::report {

// Cells are plain ASCII text; numbers in full precision.
struct PaperTable {
  std::string name;  // of its files
  std::string caption;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

// constants (every law with its intervals), comparison (lack of fit), runs (with the loss by approach 3),
// sensitivity and leverage, where they are there.
std::vector<PaperTable> paper_tables(const laws::Laws& laws);

std::string csv_of(const PaperTable& table);
// A tabular with booktabs' rules inside a table environment; the label is tab:NAME.
std::string latex_of(const PaperTable& table);

// The points in the columns of a points file, in full precision: `fit --points` of it finds the same laws.
std::string points_csv_of(const laws::PointSet& set);

// FOLDER/points.csv, FOLDER/tables/NAME.csv and NAME.tex.
void write_paper_tables(const std::filesystem::path& folder, const laws::Laws& laws);

}  // namespace esmscale::report

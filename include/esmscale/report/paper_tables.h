// The tables of a fit for a paper, as CSV and as LaTeX, and its points as a file that fits again.
#pragma once

#include "esmscale/core/files/output_set.h"
#include "esmscale/laws/laws.h"

#include <string>
#include <vector>

namespace esmscale::report {

// Cells are plain ASCII text; numbers in full precision.
struct PaperTable {
  std::string name;  // of its files
  std::string caption;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::vector<std::string>>
      short_rows{};  // in LaTeX, where all are too many for one page; empty: all
};

// constants (every law with its intervals), comparison (lack of fit), runs (with the loss by the approach
// that is planned from), sensitivity, huber and leverage, where they are there.
std::vector<PaperTable> paper_tables(const laws::Laws& laws);

std::string csv_of(const PaperTable& table);
// A tabular with booktabs' rules inside a table environment; the label is tab:NAME.
std::string latex_of(const PaperTable& table);

// The points in the columns of a points file, in full precision: `fit --points` of it finds the same laws.
std::string points_csv_of(const laws::PointSet& set);

// points.csv, methods.txt, references.bib, tables/NAME.csv and tables/NAME.tex of the output.
void add_paper_tables(OutputSet& files, const laws::Laws& laws);

}  // namespace esmscale::report

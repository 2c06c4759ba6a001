// The name and version of study.json's format.
#pragma once

namespace esmscale::study {

inline constexpr const char* kStudyFormat = "esmscale study";
inline constexpr int kStudyVersion = 2;
// Version 1 had its number in the name, and the stages "isoflop", "run", "trunk" and "lr_sweep".
inline constexpr const char* kFirstStudyFormat = "esmscale study 1";

}  // namespace esmscale::study

// What prepare takes as its input grows: peak memory, time and temporary disk, on generated proteins.
//
//   benchmark_prepare_scale FOLDER [--residues 0.2G,1G,5G] [--length 0] [--memory SIZE] [--threads N]
//   [--keep]
//
// For each size a FASTA of about 1.2 bytes a residue is written to FOLDER, prepared in a process of its own,
// and removed with its data set; --keep keeps the last set, in FOLDER/set. Lengths are log-normal with a
// median of 230 and a mean of 305 residues, near those of UniRef50, or all --length. Letters are drawn by
// their frequencies in Swiss-Prot, so they compress as proteins do. Prints one table in Markdown. MB/s are of
// FASTA, a core: by the CPU time of all threads.
#include "esmscale/core/error.h"
#include "esmscale/core/log.h"
#include "esmscale/core/random.h"
#include "esmscale/core/text.h"
#include "esmscale/data/prepare/prepare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string_view>

#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace esmscale;

namespace {

constexpr std::string_view kLettersDrawn = "LAGVSERTIDPKQNFYMHWC";
// In thousandths.
constexpr std::array<int, 20> kFrequencies = {97, 83, 71, 69, 66, 67, 55, 53, 59, 55,
                                              47, 58, 39, 41, 39, 29, 24, 23, 11, 14};
constexpr double kMedianLength = 230, kSigma = 0.75;
constexpr size_t kLineLength = 60;

struct Arguments {
  std::filesystem::path folder;
  std::vector<int64_t> residues{200'000'000, 1'000'000'000, 5'000'000'000};
  int64_t length = 0;
  int64_t memory = 1 << 30;
  int threads = 1;
  bool keep = false;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&] { return std::string(++i < argc ? argv[i] : ""); };
    if (name == "--residues") {
      arguments.residues.clear();
      std::istringstream sizes(value());
      for (std::string size; std::getline(sizes, size, ',');)
        arguments.residues.push_back(parse_size(size, name));
    } else if (name == "--length") {
      arguments.length = parse_size(value(), name);
    } else if (name == "--memory") {
      arguments.memory = parse_size(value(), name);
    } else if (name == "--threads") {
      arguments.threads = static_cast<int>(parse_size(value(), name));
    } else if (name == "--keep") {
      arguments.keep = true;
    } else {
      arguments.folder = name;
    }
  }
  if (arguments.folder.empty())
    throw usage_error(
        {.where = "benchmark_prepare_scale", .expected = "a folder to work in", .found = "none"});
  return arguments;
}

// A letter for each value of 16 bits.
std::string letter_table() {
  std::string table;
  int sum = 0, total = 0;
  for (const int frequency : kFrequencies) total += frequency;
  for (size_t i = 0; i < kFrequencies.size(); ++i) {
    sum += kFrequencies[i];
    table.resize(static_cast<size_t>(65536.0 * sum / total), kLettersDrawn[i]);
  }
  return table;
}

int64_t drawn_length(RandomStream& stream) {
  return std::clamp<int64_t>(std::lround(kMedianLength * std::exp(kSigma * stream.normal())), 11, 36'000);
}

// Sequences in the style of UniRef50, until they have that number of residues.
void write_fasta(const std::filesystem::path& path, int64_t residues, int64_t length) {
  const std::string table = letter_table();
  RandomStream stream(1, Purpose::test, 0);
  std::ofstream out(path, std::ios::binary);
  std::string record;
  for (int64_t written = 0, n = 0; written < residues; ++n) {
    const int64_t letters = length > 0 ? length : drawn_length(stream);
    record =
        text(">UniRef50_A0A", n, length > 0 ? "" : " Uncharacterized protein n=1 Tax=Bacteria TaxID=2", "\n");
    for (int64_t i = 0; i < letters; i += 2) {
      if (i > 0 && i % kLineLength == 0) record += '\n';
      const uint32_t draw = stream.next_u32();
      record += table[draw & 0xffff];
      if (i + 1 < letters) record += table[draw >> 16];
    }
    out << record << '\n';
    written += letters;
  }
  if (!out.flush())
    throw Error({.where = path.string(), .expected = "to write it", .found = "a failure of the disk"});
}

struct Taken {
  Json summary;
  double peak_memory, cpu_seconds;
};

// A process of its own, so that its peak is that of this one preparation.
Taken prepare_apart(const data::PrepareOptions& options, const std::filesystem::path& answer) {
  const pid_t child = ::fork();
  if (child == 0) {
    const data::PrepareSummary summary = data::prepare(options);
    std::ofstream(answer) << Json{{"bytes", summary.train.bytes},
                                  {"sequences", summary.train.sequences},
                                  {"residues", summary.train.residues},
                                  {"text_bytes", summary.text_bytes},
                                  {"temporary_bytes", summary.temporary_bytes},
                                  {"seconds", summary.seconds}};
    ::_exit(0);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child || status != 0)
    throw Error({.where = "prepare", .expected = "to end well", .found = text("status ", status)});
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return {Json::parse(std::ifstream(answer)), static_cast<double>(usage.ru_maxrss) * 1024,
          seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

void measure(const Arguments& arguments) {
  std::filesystem::create_directories(arguments.folder);
  std::cout
      << "| residues | sequences | FASTA | data set | peak memory | time | MB/s a core | temporary disk |\n"
      << "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const int64_t residues : arguments.residues) {
    const std::filesystem::path fasta = arguments.folder / "generated.fasta", set = arguments.folder / "set";
    write_fasta(fasta, residues, arguments.length);
    data::PrepareOptions options{.inputs = {fasta}, .output = set};
    options.memory = arguments.memory;
    options.threads = arguments.threads;
    options.force = true;
    const Taken taken = prepare_apart(options, arguments.folder / "summary.json");
    const auto number = [&](const char* key) { return taken.summary.at(key).get<double>(); };
    std::cout << "| " << human_count(number("residues")) << " | " << human_count(number("sequences")) << " | "
              << human_bytes(number("text_bytes")) << " | " << human_bytes(number("bytes")) << " | "
              << human_bytes(taken.peak_memory) << " | " << fixed(number("seconds"), 1) << " s | "
              << fixed(number("text_bytes") / 1e6 / taken.cpu_seconds, 0) << " | "
              << fixed(number("temporary_bytes") / number("bytes"), 2) << " of the output |" << std::endl;
    std::filesystem::remove(fasta);
    if (!arguments.keep || residues != arguments.residues.back()) std::filesystem::remove_all(set);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    set_log_level(LogLevel::warning);
    measure(parse(argc, argv));
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return error.exit_code();
  }
}

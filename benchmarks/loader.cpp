// How fast the loader alone makes batches: planned, read, cropped, packed and masked.
//
//   benchmark_loader DATASET [--threads N] [--batch-tokens N] [--max-seq-len N] [--epochs N]
//
// Prints real tokens per second of CPU time (what one core does) and of wall-clock time. The first epoch is
// read in the stored order, later ones shuffled. Batches are dropped as they come, so nothing waits for a
// trainer.
#include "esmscale/data/loader/loader.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>
#include <string_view>
#include <thread>

using namespace esmscale;

namespace {

struct Arguments {
  std::string dataset;
  data::LoaderOptions options{.epochs = 2,
                              .threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&] { return parse_size(++i < argc ? argv[i] : "", name); };
    if (name == "--threads")
      arguments.options.threads = static_cast<int>(value());
    else if (name == "--batch-tokens")
      arguments.options.batch_tokens = value();
    else if (name == "--max-seq-len")
      arguments.options.max_seq_len = value();
    else if (name == "--epochs")
      arguments.options.epochs = value();
    else
      arguments.dataset = name;
  }
  if (arguments.dataset.empty())
    throw usage_error(
        {.where = "benchmark_loader", .expected = "a prepared data set", .found = "none named"});
  arguments.options.pack_tokens = std::min(arguments.options.batch_tokens, 2 * arguments.options.max_seq_len);
  arguments.options.micro_batch_tokens = arguments.options.pack_tokens;
  return arguments;
}

void measure(const Arguments& arguments) {
  const data::Dataset dataset(arguments.dataset);
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t cpu_begin = std::clock();
  double tokens = 0, rows = 0, batches = 0;
  {
    data::Loader loader(dataset, arguments.options);
    while (const std::optional<data::GlobalBatch> batch = loader.next()) {
      tokens += static_cast<double>(batch->tokens);
      rows += static_cast<double>(batch->packs * arguments.options.pack_tokens);
      ++batches;
    }
  }
  const double cpu = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::cout << human_count(tokens) << " tokens in " << batches << " batches of "
            << arguments.options.batch_tokens / arguments.options.pack_tokens << " packs, "
            << fixed(100 * tokens / rows, 2) << "% of the used packs' rows filled\n"
            << fixed(tokens / cpu / 1e6, 1) << "M tokens/s per core (" << fixed(cpu, 2) << " s of CPU)\n"
            << fixed(tokens / wall / 1e6, 1) << "M tokens/s with " << arguments.options.threads
            << " threads (" << fixed(wall, 2) << " s)\n";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    measure(parse(argc, argv));
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return error.exit_code();
  }
}

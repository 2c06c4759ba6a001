#include "data/prepare/records.h"

#include "esmscale/core/error.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace esmscale::data {
namespace {

// Merging holds a chunk and its compressed form for each run: kMostRuns of them are 0.6 of the memory at
// most.
constexpr size_t kMostRuns = 384;
constexpr size_t kChunksInMemory = 1024;
constexpr size_t kSmallestChunk = 32 << 10, kLargestChunk = 1 << 20;
constexpr size_t kAlignment = 8;
constexpr ptrdiff_t kPrefetched = 8;  // records: the order of the keys jumps about in the arena

struct RecordHeader {
  uint64_t ordinal;
  uint32_t identifier_bytes;
  uint32_t residues;
};

size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

struct ShuffledRecords::Entry {
  uint64_t key;
  uint64_t offset;  // of the record in the arena: ascends with the ordinal, so it breaks ties as that would

  auto operator<=>(const Entry&) const = default;
};

ShuffledRecords::ShuffledRecords(std::filesystem::path folder, KeyOf key_of, uint64_t memory,
                                 ThreadPool& workers)
    : folder_(std::move(folder)),
      key_of_(std::move(key_of)),
      workers_(workers),
      capacity_(memory / sizeof(Entry) * sizeof(Entry)),
      chunk_bytes_(std::clamp<size_t>(memory / kChunksInMemory, kSmallestChunk, kLargestChunk)),
      arena_(std::make_unique_for_overwrite<std::byte[]>(capacity_)) {
  begin_ = end_ = reinterpret_cast<Entry*>(arena_.get() + capacity_);
}

ShuffledRecords::~ShuffledRecords() {
  remove_runs();
}

void ShuffledRecords::remove_runs() {
  std::error_code ignored;
  for (const auto& run : std::exchange(runs_, {})) std::filesystem::remove(run, ignored);
}

std::filesystem::path ShuffledRecords::next_run() {
  return folder_ / text("run-", runs_made_++);
}

void ShuffledRecords::add(const RecordView& record) {
  const size_t size = aligned(sizeof(RecordHeader) + record.identifier.size() + record.residues.size());
  const auto room = [&] { return capacity_ - used_ - static_cast<size_t>(end_ - begin_) * sizeof(Entry); };
  if (room() < size + sizeof(Entry)) spill();
  if (room() < size + sizeof(Entry))
    throw Error({.where = "--memory",
                 .expected = text("room for a sequence of ", record.residues.size(), " residues"),
                 .found = human_bytes(static_cast<double>(capacity_)),
                 .advice = "give more memory"});
  const RecordHeader header{record.ordinal, static_cast<uint32_t>(record.identifier.size()),
                            static_cast<uint32_t>(record.residues.size())};
  std::byte* at = arena_.get() + used_;
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, record.identifier.data(), record.identifier.size());
  std::memcpy(at + sizeof header + record.identifier.size(), record.residues.data(), record.residues.size());
  *--begin_ = {record.key, used_};
  used_ += size;
}

RecordView ShuffledRecords::view(const Entry& entry) const {
  RecordHeader header;
  const std::byte* at = arena_.get() + entry.offset;
  std::memcpy(&header, at, sizeof header);
  at += sizeof header;
  return {header.ordinal,
          {reinterpret_cast<const char*>(at), header.identifier_bytes},
          {reinterpret_cast<const uint8_t*>(at) + header.identifier_bytes, header.residues},
          entry.key};
}

void ShuffledRecords::sort() {
  std::sort(begin_, end_);
}

void ShuffledRecords::spill() {
  if (begin_ == end_) return;
  sort();
  const std::filesystem::path path = next_run();
  runs_.push_back(path);
  OutputFile file(path);
  {
    OrderedResults<std::vector<std::byte>> chunks(static_cast<size_t>(2 * workers_.threads()),
                                                  [&](std::vector<std::byte>&& chunk) { file.write(chunk); });
    const ptrdiff_t records = end_ - begin_;
    const ptrdiff_t each = std::max<ptrdiff_t>(1, records * static_cast<ptrdiff_t>(chunk_bytes_) /
                                                      static_cast<ptrdiff_t>(std::max(used_, chunk_bytes_)));
    for (ptrdiff_t first = 0; first < records; first += each)
      chunks.push(workers_.run([this, from = begin_ + first, to = begin_ + std::min(records, first + each)] {
        ChunkBuilder chunk;
        for (const Entry* entry = from; entry != to; ++entry) chunk.add(view(*entry));
        return chunk.encode();
      }));
    chunks.finish();
  }
  spilled_ += file.size();
  file.close(/*sync=*/false);
  used_ = 0;
  begin_ = end_;
  if (runs_.size() == kMostRuns) merge_into_one();
}

// Reached when the input is some three hundred times the memory: it costs one more pass over what was
// spilled.
void ShuffledRecords::merge_into_one() {
  const std::filesystem::path path = next_run();
  OutputFile file(path);
  ChunkBuilder chunk;
  const auto flush = [&] {
    if (!chunk.empty()) file.write(chunk.encode());
    chunk.clear();
  };
  merge_runs(runs_, key_of_, [&](const RecordView& record) {
    chunk.add(record);
    if (chunk.bytes() >= chunk_bytes_) flush();
  });
  flush();
  spilled_ += file.size();
  file.close(/*sync=*/false);
  remove_runs();
  runs_.push_back(path);
}

void ShuffledRecords::for_each(const std::function<void(const RecordView&)>& visit) {
  if (runs_.empty()) {
    sort();
    for (const Entry* entry = begin_; entry != end_; ++entry) {
      if (end_ - entry > kPrefetched) __builtin_prefetch(arena_.get() + entry[kPrefetched].offset);
      visit(view(*entry));
    }
  } else {
    spill();
    arena_.reset();
    merge_runs(runs_, key_of_, visit);
    remove_runs();
  }
  arena_.reset();
}

}  // namespace esmscale::data

#include "esmscale/core/safetensors.h"

#include "esmscale/core/error.h"
#include "esmscale/core/files/file_kind.h"
#include "esmscale/core/text.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace esmscale {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

// The reference implementation's bound: it keeps a hostile header from costing gigabytes.
constexpr uint64_t kLongestHeader = 100'000'000;
constexpr uint64_t kLengthBytes = sizeof(uint64_t);
constexpr uint64_t kAlignment = 64;
constexpr std::string_view kMetadata = "__metadata__";

// Not core's ordered Json: a sorted map stays quick when a hostile header holds a million keys.
using Header = nlohmann::json;

constexpr std::pair<std::string_view, uint64_t> kTypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};

uint64_t bytes_per_element(std::string_view dtype) {
  const auto* known = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const auto& type) { return type.first == dtype; });
  return known == std::end(kTypes) ? 0 : known->second;
}

// Names in a damaged file may be megabytes long.
std::string shown(std::string_view name) {
  return text("'", name.substr(0, 80), name.size() > 80 ? "…'" : "'");
}

[[noreturn]] void fail(std::string where, std::string expected, std::string found) {
  throw Error({.where = std::move(where),
               .expected = std::move(expected),
               .found = std::move(found),
               .advice = "the file is damaged or not a safetensors file"});
}

// Bytes of a tensor, or nothing when their number does not fit.
std::optional<uint64_t> byte_size(const std::vector<int64_t>& shape, uint64_t element_bytes) {
  uint64_t size = element_bytes;
  for (const int64_t dimension : shape)
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(dimension), &size)) return std::nullopt;
  return size;
}

// Looks at each step of the parser. JSON itself allows deep nesting and repeated keys; this format has
// neither.
class HeaderRules {
 public:
  explicit HeaderRules(const std::string& path) : path_(path) {}

  bool operator()(int depth, Header::parse_event_t event, const Header& parsed) {
    using Event = Header::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= kDeepest) fail(path_, "a header of tensors", "values nested deeper than a shape");
      keys_[depth].clear();
    } else if (event == Event::key && !keys_[depth - 1].insert(parsed.get<std::string>()).second) {
      fail(path_, "each key once", shown(parsed.get<std::string>()) + " twice");
    }
    return true;
  }

 private:
  static constexpr int kDeepest = 3;  // header, tensor, shape
  const std::string& path_;
  std::set<std::string> keys_[kDeepest];  // of the objects that are open, by depth
};

Header parse_header(const std::string& path, std::string_view source) {
  Header header;
  HeaderRules rules(path);
  try {
    header = Header::parse(source.begin(), source.end(), std::ref(rules));
  } catch (const Header::parse_error& error) {
    fail(path, "a JSON header", text("other text at its byte ", error.byte));
  } catch (const Header::out_of_range&) {
    fail(path, "a JSON header", "a number that no double holds");
  }
  if (!header.is_object()) fail(path, "a header that is a JSON object", header.type_name());
  return header;
}

std::vector<uint64_t> read_numbers(const Header& tensor, const char* key, const std::string& where) {
  const auto list = tensor.find(key);
  if (list == tensor.end() || !list->is_array())
    fail(where, text("a list of numbers under \"", key, "\""),
         list == tensor.end() ? "none" : list->type_name());
  std::vector<uint64_t> numbers;
  for (const Header& number : *list) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > uint64_t{INT64_MAX})
      fail(where, text("whole numbers from 0 to 2^63 - 1 under \"", key, "\""), shown(number.dump()));
    numbers.push_back(number.get<uint64_t>());
  }
  return numbers;
}

TensorEntry read_entry(const std::string& path, const std::string& name, const Header& tensor) {
  const std::string where = text(path, ", tensor ", shown(name));
  if (!tensor.is_object()) fail(where, "a JSON object", tensor.type_name());
  const auto dtype = tensor.find("dtype");
  if (dtype == tensor.end() || !dtype->is_string())
    fail(where, "a name under \"dtype\"", dtype == tensor.end() ? "none" : dtype->type_name());
  TensorEntry entry{.name = name, .dtype = dtype->get<std::string>(), .shape = {}};
  const uint64_t element_bytes = bytes_per_element(entry.dtype);
  if (element_bytes == 0) fail(where, "a known dtype (F32, F16, BF16, …)", shown(entry.dtype));

  for (const uint64_t dimension : read_numbers(tensor, "shape", where))
    entry.shape.push_back(static_cast<int64_t>(dimension));
  const std::vector<uint64_t> offsets = read_numbers(tensor, "data_offsets", where);
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    fail(where, "\"data_offsets\" that are begin and end",
         text(offsets.size(), " numbers, or an end before the begin"));
  entry.begin = offsets[0];
  entry.end = offsets[1];
  const std::optional<uint64_t> bytes = byte_size(entry.shape, element_bytes);
  if (!bytes) fail(where, "a shape of at most 2^64 bytes", "a product that overflows");
  if (*bytes != entry.end - entry.begin)
    fail(where, text(*bytes, " bytes, from dtype and shape"),
         text(entry.end - entry.begin, " by its offsets"));
  return entry;
}

// Sorts by offset. The format allows neither gaps nor overlaps, nor bytes after the last tensor.
void check_layout(const std::string& path, std::vector<TensorEntry>& entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t end = 0;
  for (const TensorEntry& entry : entries) {
    if (entry.begin != end)
      fail(text(path, ", tensor ", shown(entry.name)), text("to begin at byte ", end, " of the data"),
           text("byte ", entry.begin, entry.begin < end ? ": it overlaps another" : ": a gap before it"));
    end = entry.end;
  }
  if (end != data_bytes)
    fail(path, text(end, " bytes of tensors, from its header"), text(data_bytes, " bytes after the header"));
}

}  // namespace

int64_t TensorEntry::elements() const {
  int64_t product = 1;
  for (const int64_t dimension : shape) product *= dimension;
  return product;
}

std::string safetensors_header(std::vector<TensorEntry>& entries,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  uint64_t offset = 0;
  for (TensorEntry& entry : entries) {
    const std::optional<uint64_t> bytes = byte_size(entry.shape, bytes_per_element(entry.dtype));
    if (!bytes || bytes_per_element(entry.dtype) == 0 || header.contains(entry.name) ||
        entry.name == kMetadata)
      throw Error({.where = "tensor " + shown(entry.name),
                   .expected = "a name used once, a known dtype and a size that fits",
                   .found = entry.dtype});
    entry.begin = offset;
    entry.end = offset += *bytes;
    header[entry.name] = {
        {"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string source = header.dump();
  const uint64_t before_data = (kLengthBytes + source.size() + kAlignment - 1) / kAlignment * kAlignment;
  source.resize(before_data - kLengthBytes, ' ');
  const uint64_t length = source.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + source;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::span<const std::byte> file = file_.bytes();
  const std::string_view begin(reinterpret_cast<const char*>(file.data()),
                               std::min(file.size(), kBytesToRecognise));
  if (const auto kind = recognise_file(begin))
    throw Error({.where = path.string(),
                 .expected = "a safetensors file",
                 .found = kind->name,
                 .advice = kind->advice});
  if (file.size() < kLengthBytes)
    fail(path.string(), text("at least ", kLengthBytes, " bytes"), text(file.size(), " bytes"));
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  const uint64_t longest = std::min<uint64_t>(kLongestHeader, file.size() - kLengthBytes);
  if (length > longest)
    fail(path.string(), text("a header of at most ", longest, " bytes"), text(length, " bytes announced"));
  data_offset_ = kLengthBytes + length;

  const auto* source = reinterpret_cast<const char*>(file.data()) + kLengthBytes;
  const Header header = parse_header(path.string(), {source, length});
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      entries_.push_back(read_entry(path.string(), name, value));
      continue;
    }
    if (!value.is_object()) fail(path.string(), "an object under \"__metadata__\"", value.type_name());
    for (const auto& [key, content] : value.items()) {
      if (!content.is_string())
        fail(path.string(), "metadata that are strings", text(shown(key), ": ", content.type_name()));
      metadata_[key] = content.get<std::string>();
    }
  }
  check_layout(path.string(), entries_, file.size() - data_offset_);
  for (size_t i = 0; i < entries_.size(); ++i) index_[entries_[i].name] = i;
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& entry) const {
  return file_.bytes().subspan(data_offset_ + entry.begin, entry.end - entry.begin);
}

}  // namespace esmscale

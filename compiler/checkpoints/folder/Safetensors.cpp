//===- Safetensors.cpp - checks a .safetensors file from its first byte to its last ---------------------------------===//
#include "compiler/checkpoints/folder/Safetensors.h"
#include "compiler/checkpoints/MappedFile.h"
#include "compiler/checkpoints/Setting.h"
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

static_assert(std::endian::native == std::endian::little, "tensors are read in place");

namespace heddle {
namespace {

constexpr uint64_t kLargestHeader = 100'000'000; // as the format's own library
constexpr size_t kMostDimensions = 8;

struct Type {
  std::string_view name;
  uint64_t bits;
  std::optional<Format> format;
};
constexpr auto kTypes = std::to_array<Type>({
    {"F32", 32, Format::F32},  {"F16", 16, Format::F16},     {"BF16", 16, Format::BF16},   {"F64", 64, std::nullopt},
    {"I64", 64, std::nullopt}, {"U64", 64, std::nullopt},    {"I32", 32, std::nullopt},    {"U32", 32, std::nullopt},
    {"I16", 16, std::nullopt}, {"U16", 16, std::nullopt},    {"I8", 8, std::nullopt},      {"U8", 8, std::nullopt},
    {"BOOL", 8, std::nullopt}, {"F8_E4M3", 8, std::nullopt}, {"F8_E5M2", 8, std::nullopt}, {"F8_E8M0", 8, std::nullopt},
    {"C64", 64, std::nullopt}, {"F4", 4, std::nullopt},      {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
});

struct Entry {
  SafetensorsTensor tensor;
  uint64_t begin = 0, end = 0;
  bool hasType = false, hasShape = false, hasOffsets = false;
};

/// Reads the header as it is parsed: a tree of it would take twenty times its bytes.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
public:
  explicit HeaderReader(const std::string &file) : file_(file) {}
  std::vector<Entry> entries;

  bool start_object(size_t) override {
    if (++depth_ == 2 && !inMetadata_)
      entries.back().hasType = entries.back().hasShape = entries.back().hasOffsets = false;
    else if (depth_ > 2 || list_ != List::None)
      unexpected();
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && inMetadata_)
      inMetadata_ = false;
    else if (depth_ == 1 && !(entries.back().hasType && entries.back().hasShape && entries.back().hasOffsets))
      fail("tensor " + quotedForError(entries.back().tensor.name) + " has no dtype, shape or data_offsets");
    return true;
  }
  bool key(string_t &name) override {
    if (depth_ == 1) {
      inMetadata_ = name == "__metadata__";
      if (inMetadata_ && std::exchange(sawMetadata_, true))
        fail("__metadata__ appears twice");
      if (!inMetadata_)
        entries.emplace_back().tensor.name = name;
    }
    field_ = depth_ == 2 ? name : "";
    return true;
  }
  bool string(string_t &text) override {
    if (depth_ == 2 && inMetadata_)
      return true;
    if (depth_ != 2 || field_ != "dtype" || list_ != List::None || std::exchange(entries.back().hasType, true))
      unexpected();
    entries.back().tensor.type = text;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || inMetadata_ || list_ != List::None)
      unexpected();
    Entry &entry = entries.back();
    list_ = field_ == "shape" ? List::Shape : field_ == "data_offsets" ? List::Offsets : List::None;
    if (list_ == List::None || std::exchange(list_ == List::Shape ? entry.hasShape : entry.hasOffsets, true))
      unexpected();
    offsets_ = 0;
    return true;
  }
  bool end_array() override {
    if (list_ == List::Offsets && offsets_ != 2)
      fail("tensor " + quotedForError(entries.back().tensor.name) + " has " + std::to_string(offsets_) +
           " data_offsets where a begin and an end belong");
    list_ = List::None;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    Entry &entry = listEntry();
    if (list_ == List::Shape) {
      if (value > INT64_MAX || entry.tensor.shape.size() == kMostDimensions)
        fail("tensor " + quotedForError(entry.tensor.name) + " has an impossible shape");
      entry.tensor.shape.push_back(static_cast<int64_t>(value));
    } else {
      (offsets_ == 0 ? entry.begin : entry.end) = value;
      if (++offsets_ > 2)
        unexpected();
    }
    return true;
  }
  bool number_integer(number_integer_t) override { return unexpected(); } // below 0
  bool number_float(number_float_t, const string_t &) override { return unexpected(); }
  bool null() override { return unexpected(); }
  bool boolean(bool) override { return unexpected(); }
  bool binary(binary_t &) override { return unexpected(); }
  bool parse_error(size_t at, const std::string &, const nlohmann::detail::exception &) override {
    fail("the header is no JSON at its byte " + std::to_string(at));
  }

private:
  enum class List { None, Shape, Offsets };

  Entry &listEntry() {
    if (list_ == List::None)
      unexpected();
    return entries.back();
  }
  bool unexpected() {
    if (entries.empty())
      fail("the header is no object of tensors");
    fail("the header's entry of tensor " + quotedForError(entries.back().tensor.name) + " is not { dtype, shape, data_offsets }");
  }
  [[noreturn]] void fail(const std::string &what) const {
    throw CompileError(file_ + ": " + what + ": the file is damaged, download it again");
  }

  const std::string &file_;
  std::string field_;
  int depth_ = 0, offsets_ = 0;
  bool inMetadata_ = false, sawMetadata_ = false;
  List list_ = List::None;
};

/// Whether the shape and the type need as many bytes as the tensor has.
bool sizeAgrees(const SafetensorsTensor &tensor, uint64_t bits, uint64_t bytes) {
  uint64_t needed = bits;
  for (int64_t dim : tensor.shape)
    if (__builtin_mul_overflow(needed, static_cast<uint64_t>(dim), &needed))
      return std::ranges::find(tensor.shape, 0) != tensor.shape.end() && bytes == 0;
  return needed % 8 == 0 && needed / 8 == bytes;
}

} // namespace

SafetensorsFile SafetensorsFile::open(const std::filesystem::path &path) {
  MappedFile file = MappedFile::open(path, ".safetensors file");
  SafetensorsFile result = parse(file.bytes, path.string());
  result.mapping_ = std::move(file.owner);
  return result;
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  SafetensorsFile file;
  file.name_ = std::move(name);
  auto fail = [&](const std::string &what) {
    return CompileError(file.name_ + ": " + what + ": the file is damaged, download it again");
  };
  uint64_t length = 0;
  if (bytes.size() < sizeof length + 2)
    throw fail("has only " + std::to_string(bytes.size()) + " bytes");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kLargestHeader || length > bytes.size() - sizeof length)
    throw fail("claims a header of " + std::to_string(length) + " bytes in a file of " + std::to_string(bytes.size()));
  const auto *text = reinterpret_cast<const char *>(bytes.data() + sizeof length);
  const std::span<const std::byte> data = bytes.subspan(sizeof length + length);

  HeaderReader header(file.name_);
  if (text[0] != '{')
    throw fail("is no safetensors file (its header does not begin with '{')");
  nlohmann::json::sax_parse(text, text + length, &header);

  std::vector<Entry> &entries = header.entries;
  std::ranges::sort(entries, {}, [](const Entry &entry) { return std::pair(entry.begin, entry.end); });
  uint64_t end = 0;
  for (Entry &entry : entries) {
    SafetensorsTensor &tensor = entry.tensor;
    const std::string shown = "tensor " + quotedForError(tensor.name);
    const auto *type = std::ranges::find(kTypes, tensor.type, &Type::name);
    if (type == kTypes.end())
      throw CompileError(file.name_ + ": " + shown + " has the unknown type " + quotedForError(tensor.type) +
                         ": the file is damaged or newer than this program");
    if (entry.begin > entry.end || entry.end > data.size())
      throw fail(shown + " lies at bytes " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) + " of " +
                 std::to_string(data.size()));
    if (entry.begin != end)
      throw fail(shown + (entry.begin < end ? " overlaps the one before it" : " leaves a gap before it"));
    if (!sizeAgrees(tensor, type->bits, entry.end - entry.begin))
      throw fail(shown + " has " + std::to_string(entry.end - entry.begin) + " bytes, not those of its shape and type");
    tensor.format = type->format;
    tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    end = entry.end;
  }
  if (end != data.size())
    throw fail(std::to_string(data.size() - end) + " bytes at the end belong to no tensor");
  for (Entry &entry : entries)
    file.tensors_.push_back(std::move(entry.tensor));
  std::ranges::sort(file.tensors_, {}, &SafetensorsTensor::name);
  if (auto twice = std::ranges::adjacent_find(file.tensors_, {}, &SafetensorsTensor::name); twice != file.tensors_.end())
    throw fail("tensor " + quotedForError(twice->name) + " appears twice");
  return file;
}

const SafetensorsTensor *SafetensorsFile::find(std::string_view name) const {
  auto found = std::ranges::lower_bound(tensors_, name, {}, &SafetensorsTensor::name);
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

} // namespace heddle

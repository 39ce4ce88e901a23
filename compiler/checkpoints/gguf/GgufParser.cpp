//===- GgufParser.cpp - checks a GGUF file from its first byte to its last --------------------------------------------===//
//
// Layout, little-endian: "GGUF", u32 version, u64 tensor count, u64 key count; key × { string, u32 type, value }; tensor ×
// { string, u32 dims, u64[dims], u32 type, u64 offset }; padding to the alignment; tensor data. A string is u64 length and bytes;
// an array is u32 type, u64 count and the elements.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/checkpoints/gguf/GgufParser.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

namespace heddle {
namespace {

/// Smallest possible entry: name length, type (and one byte of value); name length, dims, type, offset.
constexpr uint64_t kLeastKeyBytes = 8 + 4 + 1, kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;
constexpr uint64_t kLongestName = 65535; // the specification's limit for keys
constexpr uint64_t kLargestAlignment = 1 << 20;

/// Tensor types that exist but that we cannot read, by ggml's numbers, for the message.
std::string_view unsupportedTypeName(uint32_t type) {
  switch (type) {
  case 9:
    return "Q8_1";
  case 10:
    return "Q2_K";
  case 11:
    return "Q3_K";
  case 15:
    return "Q8_K";
  case 16:
    return "IQ2_XXS";
  case 17:
    return "IQ2_XS";
  case 18:
    return "IQ3_XXS";
  case 19:
    return "IQ1_S";
  case 20:
    return "IQ4_NL";
  case 21:
    return "IQ3_S";
  case 22:
    return "IQ2_S";
  case 23:
    return "IQ4_XS";
  case 24:
    return "I8";
  case 25:
    return "I16";
  case 26:
    return "I32";
  case 27:
    return "I64";
  case 28:
    return "F64";
  case 29:
    return "IQ1_M";
  case 34:
    return "TQ1_0";
  case 35:
    return "TQ2_0";
  default:
    return "";
  }
}

/// Indices of `items` sorted by name; `duplicate` is called with a name that appears twice.
template <class Name, class Duplicate> std::vector<uint32_t> orderByName(size_t count, Name name, Duplicate duplicate) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  for (size_t i = 1; i < count; ++i)
    if (name(order[i - 1]) == name(order[i]))
      duplicate(name(order[i]));
  return order;
}

} // namespace

GgufFile GgufParser::run() {
  readHeader();
  readMetadata();
  readTensorInfos();
  placeTensors();
  return std::move(file_);
}

void GgufParser::readHeader() {
  auto magic = take(4);
  if (std::memcmp(magic.data(), "GGUF", 4) != 0)
    fail("is not a GGUF file (it does not start with 'GGUF'): check the name");
  uint32_t version = number<uint32_t>();
  if ((version & 0xffff) == 0 && version != 0)
    fail("is a big-endian GGUF: convert it to little-endian with gguf-convert-endian");
  if (version != 2 && version != 3)
    fail("GGUF version " + std::to_string(version) + " cannot be read, only 2 and 3: convert it with a current llama.cpp");
  file_.version_ = version;
  tensorCount_ = number<uint64_t>();
  keyCount_ = number<uint64_t>();
  if (std::max(keyCount_, tensorCount_) > INT32_MAX) // also lets the sorted indices be u32
    fail("claims " + std::to_string(keyCount_) + " metadata keys and " + std::to_string(tensorCount_) +
         " tensors: it is damaged, download it again");
  checkCount(keyCount_, kLeastKeyBytes, "metadata keys");
  checkCount(tensorCount_, kLeastTensorBytes, "tensors");
}

void GgufParser::readMetadata() {
  section_ = "metadata";
  file_.keys_.reserve(keyCount_);
  file_.values_.reserve(keyCount_);
  for (uint64_t i = 0; i < keyCount_; ++i) {
    std::string_view key = text();
    if (key.empty() || key.size() > kLongestName)
      fail("a metadata key has " + std::to_string(key.size()) + " bytes: the file is damaged");
    file_.keys_.push_back(key);
    file_.values_.push_back(readValue(key));
  }
  file_.keyOrder_ = orderByName(
      file_.keys_.size(), [&](uint32_t i) { return file_.keys_[i]; },
      [&](std::string_view key) { fail("metadata key " + quotedForError(key) + " appears twice: the file is damaged"); });
  file_.keyRead_.resize(file_.keys_.size());
  if (auto alignment = file_.findInteger("general.alignment")) {
    if (*alignment <= 0 || !std::has_single_bit(static_cast<uint64_t>(*alignment)) ||
        *alignment > static_cast<int64_t>(kLargestAlignment))
      fail("general.alignment is " + std::to_string(*alignment) + ", not a power of two up to 1048576: the file is damaged");
    file_.alignment_ = static_cast<uint64_t>(*alignment);
  }
}

GgufValue GgufParser::readValue(std::string_view key) {
  GgufType kind = type(key), element = kind;
  uint64_t count = 1;
  if (kind == GgufType::Array) {
    element = type(key);
    if (element == GgufType::Array)
      fail("metadata key " + quotedForError(key) + " is an array of arrays, which GGUF models do not use: the file is damaged");
    count = number<uint64_t>();
    uint64_t least = element == GgufType::String ? 8 : scalarBytes(element);
    checkCount(count, least, "elements in " + quotedForError(key));
  }
  const uint64_t begin = at_;
  if (element == GgufType::String) {
    for (uint64_t i = 0; i < count; ++i)
      text();
  } else {
    take(count * scalarBytes(element)); // no overflow: the count was checked against the file
  }
  GgufValue value{kind, element, count, bytes_.subspan(begin, at_ - begin)};
  if (element == GgufType::Bool)
    for (std::byte b : value.bytes)
      if (b > std::byte{1})
        fail("metadata key " + quotedForError(key) + " holds a boolean that is neither 0 nor 1: the file is damaged");
  return value;
}

void GgufParser::readTensorInfos() {
  section_ = "list of tensors";
  checkCount(tensorCount_, kLeastTensorBytes, "tensors"); // again: the metadata took its part
  file_.tensors_.reserve(tensorCount_);
  offsets_.reserve(tensorCount_);
  for (uint64_t i = 0; i < tensorCount_; ++i)
    file_.tensors_.push_back(readTensorInfo());
  file_.tensorOrder_ = orderByName(
      file_.tensors_.size(), [&](uint32_t i) { return file_.tensors_[i].name; },
      [&](std::string_view name) { fail("tensor " + quotedForError(name) + " appears twice: the file is damaged"); });
  file_.tensorRead_.resize(file_.tensors_.size());
}

/// Reads one entry. `data` gets its size only (a null pointer): the data's begin is not known yet.
GgufTensor GgufParser::readTensorInfo() {
  GgufTensor tensor{text(), {}, Format::F32, {}};
  const std::string shown = "tensor " + quotedForError(tensor.name);
  if (tensor.name.empty() || tensor.name.size() > kLongestName)
    fail("a tensor's name has " + std::to_string(tensor.name.size()) + " bytes: the file is damaged");
  uint32_t dims = number<uint32_t>();
  if (dims < 1 || dims > 4)
    fail(shown + " has " + std::to_string(dims) + " dimensions, not 1 to 4: the file is damaged");
  uint64_t elements = 1;
  for (uint32_t d = 0; d < dims; ++d) {
    uint64_t size = number<uint64_t>();
    if (size == 0 || size > INT64_MAX || __builtin_mul_overflow(elements, size, &elements) || elements > INT64_MAX)
      fail(shown + " has an impossible shape (dimension " + std::to_string(d) + " is " + std::to_string(size) +
           "): the file is damaged");
    tensor.dims.push_back(static_cast<int64_t>(size));
  }
  uint32_t type = number<uint32_t>();
  auto format = formatByGgmlType(type);
  if (!format) {
    std::string known(unsupportedTypeName(type));
    fail(shown + " has type " + (known.empty() ? std::to_string(type) + " (unknown)" : known) +
         ", which is not supported: use a file with " + formatNames());
  }
  tensor.format = *format;
  const FormatTraits &t = traits(*format);
  if (tensor.dims[0] % t.blockElements != 0)
    fail(shown + " has rows of " + std::to_string(tensor.dims[0]) + " elements, no multiple of " + std::string(t.name) +
         "'s block of " + std::to_string(t.blockElements) + ": the file is damaged");
  uint64_t size;
  if (__builtin_mul_overflow(elements / static_cast<uint64_t>(t.blockElements), static_cast<uint64_t>(t.blockBytes), &size) ||
      size > bytes_.size())
    fail(shown + " is larger than the file: it is cut off or damaged, download it again");
  tensor.data = {bytes_.data(), size};
  offsets_.push_back(number<uint64_t>());
  return tensor;
}

void GgufParser::placeTensors() {
  section_ = "tensor data";
  const uint64_t mask = file_.alignment_ - 1;
  const uint64_t begin = (at_ + mask) & ~mask; // no overflow: at_ <= the file's size, alignment <= 1 MiB
  std::vector<uint32_t> order(file_.tensors_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return offsets_[a] < offsets_[b]; });
  uint64_t end = 0; // of the tensor before, from the start of the data
  const GgufTensor *before = nullptr;
  for (uint32_t i : order) {
    GgufTensor &tensor = file_.tensors_[i];
    const uint64_t size = tensor.data.size(), offset = offsets_[i];
    if (offset & mask)
      fail("tensor " + quotedForError(tensor.name) + " begins at " + std::to_string(offset) + ", no multiple of the alignment " +
           std::to_string(file_.alignment_) + ": the file is damaged");
    if (offset < end)
      fail("tensors " + quotedForError(before->name) + " and " + quotedForError(tensor.name) + " overlap: the file is damaged");
    if (begin > bytes_.size() || offset > bytes_.size() - begin || size > bytes_.size() - begin - offset) {
      fail("cut off in the data of tensor " + quotedForError(tensor.name) + " (the file ends at byte " +
           std::to_string(bytes_.size()) + "): download it again");
    }
    tensor.data = bytes_.subspan(begin + offset, size);
    end = offset + size;
    before = &tensor;
  }
}

std::span<const std::byte> GgufParser::take(uint64_t n) {
  if (n > bytes_.size() - at_)
    cutOff(bytes_.size());
  auto part = bytes_.subspan(at_, n);
  at_ += n;
  return part;
}

template <class T> T GgufParser::number() {
  T value;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

std::string_view GgufParser::text() {
  uint64_t length = number<uint64_t>();
  auto part = take(length);
  return {reinterpret_cast<const char *>(part.data()), part.size()};
}

GgufType GgufParser::type(std::string_view key) {
  uint32_t id = number<uint32_t>();
  if (id > static_cast<uint32_t>(GgufType::F64))
    fail("metadata key " + quotedForError(key) + " has unknown type " + std::to_string(id) +
         ": the file is damaged or newer than this program");
  return static_cast<GgufType>(id);
}

void GgufParser::checkCount(uint64_t count, uint64_t leastBytes, std::string_view what) {
  uint64_t left = bytes_.size() - at_;
  if (count > left / leastBytes)
    fail("claims " + std::to_string(count) + " " + std::string(what) + " where only " + std::to_string(left) +
         " bytes follow: it is cut off or damaged, download it again");
}

void GgufParser::fail(const std::string &what) const { throw GgufError(file_.name_ + ": " + what); }

void GgufParser::cutOff(uint64_t at) const {
  fail("cut off in the " + std::string(section_) + " at byte " + std::to_string(at) + ": download it again");
}

} // namespace heddle

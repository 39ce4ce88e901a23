//===- GgufMetadata.cpp - typed reading of checked metadata ------------------------------------------------------------===//
#include "compiler/checkpoints/gguf/GgufParser.h"
#include <algorithm>
#include <atomic>
#include <cstring>

namespace heddle {
namespace {

struct TypeRow {
  std::string_view name;
  uint64_t bytes;
};
constexpr TypeRow kTypes[] = {{"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
                              {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8}};

template <class T> T load(const std::byte *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

bool isInteger(GgufType type) { return type <= GgufType::I32 || type == GgufType::U64 || type == GgufType::I64; }
bool isFloat(GgufType type) { return type == GgufType::F32 || type == GgufType::F64; }

/// Element i as an integer; nullopt when a u64 is beyond int64.
std::optional<int64_t> integerAt(const GgufValue &v, uint64_t i) {
  const std::byte *p = v.bytes.data() + i * scalarBytes(v.element);
  switch (v.element) {
  case GgufType::U8:
    return load<uint8_t>(p);
  case GgufType::I8:
    return load<int8_t>(p);
  case GgufType::U16:
    return load<uint16_t>(p);
  case GgufType::I16:
    return load<int16_t>(p);
  case GgufType::U32:
    return load<uint32_t>(p);
  case GgufType::I32:
    return load<int32_t>(p);
  case GgufType::I64:
    return load<int64_t>(p);
  case GgufType::U64: {
    uint64_t x = load<uint64_t>(p);
    if (x > INT64_MAX)
      return std::nullopt;
    return static_cast<int64_t>(x);
  }
  default:
    return std::nullopt;
  }
}

std::optional<double> numberAt(const GgufValue &v, uint64_t i) {
  if (v.element == GgufType::F32)
    return load<float>(v.bytes.data() + 4 * i);
  if (v.element == GgufType::F64)
    return load<double>(v.bytes.data() + 8 * i);
  if (auto x = integerAt(v, i))
    return static_cast<double>(*x);
  return std::nullopt;
}

/// The string at `p`, which moves behind it. Lengths were checked when the file was parsed.
std::string_view nextString(const std::byte *&p) {
  uint64_t length = load<uint64_t>(p);
  std::string_view text(reinterpret_cast<const char *>(p + 8), length);
  p += 8 + length;
  return text;
}

} // namespace

std::string_view ggufTypeName(GgufType type) { return kTypes[static_cast<uint32_t>(type)].name; }
uint64_t scalarBytes(GgufType type) { return kTypes[static_cast<uint32_t>(type)].bytes; }

const GgufValue *GgufFile::findValue(std::string_view key) const {
  auto less = [&](uint32_t i, std::string_view wanted) { return keys_[i] < wanted; };
  auto found = std::lower_bound(keyOrder_.begin(), keyOrder_.end(), key, less);
  return found != keyOrder_.end() && keys_[*found] == key ? &values_[*found] : nullptr;
}

static void markRead(char &flag) { std::atomic_ref<char>(flag).store(1, std::memory_order_relaxed); }

const GgufValue &GgufFile::value(std::string_view key, std::string_view expected) const {
  if (const GgufValue *found = findValue(key)) {
    markRead(keyRead_[static_cast<size_t>(found - values_.data())]);
    return *found;
  }
  throw GgufError(name_ + ": metadata key '" + std::string(key) + "' (" + std::string(expected) +
                  ") is missing: convert the model again");
}

void GgufFile::wrongType(std::string_view key, const GgufValue &found, std::string_view expected) const {
  std::string is = found.type == GgufType::Array
                       ? "an array of " + std::to_string(found.count) + " " + std::string(ggufTypeName(found.element))
                       : "of type " + std::string(ggufTypeName(found.type));
  throw GgufError(name_ + ": metadata key '" + std::string(key) + "' is " + is + ", not " + std::string(expected) +
                  ": convert the model again");
}

std::string_view GgufFile::string(std::string_view key) const {
  const GgufValue &v = value(key, "a string");
  if (v.type != GgufType::String)
    wrongType(key, v, "a string");
  const std::byte *p = v.bytes.data();
  return nextString(p);
}

int64_t GgufFile::integer(std::string_view key) const {
  const GgufValue &v = value(key, "an integer");
  auto x = isInteger(v.type) ? integerAt(v, 0) : std::nullopt;
  if (!x)
    wrongType(key, v, "an integer below 2^63");
  return *x;
}

double GgufFile::number(std::string_view key) const {
  const GgufValue &v = value(key, "a number");
  auto x = isInteger(v.type) || isFloat(v.type) ? numberAt(v, 0) : std::nullopt;
  if (!x)
    wrongType(key, v, "a number");
  return *x;
}

bool GgufFile::boolean(std::string_view key) const {
  const GgufValue &v = value(key, "a bool");
  if (v.type != GgufType::Bool)
    wrongType(key, v, "a bool");
  return v.bytes[0] != std::byte{0};
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  const GgufValue &v = value(key, "an array of strings");
  if (v.type != GgufType::Array || v.element != GgufType::String)
    wrongType(key, v, "an array of strings");
  std::vector<std::string_view> all;
  all.reserve(v.count);
  const std::byte *p = v.bytes.data();
  for (uint64_t i = 0; i < v.count; ++i)
    all.push_back(nextString(p));
  return all;
}

std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  const GgufValue &v = value(key, "an array of integers");
  if (v.type != GgufType::Array || !isInteger(v.element))
    wrongType(key, v, "an array of integers");
  std::vector<int64_t> all(v.count);
  for (uint64_t i = 0; i < v.count; ++i) {
    auto x = integerAt(v, i);
    if (!x)
      wrongType(key, v, "an array of integers below 2^63");
    all[i] = *x;
  }
  return all;
}

std::vector<double> GgufFile::numbers(std::string_view key) const {
  const GgufValue &v = value(key, "an array of numbers");
  if (v.type != GgufType::Array || !(isInteger(v.element) || isFloat(v.element)))
    wrongType(key, v, "an array of numbers");
  std::vector<double> all(v.count);
  for (uint64_t i = 0; i < v.count; ++i) {
    auto x = numberAt(v, i);
    if (!x)
      wrongType(key, v, "an array of numbers below 2^63");
    all[i] = *x;
  }
  return all;
}

std::vector<bool> GgufFile::booleans(std::string_view key) const {
  const GgufValue &v = value(key, "an array of bools");
  if (v.type != GgufType::Array || v.element != GgufType::Bool)
    wrongType(key, v, "an array of bools");
  std::vector<bool> all(v.count);
  for (uint64_t i = 0; i < v.count; ++i)
    all[i] = v.bytes[i] != std::byte{0};
  return all;
}

std::optional<std::string_view> GgufFile::findString(std::string_view key) const {
  return has(key) ? std::optional(string(key)) : std::nullopt;
}
std::optional<int64_t> GgufFile::findInteger(std::string_view key) const {
  return has(key) ? std::optional(integer(key)) : std::nullopt;
}
std::optional<double> GgufFile::findNumber(std::string_view key) const {
  return has(key) ? std::optional(number(key)) : std::nullopt;
}
std::optional<bool> GgufFile::findBoolean(std::string_view key) const {
  return has(key) ? std::optional(boolean(key)) : std::nullopt;
}

const GgufTensor *GgufFile::findTensor(std::string_view name) const {
  auto less = [&](uint32_t i, std::string_view wanted) { return tensors_[i].name < wanted; };
  auto found = std::lower_bound(tensorOrder_.begin(), tensorOrder_.end(), name, less);
  if (found == tensorOrder_.end() || tensors_[*found].name != name)
    return nullptr;
  markRead(tensorRead_[*found]);
  return &tensors_[*found];
}

std::vector<std::string_view> GgufFile::unreadKeys() const {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < keys_.size(); ++i)
    if (!keyRead_[i])
      names.push_back(keys_[i]);
  return names;
}

std::vector<std::string_view> GgufFile::unreadTensors() const {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < tensors_.size(); ++i)
    if (!tensorRead_[i])
      names.push_back(tensors_[i].name);
  return names;
}

std::optional<Setting> GgufFile::setting(std::string_view key) const {
  const GgufValue *v = findValue(key);
  if (!v)
    return std::nullopt;
  const bool list = v->type == GgufType::Array;
  auto all = [](const auto &values, auto convert) {
    Setting::List out;
    for (const auto &value : values)
      out.push_back({convert(value)});
    return Setting{std::move(out)};
  };
  if (v->element == GgufType::String)
    return list ? all(strings(key), [](std::string_view text) { return std::string(text); }) : Setting{std::string(string(key))};
  if (v->element == GgufType::Bool)
    return list ? all(booleans(key), [](bool flag) { return flag; }) : Setting{boolean(key)};
  if (isInteger(v->element))
    return list ? all(integers(key), [](int64_t integer) { return integer; }) : Setting{integer(key)};
  return list ? all(numbers(key), [](double number) { return number; }) : Setting{number(key)};
}

const GgufTensor &GgufFile::tensor(std::string_view name) const {
  if (const GgufTensor *found = findTensor(name))
    return *found;
  throw GgufError(name_ + ": tensor '" + std::string(name) + "' is missing: the file is no complete model of this architecture");
}

} // namespace heddle

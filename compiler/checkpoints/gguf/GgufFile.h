//===- GgufFile.h - reads a GGUF file (version 2 or 3) ----------------------------------------------------------------===//
//
// The file is mapped, checked once as a whole and then read in place: strings, arrays and tensors are views into it, so they live
// as long as the GgufFile. Nothing in the file is trusted: every count, length, offset and size is checked against the bytes that
// are there before it is used or allocated for. Every error is a GgufError of one line: file, what, what to do. (A file that
// another process cuts short while it is mapped ends this process by SIGBUS; replace models by renaming.)
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include "runtime/quant/Format.h"
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

using GgufError = CompileError;

/// GGUF's ids of metadata types.
enum class GgufType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };
std::string_view ggufTypeName(GgufType type);

/// A metadata value, checked, still as it stands in the file.
struct GgufValue {
  GgufType type;                    // Array, or the scalar's type
  GgufType element;                 // the elements' type of an array, else equal to `type`; never Array
  uint64_t count;                   // elements of an array, else 1
  std::span<const std::byte> bytes; // of the scalar or of all elements
};

struct GgufTensor {
  std::string_view name;
  std::vector<int64_t> dims; // 1 to 4 of them, each > 0, the fastest (columns) first
  Format format;
  std::span<const std::byte> data; // rows() rows of traits(format).rowBytes(columns()) bytes
  int64_t columns() const { return dims[0]; }
  int64_t rows() const { return static_cast<int64_t>(data.size()) / traits(format).rowBytes(dims[0]); } // of all further dims
  const std::byte *row(int64_t r) const { return data.data() + r * traits(format).rowBytes(dims[0]); }
};

/// Movable, immutable after opening: any number of threads may read it.
class GgufFile {
public:
  /// Maps and checks a file.
  static GgufFile open(const std::filesystem::path &path);
  /// Checks `bytes`, which must outlive the result; `name` stands in errors (tests, fuzzing).
  static GgufFile parse(std::span<const std::byte> bytes, std::string name);

  const std::string &fileName() const { return name_; } // for errors: the path as given
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }

  // Metadata. Typed getters throw, naming key and expected type, when the key is missing or holds something else; the find…
  // ones give nullopt for a missing key only. Integers of every width are one type here, and so are floats.
  const std::vector<std::string_view> &keys() const { return keys_; } // in the file's order
  bool has(std::string_view key) const { return findValue(key) != nullptr; }
  const GgufValue *findValue(std::string_view key) const;
  std::string_view string(std::string_view key) const;
  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const; // an integer is accepted too
  bool boolean(std::string_view key) const;
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<bool> booleans(std::string_view key) const;
  std::optional<std::string_view> findString(std::string_view key) const;
  std::optional<int64_t> findInteger(std::string_view key) const;
  std::optional<double> findNumber(std::string_view key) const;
  std::optional<bool> findBoolean(std::string_view key) const;

  /// A value of any type as a Setting; nullopt where the key is missing.
  std::optional<Setting> setting(std::string_view key) const;

  const std::vector<GgufTensor> &tensors() const { return tensors_; } // in the file's order
  const GgufTensor *findTensor(std::string_view name) const;
  const GgufTensor &tensor(std::string_view name) const; // throws, naming it

  /// What the file says and nobody asked for: keys whose value no getter gave out, tensors that were not looked up by name. In
  /// the file's order.
  std::vector<std::string_view> unreadKeys() const;
  std::vector<std::string_view> unreadTensors() const;

private:
  friend class GgufParser;
  GgufFile() = default;
  const GgufValue &value(std::string_view key, std::string_view expected) const;
  [[noreturn]] void wrongType(std::string_view key, const GgufValue &found, std::string_view expected) const;

  std::shared_ptr<const void> mapping_; // unmaps; empty after parse()
  std::string name_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<std::string_view> keys_;
  std::vector<GgufValue> values_;                // of keys_[i]
  std::vector<uint32_t> keyOrder_, tensorOrder_; // indices sorted by name
  std::vector<GgufTensor> tensors_;
  mutable std::vector<char> keyRead_, tensorRead_; // 1 once asked for; written by any thread (std::atomic_ref)
};

} // namespace heddle

//===- Safetensors.h - reads a .safetensors file --------------------------------------------------------------------===//
//
// Layout, little-endian: u64 bytes of the header; the header, a JSON object { name: { "dtype", "shape", "data_offsets": [begin,
// end] },
// "__metadata__": { text: text } }; the data, which the tensors fill without gaps or overlaps. Nothing of it is trusted: the file
// is checked once as a whole and then read in place.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/CompileError.h"
#include "runtime/quant/Format.h"
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

struct SafetensorsTensor {
  std::string name, type;           // type: as the file spells it, "BF16"
  std::optional<Format> format;     // none: a type that no weight here has
  std::vector<int64_t> shape;       // the slowest dimension first; none for a single value; a dimension may be 0
  std::span<const std::byte> bytes; // not aligned in every file
};

/// Movable, immutable after opening: any number of threads may read it.
class SafetensorsFile {
public:
  /// Maps and checks a file. Throws CompileError.
  static SafetensorsFile open(const std::filesystem::path &path);
  /// Checks `bytes`, which must outlive the result; `name` stands in errors (tests, fuzzing).
  static SafetensorsFile parse(std::span<const std::byte> bytes, std::string name);

  const std::string &fileName() const { return name_; }
  const std::vector<SafetensorsTensor> &tensors() const { return tensors_; } // by name
  const SafetensorsTensor *find(std::string_view name) const;

private:
  std::shared_ptr<const void> mapping_;
  std::string name_;
  std::vector<SafetensorsTensor> tensors_;
};

} // namespace heddle

//===- Format.h - weight formats of GGUF and their packed layout ----------------------------------------------------===//
//
// A format is known in two shapes: the file's (rows of blocks, as GGUF stores them) and the packed one that the kernels read
// (row groups of 16 rows, one vector lane per row). `docs/arithmetic.md` gives what the codes, scales and minima mean;
// `docs/formats.md` gives both layouts byte by byte. One .cpp per format, in formats/; this header is all that others
// include. No other place lists formats: what needs one asks the traits.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace heddle {

/// By the names of the files in formats/, in their order.
enum class Format : uint8_t {
#define HEDDLE_FORMAT(name) name,
#include "runtime/quant/Formats.inc"
};
inline constexpr std::array kFormats = {
#define HEDDLE_FORMAT(name) Format::name,
#include "runtime/quant/Formats.inc"
};
inline constexpr int64_t kGroupRows = 16; // rows of a packed row group: one vector lane each

struct FormatTraits {
  Format format;
  std::string_view name; // "q4_1", lower case as in the IR
  uint32_t ggmlType;     // GGUF's tensor type id
  int64_t blockElements; // elements of a row per block, in the file and in the packed layout (1, 32 or 256)
  int64_t blockBytes;    // bytes of a block in the file
  int64_t packedBytes;   // bytes of 16 rows × blockElements in the packed layout
  bool quantized;        // true: takes q8 activations; false: takes f32 activations, and is MLIR's float type of that name
  double errorBound;     // max |dot(packed, q8(x)) − dot(dequantised f64, x)| / (‖w‖·‖x‖), declared per format

  int64_t rowBytes(int64_t columns) const { return columns / blockElements * blockBytes; }    // in the file
  int64_t groupBytes(int64_t columns) const { return columns / blockElements * packedBytes; } // of 16 packed rows
};

const FormatTraits &traits(Format format);
std::optional<Format> formatByName(std::string_view name);
std::optional<Format> formatByGgmlType(uint32_t type);
/// The names of all formats, or of those that `which` is true for, with spaces between: for messages.
std::string formatNames(bool (*which)(Format) = nullptr);

/// The value of each element of one row of file blocks, exact in f64 (dequantised weights are short products).
void dequantizeRow(Format format, const std::byte *row, int64_t columns, double *out);

/// Packs 16 rows of file blocks into one row group of `groupBytes(columns)` bytes. `rows[i] == nullptr` packs a row of zeros.
void packRowGroup(Format format, const std::byte *const rows[kGroupRows], int64_t columns, std::byte *out);

/// What the arithmetic of a quantised format sees of one row, read from a packed group (tests, reference interpreter).
/// codes [columns] int8; scales, minima [columns / subBlock]. Not for F32, F16, BF16.
struct RowView {
  int64_t subBlock; // 16 or 32
  bool hasMinimum;
};
RowView unpackRow(Format format, const std::byte *group, int lane, int64_t columns, int8_t *codes, float *scales, float *minima);

/// One row of a packed group of F32, F16 or BF16, widened. out [columns].
void widenRow(Format format, const std::byte *group, int lane, int64_t columns, float *out);

} // namespace heddle

//===- WeightExpression.h - a weight as a formula over a checkpoint's tensors ---------------------------------------===//
//
//   NAME                     a tensor of the checkpoint; in '…' where the name holds anything but letters, digits and . _ - : /
//   rows(x, BEGIN, END[, STEP])   rows of a matrix (of each matrix of a stack), elements of a vector; END may be `end`
//   columns(x, BEGIN, END[, STEP])   columns; whole blocks of a quantised tensor
//   transpose(x)             rows become columns, in each matrix of a stack; quantised tensors become f32
//   permute(x, HEADS)        in each head the rows 0 1 2 … and those of its second half take turns: pairs that are turned
//   together,
//                            (i, i + size/2), become neighbours (GGUF's order for Llama)
//   stack(x, y, …)           rows after rows, of one format and width
//   experts(NAME, COUNT)     a stack [COUNT × rows × columns] of the matrices NAME, where # is 0, 1, …
//   mxfp4_blocks(NAME_blocks)   codes of MXFP4 whose exponents are NAME_scales
//   flatten(x)               rows after rows in one vector
//   add(x, NUMBER)           f32
//   f32(x) f16(x) bf16(x) q8_0(x) …    converted; quantised as Encode.h says
//
// Expressions are data: the graph holds their text (`heddle.weight … from "…"`) and the packer evaluates them, some rows at a
// time, so that no weight is ever in memory as a whole.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include <cstddef>
#include <memory>

namespace heddle {

/// Immutable; any number of threads may read one. Lives no longer than its checkpoint.
class WeightExpression {
public:
  virtual ~WeightExpression() = default;

  Format format() const { return format_; }
  const std::vector<int64_t> &shape() const { return shape_; } // [rows, columns], [elements], or more for a stack of matrices
  int64_t columns() const { return shape_.back(); }
  int64_t rows() const;
  int64_t rowBytes() const { return traits(format_).rowBytes(columns()); }

  /// Row `row` where it lies in the file, perhaps not aligned; null where it must be computed. Throws as read().
  virtual const std::byte *inPlace(int64_t) const { return nullptr; }
  /// Rows [first, first + count) into `out`, `count` times rowBytes(). Throws CompileError where the file holds a value that is
  /// no finite number.
  virtual void read(int64_t first, int64_t count, std::byte *out) const = 0;
  /// The same as f32.
  void readFloats(int64_t first, int64_t count, float *out) const;

protected:
  WeightExpression(Format format, std::vector<int64_t> shape) : format_(format), shape_(std::move(shape)) {}
  Format format_;
  std::vector<int64_t> shape_;
};

using WeightPointer = std::shared_ptr<const WeightExpression>;

/// Throws CompileError, which begins with the checkpoint's name: a missing tensor, a wrong word, rows that are not there.
WeightPointer parseWeight(std::string_view text, const Checkpoint &checkpoint);

/// A tensor's name as an expression: quoted where it must be.
std::string weightName(std::string_view tensor);

} // namespace heddle

//===- WeightNodes.cpp - the operations of weight expressions -------------------------------------------------------===//
#include "compiler/checkpoints/WeightNodes.h"
#include "runtime/quant/Encode.h"
#include "runtime/quant/Finite.h"
#include "runtime/quant/Half.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace heddle {
namespace {

template <class T> T load(const std::byte *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

bool isFloat(Format format) { return !traits(format).quantized; }

/// One row of a file's blocks as f32; quantised values, exact in f64, are rounded once.
void decodeRow(Format format, const std::byte *row, int64_t columns, float *out) {
  if (format == Format::F32)
    std::memcpy(out, row, static_cast<size_t>(columns) * sizeof(float));
  else if (format == Format::F16)
    for (int64_t k = 0; k < columns; ++k)
      out[k] = widenF16(load<uint16_t>(row + 2 * k));
  else if (format == Format::BF16)
    for (int64_t k = 0; k < columns; ++k)
      out[k] = widenBF16(load<uint16_t>(row + 2 * k));
  else {
    std::vector<double> exact(static_cast<size_t>(columns));
    dequantizeRow(format, row, columns, exact.data());
    std::ranges::transform(exact, out, [](double value) { return static_cast<float>(value); });
  }
}

} // namespace

int64_t WeightExpression::rows() const {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape_.size(); ++i)
    rows *= shape_[i];
  return rows;
}

void WeightExpression::readFloats(int64_t first, int64_t count, float *out) const {
  if (format_ == Format::F32)
    return read(first, count, reinterpret_cast<std::byte *>(out));
  std::vector<std::byte> bytes(static_cast<size_t>(rowBytes()));
  for (int64_t i = 0; i < count; ++i) {
    read(first + i, 1, bytes.data());
    decodeRow(format_, bytes.data(), columns(), out + i * columns());
  }
}

namespace weights {
namespace {

using Shape = std::vector<int64_t>;

void require(bool good, const std::string &otherwise) {
  if (!good)
    throw std::invalid_argument(otherwise);
}

class Source final : public WeightExpression {
public:
  explicit Source(StoredTensor tensor) : WeightExpression(tensor.format, tensor.shape), tensor_(std::move(tensor)) {}
  const std::byte *inPlace(int64_t row) const override {
    const std::byte *at = tensor_.row(row);
    check(at, row, 1);
    return at;
  }
  void read(int64_t first, int64_t count, std::byte *out) const override {
    check(tensor_.row(first), first, count);
    std::memcpy(out, tensor_.row(first), static_cast<size_t>(count * rowBytes()));
  }
  /// Column `column` and those after it of a row, for transpose().
  void readPart(int64_t row, int64_t column, int64_t count, std::byte *out) const {
    const std::byte *at = tensor_.row(row) + column * traits(format_).blockBytes;
    if (!allFinite(format_, at, count))
      check(tensor_.row(row), row, 1);
    std::memcpy(out, at, static_cast<size_t>(count * traits(format_).blockBytes));
  }

private:
  void check(const std::byte *at, int64_t first, int64_t count) const {
    if (allFinite(format_, at, count * columns()))
      return;
    const FormatTraits &t = traits(format_);
    for (int64_t k = 0; k < count * columns(); k += t.blockElements, at += t.blockBytes)
      if (!allFinite(format_, at, t.blockElements)) {
        const std::string row = std::to_string(first + k / columns()), column = std::to_string(k % columns());
        float value = 0;
        if (isFloat(format_))
          decodeRow(format_, at, 1, &value);
        throw CompileError(tensor_.where + " holds " +
                           (t.quantized         ? "a block whose scale or minimum is no finite number"
                            : std::isnan(value) ? "NaN"
                                                : "an infinite value") +
                           " in row " + row + ", column " + column + ": the file is damaged, download it again");
      }
  }
  StoredTensor tensor_;
};

/// Rows of another expression in another order, or some of them.
class RowMap : public WeightExpression {
public:
  RowMap(WeightPointer x, Shape shape) : WeightExpression(x->format(), std::move(shape)), x_(std::move(x)) {}
  const std::byte *inPlace(int64_t row) const override { return x_->inPlace(from(row)); }
  void read(int64_t first, int64_t count, std::byte *out) const override {
    for (int64_t i = 0; i < count; ++i)
      x_->read(from(first + i), 1, out + i * rowBytes());
  }

protected:
  virtual int64_t from(int64_t row) const = 0;
  WeightPointer x_;
};

class Rows final : public RowMap {
public:
  Rows(WeightPointer x, Shape shape, int64_t begin, int64_t step)
      : RowMap(x, shape), before_(x->shape()[x->shape().size() - 2]), now_(shape[shape.size() - 2]), begin_(begin), step_(step) {}
  void read(int64_t first, int64_t count, std::byte *out) const override {
    if (step_ == 1 && now_ == rows()) // rows that follow each other come together: transpose() reads them for the price of one
      x_->read(from(first), count, out);
    else
      RowMap::read(first, count, out);
  }

private:
  int64_t from(int64_t row) const override { return row / now_ * before_ + begin_ + row % now_ * step_; }
  int64_t before_, now_, begin_, step_;
};

/// Where element `i` of a head of `size` comes from, when halves take turns.
int64_t halfTurn(int64_t i, int64_t size) { return i / size * size + i % size % 2 * (size / 2) + i % size / 2; }

class PermutedRows final : public RowMap {
public:
  PermutedRows(const WeightPointer &x, int64_t size) : RowMap(x, x->shape()), size_(size) {}

private:
  int64_t from(int64_t row) const override { return halfTurn(row, size_); }
  int64_t size_;
};

/// Elements of each row in another order, or some of them.
class Columns final : public WeightExpression {
public:
  Columns(WeightPointer x, Shape shape, int64_t begin, int64_t step, int64_t permuted)
      : WeightExpression(x->format(), std::move(shape)), x_(std::move(x)), begin_(begin), step_(step), permuted_(permuted) {}
  void read(int64_t first, int64_t count, std::byte *out) const override {
    std::vector<std::byte> row(static_cast<size_t>(x_->rowBytes()));
    const FormatTraits &t = traits(format_);
    for (int64_t i = 0; i < count; ++i, out += rowBytes()) {
      x_->read(first + i, 1, row.data());
      if (step_ == 1 && !permuted_) {
        std::memcpy(out, row.data() + begin_ / t.blockElements * t.blockBytes, static_cast<size_t>(rowBytes()));
        continue;
      }
      for (int64_t k = 0; k < columns(); ++k) {
        int64_t from = permuted_ ? halfTurn(k, permuted_) : begin_ + k * step_;
        std::memcpy(out + k * t.blockBytes, row.data() + from * t.blockBytes, static_cast<size_t>(t.blockBytes));
      }
    }
  }

private:
  WeightPointer x_;
  int64_t begin_, step_, permuted_; // permuted: the size of a head, 0: none
};

class Transpose final : public WeightExpression {
public:
  Transpose(WeightPointer x, Shape shape)
      : WeightExpression(x->format(), std::move(shape)), x_(std::move(x)), file_(dynamic_cast<const Source *>(x_.get())) {}
  /// Of every row of x it takes the `count` values that it needs: whole rows where they are computed.
  void read(int64_t first, int64_t count, std::byte *out) const override {
    const int64_t size = traits(format_).blockBytes, each = shape_[shape_.size() - 2];
    std::vector<std::byte> row(static_cast<size_t>(x_->rowBytes()));
    while (count > 0) { // one matrix of the stack after the other
      const int64_t matrix = first / each, column = first % each, part = std::min(count, each - column);
      for (int64_t k = 0; k < columns(); ++k) {
        const std::byte *values = row.data();
        if (file_)
          file_->readPart(matrix * columns() + k, column, part, row.data());
        else
          x_->read(matrix * columns() + k, 1, row.data()), values += column * size;
        for (int64_t i = 0; i < part; ++i)
          std::memcpy(out + i * rowBytes() + k * size, values + i * size, static_cast<size_t>(size));
      }
      first += part, count -= part, out += part * rowBytes();
    }
  }

private:
  WeightPointer x_;
  const Source *file_;
};

class Stack final : public WeightExpression {
public:
  Stack(std::vector<WeightPointer> parts, Shape shape)
      : WeightExpression(parts.front()->format(), std::move(shape)), parts_(std::move(parts)) {
    for (const WeightPointer &part : parts_)
      ends_.push_back((ends_.empty() ? 0 : ends_.back()) + part->rows());
  }
  const std::byte *inPlace(int64_t row) const override {
    auto [part, inside] = place(row);
    return part->inPlace(inside);
  }
  void read(int64_t first, int64_t count, std::byte *out) const override {
    while (count > 0) {
      auto [part, inside] = place(first);
      int64_t n = std::min(count, part->rows() - inside);
      part->read(inside, n, out);
      first += n, count -= n, out += n * rowBytes();
    }
  }

private:
  std::pair<const WeightExpression *, int64_t> place(int64_t row) const {
    auto at = static_cast<size_t>(std::ranges::upper_bound(ends_, row) - ends_.begin());
    return {parts_[at].get(), row - (at ? ends_[at - 1] : 0)};
  }
  std::vector<WeightPointer> parts_;
  std::vector<int64_t> ends_; // of the parts, in rows
};

/// Vectors one after another.
class JoinedVectors final : public WeightExpression {
public:
  JoinedVectors(std::vector<WeightPointer> parts, int64_t elements)
      : WeightExpression(parts.front()->format(), {elements}), parts_(std::move(parts)) {}
  void read(int64_t, int64_t, std::byte *out) const override {
    for (const WeightPointer &part : parts_)
      part->read(0, 1, out), out += part->rowBytes();
  }

private:
  std::vector<WeightPointer> parts_;
};

/// All elements in one row.
class Flattened final : public WeightExpression {
public:
  explicit Flattened(const WeightPointer &x) : WeightExpression(x->format(), {x->rows() * x->columns()}), x_(x) {}
  void read(int64_t, int64_t, std::byte *out) const override { x_->read(0, x_->rows(), out); }

private:
  WeightPointer x_;
};

/// Blocks of MXFP4 whose codes and exponents lie apart: byte i of a block holds elements 2i and 2i + 1, where GGUF has i and i
/// + 16.
class Mxfp4 final : public WeightExpression {
public:
  Mxfp4(StoredBytes codes, StoredBytes exponents, Shape shape)
      : WeightExpression(Format::MXFP4, std::move(shape)), codes_(std::move(codes)), exponents_(std::move(exponents)) {}
  void read(int64_t first, int64_t count, std::byte *out) const override {
    const int64_t blocks = columns() / 32;
    for (int64_t block = first * blocks; block < (first + count) * blocks; ++block, out += 17) {
      uint8_t elements[32];
      for (int64_t i = 0; i < 16; ++i) {
        const auto byte = std::to_integer<uint8_t>(codes_.bytes[static_cast<size_t>(16 * block + i)]);
        elements[2 * i] = byte & 15, elements[2 * i + 1] = byte >> 4;
      }
      out[0] = exponents_.bytes[static_cast<size_t>(block)];
      for (int64_t i = 0; i < 16; ++i)
        out[1 + i] = static_cast<std::byte>(elements[i] | elements[i + 16] << 4);
    }
  }

private:
  StoredBytes codes_, exponents_;
};

class Add final : public WeightExpression {
public:
  Add(const WeightPointer &x, float constant) : WeightExpression(Format::F32, x->shape()), x_(x), constant_(constant) {}
  void read(int64_t first, int64_t count, std::byte *out) const override {
    auto values = std::vector<float>(static_cast<size_t>(count * columns()));
    x_->readFloats(first, count, values.data());
    for (float &value : values)
      value += constant_;
    std::memcpy(out, values.data(), values.size() * sizeof(float));
  }

private:
  WeightPointer x_;
  float constant_;
};

class Cast final : public WeightExpression {
public:
  Cast(const WeightPointer &x, Format format) : WeightExpression(format, x->shape()), x_(x) {}
  void read(int64_t first, int64_t count, std::byte *out) const override {
    std::vector<float> values(static_cast<size_t>(columns()));
    for (int64_t i = 0; i < count; ++i, out += rowBytes()) {
      x_->readFloats(first + i, 1, values.data());
      encodeRow(format_, values.data(), columns(), out);
      if (!allFinite(format_, out, columns()))
        throw CompileError("row " + std::to_string(first + i) + " holds a value beyond " + std::string(traits(format_).name) +
                           ": use bf16 or f32");
    }
  }

private:
  WeightPointer x_;
};

std::string range(int64_t begin, int64_t end, int64_t of) {
  return std::to_string(begin) + " to " + std::to_string(end) + " are not within " + std::to_string(of);
}

} // namespace

WeightPointer source(StoredTensor tensor) { return std::make_shared<Source>(std::move(tensor)); }

WeightPointer rows(WeightPointer x, int64_t begin, int64_t end, int64_t step) {
  Shape shape = x->shape();
  const bool vector = shape.size() == 1;
  int64_t &size = vector ? shape[0] : shape[shape.size() - 2];
  require(begin >= 0 && begin < end && end <= size && step >= 1, "rows " + range(begin, end, size));
  require(!vector || traits(x->format()).blockElements == 1, "elements of a quantised vector cannot be taken");
  size = (end - begin + step - 1) / step;
  if (vector)
    return std::make_shared<Columns>(std::move(x), shape, begin, step, 0);
  return std::make_shared<Rows>(std::move(x), shape, begin, step);
}

WeightPointer columns(WeightPointer x, int64_t begin, int64_t end, int64_t step) {
  Shape shape = x->shape();
  require(begin >= 0 && begin < end && end <= shape.back() && step >= 1, "columns " + range(begin, end, shape.back()));
  const int64_t block = traits(x->format()).blockElements;
  require(block == 1 || step == 1, "elements of a quantised row cannot be taken");
  require(begin % block == 0 && end % block == 0,
          "columns " + std::to_string(begin) + " to " + std::to_string(end) + " cut through blocks of " + std::to_string(block));
  shape.back() = (end - begin + step - 1) / step;
  return std::make_shared<Columns>(std::move(x), shape, begin, step, 0);
}

WeightPointer transpose(WeightPointer x) {
  Shape shape = x->shape();
  require(shape.size() >= 2, "a vector cannot be transposed");
  if (traits(x->format()).blockElements != 1)
    x = cast(x, Format::F32);
  std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return std::make_shared<Transpose>(std::move(x), shape);
}

WeightPointer permute(WeightPointer x, int64_t heads) {
  const Shape &shape = x->shape();
  const bool vector = shape.size() == 1;
  const int64_t size = vector ? shape[0] : x->rows();
  require(heads >= 1 && size % heads == 0 && size / heads % 2 == 0,
          std::to_string(size) + " rows are not " + std::to_string(heads) + " heads of an even size");
  if (!vector)
    return std::make_shared<PermutedRows>(x, size / heads);
  require(traits(x->format()).blockElements == 1, "elements of a quantised vector cannot be permuted");
  return std::make_shared<Columns>(x, shape, 0, 1, size / heads);
}

WeightPointer stack(std::vector<WeightPointer> parts) {
  const WeightExpression &first = *parts.front();
  Shape shape = first.shape();
  const bool vectors = shape.size() == 1;
  int64_t rows = 0;
  for (const WeightPointer &part : parts) {
    require(part->format() == first.format(), "parts of a stack have different formats");
    require((part->shape().size() == 1) == vectors && (vectors || part->columns() == first.columns()),
            "parts of a stack have different widths");
    rows += vectors ? part->columns() : part->rows();
  }
  if (vectors)
    return std::make_shared<JoinedVectors>(std::move(parts), rows);
  shape = {rows, first.columns()};
  return std::make_shared<Stack>(std::move(parts), shape);
}

WeightPointer experts(std::vector<WeightPointer> each) {
  const WeightExpression &first = *each.front();
  require(first.shape().size() == 2, "experts are matrices");
  for (const WeightPointer &one : each)
    require(one->format() == first.format() && one->shape() == first.shape(), "experts have different shapes or formats");
  Shape shape = {static_cast<int64_t>(each.size()), first.shape()[0], first.shape()[1]};
  return std::make_shared<Stack>(std::move(each), shape);
}

WeightPointer flatten(WeightPointer x) {
  require(traits(x->format()).blockElements == 1, "a quantised tensor cannot be one row");
  return std::make_shared<Flattened>(x);
}

WeightPointer mxfp4(StoredBytes codes, StoredBytes exponents) {
  Shape shape = codes.shape;
  require(shape.size() >= 3 && shape.back() == 16, codes.where + " is not [… × blocks × 16]");
  shape.pop_back();
  require(shape == exponents.shape, exponents.where + " is of another shape");
  shape.back() *= 32;
  return std::make_shared<Mxfp4>(std::move(codes), std::move(exponents), shape);
}

WeightPointer add(WeightPointer x, double constant) {
  require(std::isfinite(static_cast<float>(constant)), "the number to add is not finite");
  return std::make_shared<Add>(x, static_cast<float>(constant));
}

WeightPointer cast(WeightPointer x, Format format) {
  if (x->format() == format)
    return x;
  require(canEncode(format), "nothing can be written as " + std::string(traits(format).name));
  const int64_t block = traits(format).blockElements;
  require(x->columns() % block == 0, "rows of " + std::to_string(x->columns()) + " elements are no blocks of " +
                                         std::to_string(block) + " (" + std::string(traits(format).name) + ")");
  return std::make_shared<Cast>(x, format);
}

} // namespace weights
} // namespace heddle

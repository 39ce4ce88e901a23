//===- Columns.h - a rank's columns of a matrix as a stream of bytes -------------------------------------------------===//
//
// An all-gather moves columns [begin, end) of every row of a row-major matrix. Read row by row these bytes are a stream; messages
// are pieces of it, so that a slot may be smaller than one row or hold many.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace heddle {

struct Columns {
  std::byte *data;
  int64_t rows, rowBytes, begin, end;

  int64_t width() const { return end - begin; }
  int64_t bytes() const { return rows * width(); }

  /// Piece `index` of the stream, cut every `pieceBytes`: its bytes, 0 past the end.
  int64_t pieceSize(int64_t index, int64_t pieceBytes) const {
    return std::clamp<int64_t>(bytes() - index * pieceBytes, 0, pieceBytes);
  }
  /// Copies `size` bytes of the stream from `offset` on into `to`.
  void pack(int64_t offset, int64_t size, std::byte *to) const {
    forEachRun(offset, size, [&](std::byte *matrix, int64_t done, int64_t n) { std::memcpy(to + done, matrix, n); });
  }
  void unpack(int64_t offset, int64_t size, const std::byte *from) const {
    forEachRun(offset, size, [&](std::byte *matrix, int64_t done, int64_t n) { std::memcpy(matrix, from + done, n); });
  }

private:
  template <class Run> void forEachRun(int64_t offset, int64_t size, Run run) const {
    for (int64_t done = 0; done < size;) {
      int64_t row = (offset + done) / width(), column = (offset + done) % width();
      int64_t n = std::min(width() - column, size - done);
      run(data + row * rowBytes + begin + column, done, n);
      done += n;
    }
  }
};

} // namespace heddle

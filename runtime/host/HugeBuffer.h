//===- HugeBuffer.h - big zeroed memory on huge pages ----------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <utility>

namespace heddle {

/// Anonymous memory, aligned to 2 MiB, zero at first; what is never touched costs nothing. Owns the mapping; moves, does not
/// copy. Throws std::bad_alloc's cousin std::runtime_error (one line) when the address space or the overcommit limit is
/// exhausted.
class HugeBuffer {
public:
  HugeBuffer() = default;
  HugeBuffer(size_t bytes, const char *what); // `what` it is for stands in the error; 0 bytes still give a valid pointer
  HugeBuffer(HugeBuffer &&other) noexcept { swap(other); }
  HugeBuffer &operator=(HugeBuffer &&other) noexcept {
    HugeBuffer(std::move(other)).swap(*this);
    return *this;
  }
  ~HugeBuffer();

  std::byte *data() const { return data_; }
  size_t size() const { return size_; }

private:
  void swap(HugeBuffer &other) noexcept {
    std::swap(mapping_, other.mapping_), std::swap(mapped_, other.mapped_);
    std::swap(data_, other.data_), std::swap(size_, other.size_);
  }
  void *mapping_ = nullptr;
  size_t mapped_ = 0;
  std::byte *data_ = nullptr;
  size_t size_ = 0;
};

} // namespace heddle

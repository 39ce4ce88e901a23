//===- HugeBuffer.cpp - big zeroed memory on huge pages --------------------------------------------------------------===//
#include "runtime/host/HugeBuffer.h"
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/mman.h>

namespace heddle {

HugeBuffer::HugeBuffer(size_t bytes, const char *what) : size_(bytes) {
  constexpr size_t kHuge = size_t{2} << 20;
  if (bytes > SIZE_MAX / 2)
    throw std::runtime_error(std::string("cannot map memory for ") + what + ": the size overflows");
  mapped_ = (bytes + kHuge) / kHuge * kHuge + kHuge; // room to align the start; never 0
  void *mapping = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    throw std::runtime_error("cannot map " + std::to_string(bytes >> 20) + " MiB for " + what + ": " + std::strerror(errno) +
                             "; lower --kv-memory or --context, use more ranks or a smaller model, or free memory");
  mapping_ = mapping;
  data_ = reinterpret_cast<std::byte *>((reinterpret_cast<uintptr_t>(mapping) + kHuge - 1) & ~uintptr_t{kHuge - 1});
  madvise(data_, bytes, MADV_HUGEPAGE); // a hint; small pages work too
}

HugeBuffer::~HugeBuffer() {
  if (mapping_)
    munmap(mapping_, mapped_);
}

} // namespace heddle

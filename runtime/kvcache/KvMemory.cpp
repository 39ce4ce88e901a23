//===- KvMemory.cpp - one rank's part of the KV cache ----------------------------------------------------------------===//
#include "runtime/kvcache/KvMemory.h"
#include <cstring>

namespace heddle {

void KvMemory::apply(const PageWork &work) {
  auto page = [&](int32_t number) { return memory_.data() + int64_t{number} * pageBytes_; };
  for (auto [from, to] : work.copies)
    std::memcpy(page(to), page(from), pageBytes_);
  for (int32_t number : work.fresh)
    std::memset(page(number), 0, pageBytes_);
}

} // namespace heddle

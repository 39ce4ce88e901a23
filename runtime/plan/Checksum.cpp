//===- Checksum.cpp - 64 bits that tell damaged bytes from whole ones -------------------------------------------------===//
#include "runtime/plan/Checksum.h"
#include <cstdio>
#define XXH_INLINE_ALL // the vector code of this build's target; nothing to link
#include <xxhash.h>

namespace heddle {

uint64_t checksum(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string checksumText(uint64_t sum) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum));
  return text;
}

} // namespace heddle

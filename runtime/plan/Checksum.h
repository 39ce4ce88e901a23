//===- Checksum.h - 64 bits that tell damaged bytes from whole ones ---------------------------------------------------===//
//
// XXH3: as fast as memory, so that weights are checked while they are read. It finds damage, not intent; whoever can write into a
// plan can also write its code.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace heddle {

uint64_t checksum(std::span<const std::byte> bytes);

/// As manifests spell it: 16 hexadecimal digits.
std::string checksumText(uint64_t sum);

} // namespace heddle

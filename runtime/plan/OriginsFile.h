//===- OriginsFile.h - the name of what a plan's stages came from ---------------------------------------------------===//
#pragma once

namespace heddle {

/// Which lines of each stage came from which ops of the first: written by compiler/provenance, read by `heddle inspect`.
inline constexpr const char *kOriginsFile = "ir/origins.json";

} // namespace heddle

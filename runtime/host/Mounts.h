//===- Mounts.h - how a file system is mounted ---------------------------------------------------------------------------===//
#pragma once
#include <filesystem>

namespace heddle {

/// Is `path`, which exists, on a file system from which no code can be run? False where that cannot be found out.
bool mountedNoexec(const std::filesystem::path &path);

} // namespace heddle

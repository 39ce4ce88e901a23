//===- Host.h - what this host offers ----------------------------------------------------------------------------------===//
#pragma once
#include <string>

namespace heddle::tool {

std::string cpuModel();             // "AMD EPYC", "unknown" where /proc does not say
std::string transparentHugePages(); // "always", "madvise", "never" or ""

} // namespace heddle::tool

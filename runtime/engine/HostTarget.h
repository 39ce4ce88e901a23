//===- HostTarget.h - which compiled code this host can run ----------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace heddle {

/// The target to load: `wanted`, or the best of `hosts` when that is empty; it must be among `available` (the plan's) and
/// `hosts`. Throws std::runtime_error, one line that names `plan` and the command that adds the code.
std::string chooseTarget(std::span<const std::string> available, std::span<const std::string> hosts, const std::string &wanted,
                         const std::string &plan);

} // namespace heddle

//===- Host.h - small facts about this process's place ---------------------------------------------------------------===//
#pragma once
#include <string>

namespace heddle {

std::string hostName();

/// The kernel kills this process when its parent dies, so that no rank is left over after mpirun or its daemon. Call it first
/// thing in main of a process that a launcher started; ends the process at once when the parent has gone already.
void dieWithParent();

} // namespace heddle

//===- Host.h - small facts about this process's place ---------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <string>

namespace heddle {

std::string hostName();

/// What must be free in /dev/shm for `members` ranks of this host and their window (HostWindow::hostBytes), by measure: Open MPI
/// adds less than a page for each rank, and refuses when not a twentieth more is free than it takes; OpenMP has a page there in
/// each while it starts. Messages go over TCP and need none.
uint64_t sharedBytes(int64_t members, uint64_t windowBytes);
/// Of a group whose ranks are all on this host.
uint64_t sharedBytes(int64_t ranks);

/// The kernel kills this process when its parent dies, so that no rank is left over after mpirun or its daemon. Call it first
/// thing in main of a process that a launcher started; ends the process at once when the parent has gone already.
void dieWithParent();

} // namespace heddle

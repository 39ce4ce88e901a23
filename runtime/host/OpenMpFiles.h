//===- OpenMpFiles.h - what libomp leaves in /dev/shm --------------------------------------------------------------------===//
#pragma once

namespace heddle {

/// LLVM's OpenMP library makes /dev/shm/__KMP_REGISTERED_LIB_PID_UID when it starts, to notice a second copy of itself in the
/// process, and removes it only at an orderly exit. Nobody reads it after the start: call this once the library has started,
/// so that nothing stays when the process is killed. Removes those of dead processes of this user, too, killed before they came
/// here.
void removeOpenMpFiles();

} // namespace heddle

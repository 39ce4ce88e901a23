//===- MpiMain.h - GoogleTest under mpirun ---------------------------------------------------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"

namespace heddle::test {

/// The group of all ranks; every rank runs the same tests in the same order. Made by main before the tests.
/// `--slot-bytes N --message-bytes N --hosts H` (H: ranks pretend to sit on H hosts, round robin) choose its tuning.
Communicator &mpiGroup();
int pretendedHosts(); // 0: the real ones

} // namespace heddle::test

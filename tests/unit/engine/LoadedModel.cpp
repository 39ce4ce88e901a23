// The fake model as a plan's code/TARGET.so.
#include "tests/unit/engine/FakeModel.h"

extern "C" __attribute__((visibility("default"))) void heddle_entry_step(const heddle::Frame *frame, int64_t thread) {
  static const heddle::EntryFunction step = heddle::test::fakeModel().entries[0].function;
  step(frame, thread);
}

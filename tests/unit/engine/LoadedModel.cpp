// The fake model as a plan's code/TARGET.so.
#include "tests/unit/engine/FakeModel.h"

using heddle::StepBuffer;

extern "C" __attribute__((visibility("default"))) void
_mlir_ciface_step(StepBuffer *ids, StepBuffer *positions, StepBuffer *sequences, StepBuffer *pageTable, StepBuffer *rows,
                  StepBuffer *logits, StepBuffer *arena, StepBuffer *partials, StepBuffer *kv, StepBuffer *weights,
                  StepBuffer *weightOffsets, StepBuffer *rope, StepBuffer *ropeOffsets, int64_t pageTableWidth, int64_t rank,
                  int64_t ranks, int64_t thread, int64_t threads, int64_t context) {
  static const heddle::StepFunction step = heddle::test::fakeModel().step;
  step(ids, positions, sequences, pageTable, rows, logits, arena, partials, kv, weights, weightOffsets, rope, ropeOffsets,
       pageTableWidth, rank, ranks, thread, threads, context);
}

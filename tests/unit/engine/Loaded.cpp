// Stands for a plan's code/TARGET.so: built alone, it takes heddle_barrier and heddle_all_gather from who loads it.
#include "runtime/plan/StepAbi.h"

using heddle::StepBuffer;

extern "C" __attribute__((visibility("default"))) void
_mlir_ciface_step(StepBuffer *ids, StepBuffer *, StepBuffer *, StepBuffer *, StepBuffer *, StepBuffer *logits, StepBuffer *arena,
                  StepBuffer *, StepBuffer *, StepBuffer *, StepBuffer *, StepBuffer *, StepBuffer *, int64_t, int64_t, int64_t,
                  int64_t thread, int64_t threads, int64_t context) {
  float *mine = static_cast<float *>(arena->data), *out = static_cast<float *>(logits->data);
  mine[thread] = 1;
  heddle_barrier(context, thread, 0);
  float met = 0;
  for (int64_t t = 0; t < threads; ++t)
    met += mine[t];
  if (thread == 0)
    out[0] = met * static_cast<float>(ids->size);
  heddle_all_gather(context, thread, reinterpret_cast<int64_t>(arena->data), 1, threads * 4, threads, 4, 0);
  if (thread == threads - 1)
    out[1] = met;
}

// Stands for a plan's code/TARGET.so: built alone, it takes heddle_barrier and heddle_all_gather from who loads it.
#include "runtime/plan/Frame.h"

extern "C" __attribute__((visibility("default"))) void heddle_entry_step(const heddle::Frame *frame, int64_t thread) {
  float *mine = reinterpret_cast<float *>(frame->arena), *out = reinterpret_cast<float *>(frame->outputs[0]);
  mine[thread] = 1;
  heddle_barrier(frame, thread, nullptr);
  float met = 0;
  for (int64_t t = 0; t < frame->threads; ++t)
    met += mine[t];
  if (thread == 0)
    out[0] = met * static_cast<float>(frame->tokens);
  heddle_all_gather(frame, thread, mine, 1, frame->threads * 4, frame->threads, 4, nullptr);
  if (thread == frame->threads - 1)
    out[1] = met;
}

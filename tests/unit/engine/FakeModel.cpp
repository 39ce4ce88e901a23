#include "tests/unit/engine/FakeModel.h"
#include <algorithm>
#include <limits>

namespace heddle::test {
namespace {

constexpr int64_t kHeadDim = 4; // K of a page: 512 bytes, one 64-bit hash per position; V: 512 bytes, valueOf() it

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// What stands beside a key: of another position, it is wrong.
uint64_t valueOf(uint64_t key, int64_t position) { return ~key ^ mix(static_cast<uint64_t>(position) + 1); }

template <class T> T *at(StepBuffer *buffer) { return static_cast<T *>(buffer->data); }

void step(StepBuffer *ids, StepBuffer *positions, StepBuffer *sequences, StepBuffer *pageTable, StepBuffer *rows,
          StepBuffer *logits, StepBuffer *arena, StepBuffer *, StepBuffer *kv, StepBuffer *weights, StepBuffer *, StepBuffer *,
          StepBuffer *, int64_t width, int64_t rank, int64_t ranks, int64_t thread, int64_t threads, int64_t context) {
  const FakeModelOptions &model = *at<const FakeModelOptions>(weights);
  int64_t tokens = ids->size, group = model.heads / model.kvHeads;
  Share heads = share(model.heads, rank, ranks), local = kvShare(heads, group);
  Share mine = share(tokens, thread, threads);
  auto page = [&](int64_t token, int64_t position, int64_t kvHead) { // of one layer
    int64_t number = at<int32_t>(pageTable)[at<int32_t>(sequences)[token] * width + position / kPageTokens];
    int64_t offset = (number * local.size() + kvHead - local.begin) * headPageBytes(kHeadDim, KvType::F16);
    return reinterpret_cast<uint64_t *>(at<std::byte>(kv) + offset);
  };

  for (int64_t t = mine.begin; t < mine.end; ++t)
    for (int64_t h = local.begin; h < local.end; ++h) {
      int64_t position = at<int32_t>(positions)[t];
      uint64_t hash = mix(mix(at<int32_t>(ids)[t] + 1) + position * 977 + h);
      page(t, position, h)[position % kPageTokens] = hash;
      page(t, position, h)[kPageTokens + position % kPageTokens] = valueOf(hash, position);
    }
  heddle_barrier(context, thread, 0);

  uint64_t *found = at<uint64_t>(arena); // [tokens][heads]
  for (int64_t t = mine.begin; t < mine.end; ++t)
    for (int64_t h = heads.begin; h < heads.end; ++h) {
      int64_t query = at<int32_t>(positions)[t];
      uint64_t history = h + 1;
      for (int64_t p = 0; p <= query; ++p) {
        const uint64_t *keys = page(t, p, h / group);
        uint64_t key = keys[p % kPageTokens], value = keys[kPageTokens + p % kPageTokens];
        history = mix(history * 31 + key + (value == valueOf(key, p) ? 0 : 12345));
      }
      bool last = t + 1 == tokens || at<int32_t>(sequences)[t + 1] != at<int32_t>(sequences)[t];
      if (last) // nothing is written after it: there are zeros, or what a sequence that shared the page has for the same
                // positions
        for (int64_t p = query + 1; p % kPageTokens != 0; ++p) {
          uint64_t key = page(t, query, h / group)[p % kPageTokens];
          uint64_t value = page(t, query, h / group)[kPageTokens + p % kPageTokens];
          history += (key | value) != 0 && value != valueOf(key, p);
        }
      found[t * model.heads + h] = history;
    }
  if (ranks > 1)
    heddle_all_gather(context, thread, reinterpret_cast<int64_t>(found), tokens, model.heads * 8, model.heads, 8, 0);
  else
    heddle_barrier(context, thread, 0);

  int64_t stride = logits->size / std::max<int64_t>(1, rows->size), chunks = (model.vocabulary + 1023) / 1024;
  Share own = share(chunks, rank, ranks);
  for (int64_t r = thread; r < rows->size; r += threads) {
    int64_t t = at<int32_t>(rows)[r];
    float *out = at<float>(logits) + r * stride;
    for (int64_t v = own.begin * 1024; v < std::min(own.end * 1024, model.vocabulary); ++v) {
      uint64_t hash = v;
      for (int64_t h = 0; h < model.heads; ++h)
        hash = mix(hash + found[t * model.heads + h]);
      out[v] = static_cast<float>(hash >> 44) * 1e-5f - 5;
      if (at<int32_t>(ids)[t] == model.nonFiniteAfter)
        out[v] = std::numeric_limits<float>::quiet_NaN();
    }
  }
  if (ranks > 1)
    heddle_all_gather(context, thread, reinterpret_cast<int64_t>(logits->data), rows->size, stride * 4, chunks, 4096, 0);
  else
    heddle_barrier(context, thread, 0);
}

} // namespace

StepModel fakeModel(const FakeModelOptions &options) {
  auto weights = std::make_shared<FakeModelOptions>(options);
  StepModel model;
  model.step = step;
  model.weights = {weights.get(), sizeof *weights};
  model.owner = weights;
  model.vocabulary = options.vocabulary;
  model.logitStride = (options.vocabulary + 15) / 16 * 16;
  model.arenaBytesPerToken = options.heads * 8;
  model.context = options.context;
  model.kv = {1, options.heads, options.kvHeads, kHeadDim};
  model.endOfText = {options.endOfText};
  return model;
}

} // namespace heddle::test

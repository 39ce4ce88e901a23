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

int64_t strideOf(const FakeModelOptions &model) { return model.stride ? model.stride : (model.vocabulary + 15) / 16 * 16; }

void step(const Frame *frame, int64_t thread) {
  const FakeModelOptions &model = *reinterpret_cast<const FakeModelOptions *>(frame->weights);
  const int64_t tokens = frame->tokens, rank = frame->rank, ranks = frame->ranks, threads = frame->threads;
  const StateView &kv = *frame->states[0];
  const int32_t *ids = frame->ids, *positions = frame->positions, *sequences = frame->sequenceOf, *rows = frame->wantedRows;
  int64_t group = model.heads / model.kvHeads;
  Share heads = share(model.heads, rank, ranks), local = kvShare(heads, group);
  Share mine = share(tokens, thread, threads);
  auto page = [&](int64_t token, int64_t position, int64_t kvHead) { // of one layer
    int64_t number = kv.pageTable[sequences[token] * kv.pageTableWidth + position / kPageTokens];
    int64_t offset = (number * local.size() + kvHead - local.begin) * headPageBytes(kHeadDim, KvType::F16);
    return reinterpret_cast<uint64_t *>(kv.memory + offset);
  };

  for (int64_t t = mine.begin; t < mine.end; ++t)
    for (int64_t h = local.begin; h < local.end; ++h) {
      int64_t position = positions[t];
      uint64_t hash = mix(mix(ids[t] + 1) + position * 977 + h);
      page(t, position, h)[position % kPageTokens] = hash;
      page(t, position, h)[kPageTokens + position % kPageTokens] = valueOf(hash, position);
    }
  heddle_barrier(frame, thread, nullptr);

  uint64_t *found = reinterpret_cast<uint64_t *>(frame->arena); // [tokens][heads]
  for (int64_t t = mine.begin; t < mine.end; ++t)
    for (int64_t h = heads.begin; h < heads.end; ++h) {
      int64_t query = positions[t];
      uint64_t history = h + 1;
      for (int64_t p = 0; p <= query; ++p) {
        const uint64_t *keys = page(t, p, h / group);
        uint64_t key = keys[p % kPageTokens], value = keys[kPageTokens + p % kPageTokens];
        history = mix(history * 31 + key + (value == valueOf(key, p) ? 0 : 12345));
      }
      bool last = t + 1 == tokens || sequences[t + 1] != sequences[t];
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
    heddle_all_gather(frame, thread, found, tokens, model.heads * 8, model.heads, 8, nullptr);
  else
    heddle_barrier(frame, thread, nullptr);

  float *logits = reinterpret_cast<float *>(frame->outputs[0]);
  int64_t stride = strideOf(model), chunks = (model.vocabulary + 1023) / 1024;
  Share own = share(chunks, rank, ranks);
  for (int64_t r = thread; r < frame->wanted; r += threads) {
    int64_t t = rows[r];
    float *out = logits + r * stride;
    for (int64_t v = own.begin * 1024; v < std::min(own.end * 1024, model.vocabulary); ++v) {
      uint64_t hash = v;
      for (int64_t h = 0; h < model.heads; ++h)
        hash = mix(hash + found[t * model.heads + h]);
      out[v] = static_cast<float>(hash >> 44) * 1e-5f - 5;
      if (ids[t] == model.nonFiniteAfter)
        out[v] = std::numeric_limits<float>::quiet_NaN();
    }
  }
  if (ranks > 1)
    heddle_all_gather(frame, thread, logits, frame->wanted, stride * 4, chunks, 4096, nullptr);
  else
    heddle_barrier(frame, thread, nullptr);
}

} // namespace

StepModel fakeModel(const FakeModelOptions &options) {
  auto weights = std::make_shared<FakeModelOptions>(options);
  StepModel model;
  int64_t stride = strideOf(options);
  model.entries = {{"step", step, {{RowsOf::Wanted, options.vocabulary, stride}}, {{0, Access::Update}}}};
  model.weights = reinterpret_cast<const std::byte *>(weights.get());
  model.owner = weights;
  model.vocabulary = options.vocabulary;
  model.arenaBytesPerToken = options.heads * 8;
  model.context = options.context;
  model.kv.states = {{1, options.heads, options.kvHeads, kHeadDim}};
  model.endOfText = {options.endOfText};
  return model;
}

} // namespace heddle::test

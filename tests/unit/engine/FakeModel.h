//===- FakeModel.h - a step function that notices every mistake of its engine ----------------------------------------===//
#pragma once
#include "runtime/engine/StepExecutor.h"

namespace heddle::test {

struct FakeModelOptions {
  int64_t vocabulary = 2500, context = 1024; // the vocabulary ends in a short chunk of 1,024
  int64_t heads = 6, kvHeads = 3;
  int32_t nonFiniteAfter = -1; // logits are NaN right after this token
  int64_t endOfText = 7;
  int64_t stride = 0; // f32 of a row of logits; 0: the vocabulary in whole groups of 16
};

/// A "model" in plain C++ with the data flow of a real one: each token writes a hash to its place in the KV pages of this rank's
/// KV heads; each query head reads, through the page table, all positions of its sequence up to the query's; what the heads found
/// is gathered over the ranks; and each rank makes its chunks of the vocabulary, which are gathered too. So logits are a function
/// of the whole history as the pages hold it, and of nothing else: a page that is wrong, shared, lost or not zeroed, a position
/// or row that is off, or a rank or thread that does not do its part, changes them.
StepModel fakeModel(const FakeModelOptions &options = {});

} // namespace heddle::test

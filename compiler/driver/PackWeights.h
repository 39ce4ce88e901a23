//===- PackWeights.h - writes weights.bin ----------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include "runtime/plan/PlanWriter.h"
#include <functional>
#include <map>

namespace heddle {

/// Packs every weight of `manifest` into the plan's weights.bin, in the layout that kernels read (runtime/quant/README.md), on
/// `threads` threads, and fills in offsets and sizes. `expressions` make the weights from the checkpoint's tensors
/// (WeightExpression.h), 16 rows at a time; an empty one is the tensor of the weight's name. Throws CompileError when shapes or
/// formats differ from the manifest's or a value is no finite number, and PlanError.
void packWeights(const Checkpoint &checkpoint, const std::map<std::string, std::string> &expressions, Manifest &manifest,
                 PlanWriter &writer, int threads, const std::function<void(double)> &progress);

} // namespace heddle

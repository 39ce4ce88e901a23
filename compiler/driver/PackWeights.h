//===- PackWeights.h - writes weights.bin ----------------------------------------------------------------------------===//
#pragma once
#include "compiler/importers/gguf/GgufFile.h"
#include "runtime/plan/PlanWriter.h"
#include <functional>

namespace heddle {

/// Packs every weight of `manifest` from `file` into the plan's weights.bin, in the layout that kernels read
/// (runtime/quant/README.md), on `threads` threads, and fills in offsets and sizes. Throws CompileError when shapes or formats
/// differ from the file's, and PlanError.
void packWeights(const GgufFile &file, Manifest &manifest, PlanWriter &writer, int threads,
                 const std::function<void(double)> &progress);

} // namespace heddle

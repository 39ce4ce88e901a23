//===- Compile.h - from a model file to a plan ----------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/CompileError.h"
#include "runtime/plan/Frame.h"
#include "runtime/quant/Format.h"
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle {

struct CompileOptions {
  std::filesystem::path model;     // a GGUF file, a folder with config.json, or a plan to which code for a target is added
  std::filesystem::path output;    // the plan to write; replaced if it is one
  std::string target;              // one of kTargets (runtime/plan/Targets.h); empty: this host's best
  std::string tiling;              // register tiles of another target than `target`, for tests; empty: its own
  int64_t cacheBytes = 0;          // that loops are blocked for; 0: this host's
  int64_t prefetchBytes = -1;      // that products of few tokens ask for weights ahead, 0: not at all; -1: as suits this host
  KvType kvType = KvType::F16;     // of the KV cache; with `fromStage` the stage's own
  std::optional<Format> quantize;  // of matrices, in place of the model's own; canEncode (runtime/quant/Encode.h)
  bool debugInfo = false;          // code says which line of ir/5-loops.mlir, and which role, it came from
  std::filesystem::path fromStage; // go on from this text of a stage; empty: from the model's graph
  std::string key;                 // the cache key, kept in the manifest
  std::string compiler,
      compilerHash; // this library and its content, kept there too: whether the plan can still be found by somebody
  std::function<void(std::string_view phase, double fraction)> progress; // called from the compiling thread
  std::function<void(const std::filesystem::path &temporary)> writing;   // called once the plan's temporary folder is there
};

struct CompileReport {
  std::filesystem::path plan;
  std::vector<std::pair<std::string, double>> timings; // phase, seconds
};

/// Compiles `options.model` into the plan `options.output`. Throws CompileError, TokenizerImportError or PlanError, each
/// one line; then nothing is written. Not reentrant from several threads with one output.
CompileReport compileModel(const CompileOptions &options);

/// The text of one stage (graph … llvm, asm); writes nothing.
std::string emitStage(const CompileOptions &options, std::string_view stage);

} // namespace heddle

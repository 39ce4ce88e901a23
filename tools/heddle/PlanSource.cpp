//===- PlanSource.cpp - plans out of the cache, compiled when they are missing ---------------------------------------------===//
#include "tools/heddle/PlanSource.h"
#include "compiler/checkpoints/CheckpointFiles.h"
#include "runtime/host/Resources.h"
#include "runtime/plan/ContentHash.h"
#include "runtime/plan/HostCache.h"
#include "runtime/plan/PlanCache.h"
#include "runtime/plan/Targets.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/text/Utf8.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include "tools/heddle/Paths.h"
#include "tools/heddle/Progress.h"
#include <fcntl.h>
#include <iostream>
#include <optional>
#include <sys/stat.h>

namespace heddle::tool {
namespace fs = std::filesystem;

constexpr uint64_t kLeastToCompile = 48 << 20;

static std::string targetOrHost(const std::string &target) {
  if (!target.empty())
    return target;
  auto targets = hostTargets();
  if (targets.empty())
    throw Failure("this CPU is older than x86-64-v3 (AVX2, FMA), so nothing can be compiled for it; name another with --target");
  return targets.front();
}

/// Of one file its hash; of several those of all and their names.
static std::string contentOf(const PlanCache &cache, const fs::path &model) {
  const std::vector<fs::path> files = checkpointFiles(model);
  if (files.size() == 1 && files.front() == model)
    return cache.contentHash(model);
  Sha256 hash;
  for (const fs::path &file : files)
    hash.field(file.lexically_relative(model).string()).field(cache.contentHash(file));
  return hash.hex();
}

CompileOptions compileOptions(const ResolvedModel &model, const PlanChoice &choice, const fs::path &fromStage, bool debugInfo) {
  PlanCache cache;
  CompileOptions options;
  options.model = model.path;
  options.target = targetOrHost(choice.target);
  options.fromStage = fromStage;
  options.debugInfo = debugInfo;
  options.kvType = kvTypeByName(choice.kvType).value_or(KvType::F16);
  if (!choice.quantize.empty())
    options.quantize = formatByName(choice.quantize);
  PlanKey key;
  key.model = contentOf(cache, model.path);
  // The content of the compiler stands for the build. The hash is remembered until the file changes.
  fs::path compiler = compilerLibrary();
  if (!fs::exists(compiler))
    throw Failure("there is no compiler here, " + compiler.string() +
                  " is missing: build it (cmake --build --preset release) or give a compiled plan");
  key.build = cache.contentHash(compiler);
  options.compiler = compiler.string(), options.compilerHash = key.build;
  for (const char *library : {HEDDLE_LLVM, HEDDLE_MLIR}) // that the compiler loads; by an upgrade its code may change
    if (std::error_code error; fs::exists(library, error))
      key.options += fs::path(library).filename().string() + " " + cache.contentHash(library) + ", ";
  key.target = options.target;
  options.cacheBytes = hostCacheBytes(); // hosts that share a cache folder may differ in these
  options.prefetchBytes = hostPrefetchBytes();
  key.options +=
      "cache-bytes " + std::to_string(options.cacheBytes) + ", prefetch-bytes " + std::to_string(options.prefetchBytes);
  if (!fromStage.empty())
    key.options += ", from-stage " + cache.contentHash(fromStage);
  else if (options.kvType != KvType::F16)
    key.options += ", kv-type " + std::string(kvTypeName(options.kvType));
  if (options.quantize)
    key.options += ", quantize " + choice.quantize;
  if (debugInfo)
    key.options += ", debug-info";
  options.key = key.hex();
  return options;
}

/// A folder's tokenizer goes into the plan as it is: what cannot read it says so before the work.
static void checkTokenizer(const fs::path &model) {
  std::error_code error;
  const fs::path file = model / "tokenizer.json";
  if (!fs::is_directory(model, error) || fs::exists(model / "manifest.json", error) || !fs::is_regular_file(file, error) ||
      fs::file_size(file, error) == 0) // what is no file at all the compiler names
    return;
  try {
    Tokenizer::open(file, "download the model again");
  } catch (const TextError &wrong) {
    const std::string what = wrong.what();
    throw Failure(what.find(file.string()) == std::string::npos ? file.string() + ": " + what : what);
  }
}

CompileReport compileNow(CompileOptions options, const std::string &called) {
  std::string name = printable(called);
  // Weights pass through; what the compiler itself takes grows with the vocabulary, but no model does with less.
  requireMemory(kLeastToCompile, "compiling",
                "raise the limit, or compile on another machine (heddle compile -o) and copy the plan");
  checkTokenizer(options.model);
  std::cerr << "compiling " << name << " for " << options.target << "\n";
  auto start = std::chrono::steady_clock::now();
  Progress progress("compiling " + name);
  options.progress = [&](std::string_view phase, double fraction) { progress.update(fraction, phase); };
  std::optional<ScratchFile> scratch;
  options.writing = [&](const fs::path &temporary) { scratch.emplace(temporary); };
  CompileReport report = compileModel(options);
  progress.clear();
  std::cerr << "compiled in " << formatSeconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count())
            << "\n";
  return report;
}

ObtainedPlan obtainPlan(CompileOptions options, const std::string &name, bool everyByte) {
  ObtainedPlan obtained;
  obtained.compiled = false;
  auto build = [&](const fs::path &destination) {
    options.output = destination;
    obtained.report = compileNow(options, name);
    obtained.compiled = true;
  };
  auto waiting = [&] { std::cerr << "another process is compiling " << printable(name) << "; waiting for it\n"; };
  auto note = [](const std::string &text) { std::cerr << text << "\n"; };
  PlanCache cache;
  obtained.plan = cache.obtain(options.key, build, waiting, note, everyByte).directory();
  constexpr int64_t week = 7 * 86400; // two checkouts or containers may take turns at one path
  if (obtained.compiled)
    if (uint64_t freed = cache.prune(week, options.compilerHash))
      std::cerr << "removed old plans that no build can use, " << formatBytes(double(freed)) << "\n";
  return obtained;
}

fs::path planFor(const ResolvedModel &model, const PlanChoice &choice) {
  if (model.pulled) { // for heddle list; its other time says whether its content is the same
    const timespec times[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    std::error_code error; // looking into a folder would count as using it
    utimensat(AT_FDCWD, (fs::is_directory(model.path, error) ? model.path / "config.json" : model.path).c_str(), times, 0);
  }
  if (model.kind != ResolvedModel::Kind::Plan)
    return obtainPlan(compileOptions(model, choice), model.name).plan;
  const Plan plan = Plan::open(model.path);
  for (const StateEntry &state : plan.manifest().states)
    if ((state.kind == StateKind::Paged || state.kind == StateKind::Fixed) && !choice.kvType.empty() &&
        choice.kvType != kvTypeName(state.type))
      throw Failure(model.path.string() + " is a plan that caches keys and values as " + std::string(kvTypeName(state.type)) +
                    ", not " + choice.kvType + ": leave out --kv-type, or compile the model with it");
  if (!choice.quantize.empty())
    throw Failure(model.path.string() +
                  " is a plan, whose weights have their formats: leave out --quantize, or compile the model with it");
  return model.path;
}

} // namespace heddle::tool

//===- AddTarget.cpp - code for one more target in an existing plan ----------------------------------------------------===//
#include "compiler/driver/AddTarget.h"
#include "compiler/driver/Compilation.h"
#include "runtime/plan/PlanWriter.h"
#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <sys/file.h>

using namespace heddle;

/// The first thing that code of the plan's own stage would expect otherwise than the plan's manifest has it; empty where there is
/// none. A plan of another build may cut or lay out its weights in another way.
static std::string difference(const Manifest &made, const Manifest &plan) {
  auto entry = [](const WeightEntry &w) {
    return std::tie(w.name, w.format, w.rows, w.columns, w.packed, w.share, w.unitRows, w.group);
  };
  auto same = [&](const WeightEntry &a, const WeightEntry &b) { return entry(a) == entry(b); };
  auto sameRope = [](const RopeTable &a, const RopeTable &b) {
    auto all = [](const RopeTable &r) {
      return std::tie(r.base, r.dims, r.linearScale, r.factors, r.longFactors, r.original, r.magnitude);
    };
    return all(a) == all(b);
  };
  auto sameState = [](const StateEntry &a, const StateEntry &b) {
    auto all = [](const StateEntry &s) {
      return std::tie(s.name, s.layers, s.heads, s.kvHeads, s.headDim, s.type, s.kind, s.features);
    };
    return all(a) == all(b);
  };
  auto sameEntry = [](const Entry &a, const Entry &b) {
    return a.name == b.name && a.states == b.states &&
           std::ranges::equal(a.outputs, b.outputs, [](const EntryOutput &x, const EntryOutput &y) {
             return std::tie(x.rows, x.columns, x.stride) == std::tie(y.rows, y.columns, y.stride);
           });
  };
  if (made.arenaBytesPerToken > plan.arenaBytesPerToken)
    return "scratch memory";
  if (!std::ranges::equal(made.weights, plan.weights, same))
    return "weights";
  if (!std::ranges::equal(made.ropes, plan.ropes, sameRope))
    return "RoPE tables";
  if (!std::ranges::equal(made.states, plan.states, sameState))
    return "states";
  return std::ranges::equal(made.entries, plan.entries, sameEntry) ? "" : "entries";
}

/// Puts the code in place, then the manifest that names it: a crash between the two is seen, as sizes and checksums differ.
static void add(const Plan &plan, const std::string &target, const std::filesystem::path &made) {
  const std::string name = "code/" + target + ".so";
  const PlanFile fresh = planFile(plan.directory(), name + ".new");
  Manifest manifest = plan.manifest();
  auto listed = std::ranges::find(manifest.files, name, &PlanFile::name);
  if (listed != manifest.files.end() && listed->checksum == fresh.checksum && listed->bytes == fresh.bytes) {
    std::filesystem::remove(made); // the same code
    return;
  }
  if (listed == manifest.files.end())
    listed = manifest.files.insert(listed, {name, 0, ""});
  *listed = {name, fresh.bytes, fresh.checksum};
  if (std::ranges::find(manifest.targets, target) == manifest.targets.end())
    manifest.targets.push_back(target);
  replaceManifest(plan, manifest, [&] {
    std::error_code error;
    std::filesystem::rename(made, plan.directory() / name, error);
    if (error)
      throw CompileError(made.string() + ": cannot be renamed (" + error.message() + "): check the folder's rights");
  });
}

CompileReport heddle::addTarget(const CompileOptions &options) {
  if (!options.fromStage.empty())
    throw CompileError("--from-stage needs the model's file, not a plan: name the GGUF file or folder");
  if (options.debugInfo)
    throw CompileError("-g needs the model's file, not a plan, which keeps the stages of the target that it was compiled for");
  auto begin = std::chrono::steady_clock::now();
  files::File lock(Plan::open(options.model).directory(), O_RDONLY | O_DIRECTORY, "open");
  ::flock(lock.fd(), LOCK_EX); // others that add to this plan wait; a file system without locks has one writer, we hope
  Plan plan = Plan::open(options.model);
  const Manifest &has = plan.manifest();
  if (has.build != HEDDLE_BUILD ||
      (!has.compilerHash.empty() && !options.compilerHash.empty() && has.compilerHash != options.compilerHash))
    throw CompileError(plan.directory().string() + ": the plan was compiled by another build of Heddle (" + has.build +
                       "), whose code may expect other things: compile the model again");
  Compilation compilation(plan.directory().string(), options);
  compilation.begin(plan.checkedFile("ir/3-planned.mlir"));
  if (std::string what = difference(describe(compilation.module()), plan.manifest()); !what.empty())
    throw CompileError(plan.directory().string() + ": the plan's stages and its manifest differ in " + what +
                       ": compile the model again");
  compilation.advance(Stage::Llvm);
  ObjectCode code(compilation.module(), compilation.target());

  std::string target = targetName(compilation.target()).str();
  std::filesystem::path made = plan.directory() / "code" / (target + ".so.new");
  try {
    code.writeSharedObject(made);
    add(plan, target, made);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(made, ignored);
    throw;
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {plan.directory(), {{"code for " + target, seconds}}};
}

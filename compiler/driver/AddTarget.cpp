//===- AddTarget.cpp - code for one more target in an existing plan ----------------------------------------------------===//
#include "compiler/driver/AddTarget.h"
#include "compiler/driver/Compilation.h"
#include "runtime/plan/PlanWriter.h"
#include <algorithm>
#include <chrono>

using namespace heddle;

CompileReport heddle::addTarget(const CompileOptions &options) {
  if (!options.fromStage.empty())
    throw CompileError("--from-stage needs the model's file, not a plan: name the GGUF file");
  auto begin = std::chrono::steady_clock::now();
  Plan plan = Plan::open(options.model);
  Compilation compilation(plan.directory().string(), options);
  compilation.begin(plan.file("ir/3-planned.mlir"));
  compilation.advance(Stage::Llvm);
  ObjectCode code(compilation.module(), compilation.target());

  std::string target = targetName(compilation.target()).str();
  std::filesystem::path folder = plan.directory() / "code", made = folder / (target + ".so.new");
  code.writeSharedObject(made);
  std::error_code error;
  std::filesystem::rename(made, folder / (target + ".so"), error);
  if (error)
    throw CompileError(made.string() + ": cannot be renamed (" + error.message() + "): check the folder's rights");
  Manifest manifest = plan.manifest();
  if (std::ranges::find(manifest.targets, target) == manifest.targets.end()) {
    manifest.targets.push_back(target);
    replaceManifest(plan, manifest);
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {plan.directory(), {{"code for " + target, seconds}}};
}

//===- ModelResolver.h - from what the user calls a model to a plan -----------------------------------------------------===//
#pragma once
#include <filesystem>
#include <string>

namespace heddle::tool {

/// What MODEL on a command line means: a compiled plan, or a GGUF file or Hugging Face folder to compile.
struct ResolvedModel {
  enum class Kind { Plan, Gguf, Folder } kind;
  std::filesystem::path path;
  std::string name; // what the user calls it: the pulled name, else the last part of the path as given
  bool pulled = false;
};

/// A path that exists wins; then a pulled name, hf:ORG/NAME too. Throws Failure with what to do.
ResolvedModel resolveModel(const std::string &model);

/// What a plan is to be like, as options spell it; empty: the host's target, and as the plan or the model has it.
struct PlanChoice {
  std::string target, kvType, quantize;
};

/// The plan of a model: the plan itself, or the one in the cache, compiled now if it is not there yet, with progress on stderr.
std::filesystem::path planFor(const ResolvedModel &model, const PlanChoice &choice = {});

} // namespace heddle::tool

//===- ModelResolver.h - from what the user calls a model to a plan -----------------------------------------------------===//
#pragma once
#include <filesystem>
#include <string>

namespace heddle::tool {

/// What MODEL on a command line means: a compiled plan, or a GGUF file to compile.
struct ResolvedModel {
  enum class Kind { Plan, Gguf } kind;
  std::filesystem::path path;
  std::string name; // what the user calls it: the pulled name, else the last part of the path as given
  bool pulled = false;
};

/// A path that exists wins; then a pulled name, hf:ORG/NAME too. Throws Failure with what to do.
ResolvedModel resolveModel(const std::string &model);

/// The plan of a model, with code for `target` (empty: this host): the plan itself, or the one in the cache, compiled now if it
/// is not there yet, with progress on stderr.
std::filesystem::path planFor(const ResolvedModel &model, const std::string &target = {}, const std::string &kvType = {});

} // namespace heddle::tool

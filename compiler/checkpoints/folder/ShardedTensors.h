//===- ShardedTensors.h - the tensors of a model folder -------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/folder/Safetensors.h"

namespace heddle {

/// model.safetensors, or the files that model.safetensors.index.json names. Movable; any number of threads may read it.
class ShardedTensors {
public:
  /// Opens all of them. Throws CompileError: a shard that is missing, a tensor that is in two or not where the index says,
  /// weights that are only there as a pickle.
  explicit ShardedTensors(const std::filesystem::path &folder);

  struct Found {
    const SafetensorsFile *file = nullptr;
    const SafetensorsTensor *tensor = nullptr;
  };
  Found find(std::string_view name) const;
  /// Calls `each` with every tensor, file by file.
  template <class Each> void forEach(Each each) const {
    for (const SafetensorsFile &file : files_)
      for (const SafetensorsTensor &tensor : file.tensors())
        each(tensor);
  }

private:
  void openShards(const std::filesystem::path &folder, const std::filesystem::path &index);
  std::vector<SafetensorsFile> files_;
};

} // namespace heddle

//===- OpenCheckpoint.cpp - the reader for a path -------------------------------------------------------------------===//
#include "compiler/checkpoints/Checkpoint.h"
#include "compiler/checkpoints/folder/FolderCheckpoint.h"
#include "compiler/checkpoints/gguf/GgufCheckpoint.h"

namespace heddle {

std::unique_ptr<Checkpoint> openCheckpoint(const std::filesystem::path &path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return std::make_unique<FolderCheckpoint>(path);
  return std::make_unique<GgufCheckpoint>(path);
}

} // namespace heddle

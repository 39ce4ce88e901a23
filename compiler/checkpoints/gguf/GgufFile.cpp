//===- GgufFile.cpp - maps a GGUF file ----------------------------------------------------------------------------------===//
#include "compiler/checkpoints/gguf/GgufFile.h"
#include "compiler/checkpoints/MappedFile.h"
#include "compiler/checkpoints/gguf/GgufParser.h"

namespace heddle {

GgufFile GgufFile::open(const std::filesystem::path &path) {
  MappedFile file = MappedFile::open(path, ".gguf file");
  GgufFile result = parse(file.bytes, path.string());
  result.mapping_ = std::move(file.owner);
  return result;
}

GgufFile GgufFile::parse(std::span<const std::byte> bytes, std::string name) { return GgufParser(bytes, std::move(name)).run(); }

} // namespace heddle

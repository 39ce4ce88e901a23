//===- CheckpointFiles.h - which files a checkpoint is made of ------------------------------------------------------===//
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace heddle {

/// The parts of a GGUF file called NAME-00001-of-0000N.gguf, in order and by name alone, whether they are there or not; the file
/// itself where its name says nothing of parts.
std::vector<std::filesystem::path> ggufParts(const std::filesystem::path &file);

/// Every file whose content the plan of a checkpoint depends on, that is there, in one order: the parts of a GGUF file; of a
/// folder its configurations, vocabulary, template and tensors.
std::vector<std::filesystem::path> checkpointFiles(const std::filesystem::path &checkpoint);

} // namespace heddle

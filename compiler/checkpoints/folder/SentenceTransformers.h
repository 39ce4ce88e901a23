//===- SentenceTransformers.h - how a folder makes one vector of a text ---------------------------------------------===//
#pragma once
#include "compiler/checkpoints/folder/Json.h"

namespace heddle {

/// What sentence-transformers' files of a folder say, as settings: "sentence_transformers.modules", the kinds of modules.json in
/// their order (["Transformer", "Pooling", "Normalize"]), and "sentence_transformers.pooling.KEY" of the pooling module's
/// config.json. None where there is no modules.json. Throws CompileError.
std::vector<std::pair<std::string, Setting>> sentenceTransformersSettings(const std::filesystem::path &folder);

} // namespace heddle

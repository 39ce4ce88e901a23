//===- Encoder.h - what encoders have in common -----------------------------------------------------------------------===//
#pragma once
#include "compiler/architectures/Decoder.h"

namespace heddle {

/// The activation function between the products of a feed-forward block, by its name in transformers. Throws CompileError.
ir::Activation readActivation(const ModelSource &model, std::string_view key);

/// The entry `embed`: one vector of each text, [S × width], of its tokens' last rows x [T × width]. Folders say how in
/// sentence-transformers' files (without them: the mean), GGUF files in pooling_type, whose vectors have length 1 as llama.cpp's.
/// Throws CompileError.
mlir::Value embeddingOf(GraphBuilder &graph, mlir::Value x);

/// What encoders call the values that embeddingOf reads.
std::vector<ValueName> poolingValues();

} // namespace heddle

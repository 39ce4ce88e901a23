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

/// The encoder of Devlin et al., arXiv:1810.04805, with the entry `embed`: tokens, their places and, where the family has a table
/// `token_types`, their kinds are added and normed; blocks `encoder_block` attend over the whole text and norm after each half.
/// Throws CompileError.
void buildPostNormEncoder(GraphBuilder &graph);

/// What such encoders call their values, and those of one family before them: it may call some otherwise.
std::vector<ValueName> encoderValues(std::vector<ValueName> own = {});

/// What their files say that nobody reads, one family's own rules before them.
std::vector<Rule> encoderSettingRules(std::vector<Rule> own = {});
std::vector<Rule> encoderTensorRules(std::vector<Rule> own = {});

} // namespace heddle

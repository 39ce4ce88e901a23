//===- FileRules.h - what a file may say without being read ---------------------------------------------------------===//
//
// Everything that a GGUF file says is used, known to be harmless, or refused by its name: a key or a tensor that is passed over
// gives wrong answers and no word about it. The graph and the tokenizer importer read what they use; FileRules.cpp lists the
// rest that is known, with one reason each.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/importers/gguf/GgufFile.h"

namespace heddle {

/// What is known to be unsupported whoever reads it (mixtures of experts, biases), to be said before anything else goes wrong for
/// want of it. Throws CompileError.
void refuseUnsupported(const GgufFile &file, std::string_view architecture);

/// Tensors and keys outside of `tokenizer.` that nobody has read and that are not known to be harmless; ask once the graph
/// stands. Throws CompileError.
void refuseUnread(const GgufFile &file, std::string_view architecture);

/// The same for keys of `tokenizer.`, once the vocabulary is imported.
void refuseUnreadTokenizer(const GgufFile &file, std::string_view architecture);

} // namespace heddle

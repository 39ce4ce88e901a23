//===- Rules.h - what a file may say without being read -------------------------------------------------------------===//
//
// Everything that a checkpoint says is used, known to be harmless, or refused by its name: a key or a tensor that is passed over
// gives wrong answers and no word about it. The graph and the tokenizer read what they use; of the rest a family's own rules are
// asked first, then those of the kind of file.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"

namespace heddle {

/// A family's own rules, and what `@` stands for in names of settings: "llama." of a GGUF file, "" or "text_config." of a folder.
struct FamilyRules {
  std::string_view family, root;
  std::span<const Rule> settings, tensors;
};

/// What is known to be unsupported whoever reads it (mixtures of experts, biases), to be said before anything else goes wrong for
/// want of it. Throws CompileError.
void refuseUnsupported(const Checkpoint &checkpoint, const FamilyRules &family);

/// Tensors and settings outside of the tokenizer's that nobody has read and that are not known to be harmless; ask once the graph
/// stands. Throws CompileError.
void refuseUnread(const Checkpoint &checkpoint, const FamilyRules &family);

/// The same for settings of the tokenizer, once it is read.
void refuseUnreadTokenizer(const Checkpoint &checkpoint, const FamilyRules &family);

} // namespace heddle

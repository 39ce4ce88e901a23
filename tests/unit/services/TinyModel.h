//===- TinyModel.h - a served model without a compiler --------------------------------------------------------------===//
#pragma once
#include "services/frontend/ServedModel.h"

namespace heddle::test {

/// Ids 0 "<s>", 1 "</s>", 2 "<turn>", then the 256 bytes: every text is its bytes.
inline constexpr int32_t kBegin = 0, kEnd = 1, kTurn = 2, kFirstByte = 3, kVocabulary = 259, kModelContext = 512;
inline int32_t idOf(char letter) { return kFirstByte + static_cast<unsigned char>(letter); }

/// Its tokenizer.json: a byte-level BPE without merges.
std::string tinyTokenizer();
/// "tiny", of key `planKey`; the chat template writes each turn as "<turn>ROLE:CONTENT".
ServedModel tinyModel(const std::string &planKey = "0123456789abcdef", bool withTemplate = false);

} // namespace heddle::test

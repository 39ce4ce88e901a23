//===- Vocabularies.h - two vocabularies small enough to follow by hand ----------------------------------------------===//
#pragma once
#include "compiler/checkpoints/tokenizer/GgufTokenizer.h"
#include "runtime/text/Tokenizer.h"
#include <cstdio>

namespace heddle {

/// GPT-2's kind. All bytes but 0x00 and 0xFF have a token (so that missing ones are tested), then a few merges.
/// "Ġ" (U+0120) is a space.
inline GgufVocabulary tinyByteLevel() {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  const auto add = [&](std::string text, int32_t type) {
    vocabulary.tokens.push_back(std::move(text));
    vocabulary.types.push_back(type);
  };
  add("<|end|>", kControl);    // 0
  add("<tool>", kUserDefined); // 1
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const int code = itself ? byte : next++;
    if (byte != 0x00 && byte != 0xFF)
      add(code < 0x80 ? std::string(1, char(code)) : std::string{char(0xC0 | code >> 6), char(0x80 | (code & 63))}, kNormal);
  }
  const auto merge = [&](const std::string &left, const std::string &right) {
    vocabulary.merges.push_back(left + " " + right);
    add(left + right, kNormal);
  };
  merge("l", "l");          // 256
  merge("h", "e");          // 257
  merge("he", "ll");        // 258
  merge("hell", "o");       // 259
  merge("\u0120", "hello"); // 260
  merge("a", "b");          // 261
  return vocabulary;
}

/// SentencePiece's kind, with byte tokens and Gemma's runs of line breaks. "▁" (U+2581) is a space.
inline GgufVocabulary tinySentencePiece(bool spacePrefix) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.addSpacePrefix = spacePrefix;
  vocabulary.unknown = 0;
  const auto add = [&](std::string text, float score, int32_t type) {
    vocabulary.tokens.push_back(std::move(text));
    vocabulary.scores.push_back(score);
    vocabulary.types.push_back(type);
  };
  add("<unk>", 0, kUnknown);        // 0
  add("<s>", 0, kControl);          // 1
  add("</s>", 0, kUserDefined);     // 2: a tag of HTML, as in Gemma
  add("\n\n", -1000, kUserDefined); // 3
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", unsigned(byte));
    add(text, -1000, kByte); // 4 + byte
  }
  for (const char *text : {"▁", "a", "b", "c", "h", "i"}) // 260 …
    add(text, -50, kNormal);
  add("ab", -3, kNormal);  // 266
  add("bc", -2, kNormal);  // 267: preferred to "ab"
  add("abc", -4, kNormal); // 268: only a + bc leads here
  add("▁hi", -5, kNormal); // 269
  add("hi", -6, kNormal);  // 270
  add("aa", -7, kNormal);  // 271
  add("aaa", -8, kNormal); // 272
  return vocabulary;
}

inline std::shared_ptr<const Tokenizer> tokenizerOf(const GgufVocabulary &vocabulary) {
  return Tokenizer::fromJson(buildTokenizerJson(vocabulary));
}

} // namespace heddle

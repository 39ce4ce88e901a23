//===- TinyModel.cpp -----------------------------------------------------------------------------------------------===//
#include "tests/unit/services/TinyModel.h"
#include <nlohmann/json.hpp>

namespace heddle::test {
namespace {

std::string utf8(uint32_t code) {
  if (code < 0x80)
    return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

/// The printable character that stands for each byte in byte-level vocabularies (GPT-2's table).
std::vector<std::string> byteCharacters() {
  std::vector<std::string> out(256);
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    out[byte] = utf8(printable ? byte : next++);
  }
  return out;
}

} // namespace

std::string tinyTokenizer() {
  using nlohmann::json;
  json vocabulary = {{"<s>", kBegin}, {"</s>", kEnd}, {"<turn>", kTurn}};
  std::vector<std::string> bytes = byteCharacters();
  for (size_t byte = 0; byte < bytes.size(); ++byte)
    vocabulary[bytes[byte]] = kFirstByte + static_cast<int>(byte);
  auto special = [](int id, const char *text) {
    return json{{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  json byteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"vocab", vocabulary},
                {"merges", json::array()}};
  return json{{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", {special(kBegin, "<s>"), special(kEnd, "</s>"), special(kTurn, "<turn>")}},
              {"normalizer", nullptr},
              {"pre_tokenizer", byteLevel},
              {"post_processor", nullptr},
              {"decoder", byteLevel},
              {"model", model}}
      .dump();
}

ServedModel tinyModel(const std::string &planKey, bool withTemplate) {
  Manifest manifest{};
  manifest.name = "tiny";
  manifest.architecture = "alphabet";
  manifest.build = "test";
  manifest.key = planKey;
  manifest.targets = {"x86-64-v3"};
  manifest.vocabulary = kVocabulary;
  manifest.context = kModelContext;
  manifest.bos = kBegin;
  manifest.eos = kEnd;
  manifest.endOfText = {kEnd};
  const char *chat = "{% for m in messages %}<turn>{{ m.role }}:{{ m.content }}{% endfor %}";
  return {std::move(manifest), Tokenizer::fromJson(tinyTokenizer()), withTemplate ? chat : ""};
}

} // namespace heddle::test

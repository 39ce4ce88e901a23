//===- TokenIds.cpp - token ids of texts, for compare.py -------------------------------------------------------------===//
//
//   token_ids VOCABULARY [TOKENIZER.json] < requests > answers
//
// The vocabulary is a GGUF file (tensors are not needed), or what compare.py dumps from one; the tokenizer.json made of it is
// written where asked. A request is a line {"text": …, "parse_special": …} or {"ids": […], "skip_special": …}; the answer is a
// line, the list of ids or the text. Times go to stderr.
//
//===----------------------------------------------------------------------------------------------------------------===//
#include "compiler/checkpoints/gguf/GgufFile.h"
#include "compiler/checkpoints/tokenizer/GgufTokenizer.h"
#include "runtime/text/Tokenizer.h"
#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

using nlohmann::json;

namespace {

heddle::GgufVocabulary vocabularyOf(const std::string &path) {
  if (path.ends_with(".gguf"))
    return heddle::readVocabulary(heddle::GgufFile::open(path));
  std::ifstream file(path);
  const json source = json::parse(file);
  heddle::GgufVocabulary vocabulary;
  vocabulary.model = source.at("model");
  vocabulary.pre = source.at("pre");
  vocabulary.tokens = source.at("tokens").get<std::vector<std::string>>();
  vocabulary.scores = source.at("scores").get<std::vector<float>>();
  vocabulary.types = source.at("types").get<std::vector<int32_t>>();
  vocabulary.merges = source.at("merges").get<std::vector<std::string>>();
  vocabulary.unknown = source.at("unknown");
  if (!source.at("add_space_prefix").is_null())
    vocabulary.addSpacePrefix = source.at("add_space_prefix").get<bool>();
  vocabulary.shrinkSpaces = source.value("remove_extra_whitespaces", false);
  vocabulary.spellings = source.value("precompiled_charsmap", std::vector<uint8_t>());
  heddle::applyTokenizerDefaults(vocabulary);
  return vocabulary;
}

json answer(const heddle::Tokenizer &tokenizer, const json &request) {
  if (request.contains("text"))
    return tokenizer.encode(request.at("text").get<std::string>(), request.at("parse_special"));
  return tokenizer.decode(request.at("ids").get<std::vector<int32_t>>(), request.at("skip_special"));
}

double milliseconds(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: token_ids VOCABULARY [TOKENIZER.json] < requests > answers\n";
    return 2;
  }
  try {
    const heddle::GgufVocabulary vocabulary = vocabularyOf(argv[1]);
    const auto start = std::chrono::steady_clock::now();
    const std::string source = heddle::buildTokenizerJson(vocabulary);
    const double building = milliseconds(start);
    if (argc == 3)
      std::ofstream(argv[2], std::ios::binary) << source;
    const auto loading = std::chrono::steady_clock::now();
    const auto tokenizer = heddle::Tokenizer::fromJson(source);
    std::cerr << "token_ids: built in " << building << " ms (" << source.size() << " bytes), loaded in " << milliseconds(loading)
              << " ms, " << tokenizer->vocabularySize() << " ids\n";
    for (std::string line; std::getline(std::cin, line);)
      std::cout << answer(*tokenizer, json::parse(line)).dump() << "\n";
  } catch (const std::exception &error) {
    std::cerr << "token_ids: " << error.what() << "\n";
    return 1;
  }
}

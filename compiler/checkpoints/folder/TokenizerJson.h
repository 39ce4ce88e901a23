//===- TokenizerJson.h - what a tokenizer.json says besides how it cuts text ----------------------------------------===//
#pragma once
#include "compiler/checkpoints/folder/Json.h"
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace heddle {

struct TokenizerJson {
  struct Added {
    int64_t id;
    std::string content;
    bool special;
  };
  std::vector<Added> added;
  std::unordered_map<std::string, int64_t> ids; // of the tokens that were asked for and are there
  int64_t count = 0;                            // one more than the highest id
  Json postProcessor;                           // null where there is none
};

/// Reads a tokenizer.json without keeping its vocabulary; `wanted`: tokens whose ids are asked for. Throws CompileError.
TokenizerJson readTokenizerJson(const std::string &text, const std::string &file, const std::set<std::string> &wanted);

} // namespace heddle

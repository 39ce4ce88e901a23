//===- FolderTokenizer.h - the tokenizer of a model folder ----------------------------------------------------------===//
//
// tokenizer.json is used as it is. tokenizer_config.json, special_tokens_map.json and added_tokens.json may name special tokens
// and add some; generation_config.json and config.json name ids that end a text. As with GGUF files, special tokens whose texts
// say so end one too (TokenRoles.h).
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include "compiler/checkpoints/folder/TokenizerJson.h"

namespace heddle {

class FolderTokenizer {
public:
  /// `generation` and `config` are the folder's generation_config.json and config.json; the first may be null. Throws
  /// CompileError.
  FolderTokenizer(const std::filesystem::path &folder, const Json &generation, const Json &config);
  int64_t count() const { return tokenizer_.count; }
  TokenizerFiles files(bool continues) const;
  std::string chatTemplate() const;

private:
  void readNames();
  void addMissingTokens();
  std::string tokenNamed(const char *role) const;
  int64_t idNamed(const char *role) const;
  bool beginsWithBos(int64_t bos) const;
  std::vector<int64_t> ends(int64_t eos) const;
  void appendIds(const Json &json, const std::string &what, std::vector<int64_t> &out) const;
  std::filesystem::path path(const char *file) const { return folder_ / file; }

  struct Extra {
    int64_t id;
    std::string content;
    bool special;
  };
  std::filesystem::path folder_;
  const Json &generation_, &config_;
  Json names_, map_;         // tokenizer_config.json, special_tokens_map.json; null where there is none
  std::vector<Extra> extra_; // tokens that they add
  std::string text_;         // of tokenizer.json, with them
  TokenizerJson tokenizer_;
};

} // namespace heddle

//===- GgufParser.h - checks a GGUF file from its first byte to its last ----------------------------------------------===//
#pragma once
#include "compiler/checkpoints/gguf/GgufFile.h"

namespace heddle {

/// One pass over the header; used once. Internal to this folder.
class GgufParser {
public:
  GgufParser(std::span<const std::byte> bytes, std::string name) : bytes_(bytes) { file_.name_ = std::move(name); }
  GgufFile run();

private:
  void readHeader();
  void readMetadata();
  void readTensorInfos();
  void placeTensors();
  GgufValue readValue(std::string_view key);
  GgufTensor readTensorInfo();

  // Reading in order, each checked against the end; `section` names where we are for errors.
  std::span<const std::byte> take(uint64_t n);
  template <class T> T number();
  std::string_view text();
  GgufType type(std::string_view key);
  void checkCount(uint64_t count, uint64_t leastBytes, std::string_view what);

  [[noreturn]] void fail(const std::string &what) const;
  [[noreturn]] void cutOff(uint64_t at) const;

  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
  std::string_view section_ = "header";
  uint64_t tensorCount_ = 0, keyCount_ = 0;
  std::vector<uint64_t> offsets_; // of the tensors, from the start of the data
  GgufFile file_;
};

/// Bytes of a scalar of this type; 0 for String and Array.
uint64_t scalarBytes(GgufType type);

} // namespace heddle

//===- Checkpoint.h - a trained model as its files hold it ----------------------------------------------------------===//
//
// A configuration, tensors, a tokenizer, a chat template and the makers' settings for choosing tokens, whatever files they lie
// in. One reader for each kind of file stands behind this (gguf/, folder/); families (compiler/architectures) give the names by
// which each kind calls its values and tensors. What was asked for counts as read; Rules.h judges the rest.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/CompileError.h"
#include "compiler/checkpoints/Setting.h"
#include "runtime/plan/Plan.h"
#include "runtime/quant/Format.h"
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// A tensor in a mapped file; a view that lives as long as its checkpoint.
struct StoredTensor {
  std::string where; // file and name, for errors: "x/model.safetensors: tensor lm_head.weight"
  Format format;
  std::vector<int64_t> shape;       // the slowest dimension first: [rows, columns] or [elements]; each > 0
  std::span<const std::byte> bytes; // rows() rows of traits(format).rowBytes(columns()) bytes, not aligned in every file

  int64_t columns() const { return shape.back(); }
  int64_t rows() const { return static_cast<int64_t>(bytes.size()) / traits(format).rowBytes(columns()); }
  const std::byte *row(int64_t r) const { return bytes.data() + r * traits(format).rowBytes(columns()); }
};

/// A tensor of plain bytes: a part of weights in a format of their own. A view that lives as long as its checkpoint.
struct StoredBytes {
  std::string where;
  std::vector<int64_t> shape;       // the slowest dimension first; each > 0
  std::span<const std::byte> bytes; // one for each element
};

/// What a plan needs to know of a model's tokens. Ids are -1 where there is none.
struct TokenizerFiles {
  std::string json; // a tokenizer.json, as third_party/text reads it
  int64_t bos = -1, eos = -1;
  bool addBos = false;            // a prompt begins with BOS
  std::vector<int64_t> endOfText; // every id that ends generation, in order
};

/// What a file may say without being read. `name`: `*` stands for any text, a first `@` for where the architecture's own values
/// stand. `harmless`: values that change nothing, parted by `|`; "*": every value. The first rule that fits counts. `why` says
/// why it is harmless or, of those with values, what all others would need; a colon in it parts off what to do.
struct Rule {
  std::string_view name, harmless, why;
};

/// Any number of threads may read one. Every function throws CompileError, or the error of its reader, of one line.
class Checkpoint {
public:
  enum class Kind { Gguf, Folder };
  virtual ~Checkpoint() = default;

  virtual Kind kind() const = 0;
  virtual std::string name() const = 0;         // the path as given
  virtual std::string architecture() const = 0; // as it calls itself: general.architecture, model_type
  virtual std::string again() const = 0;        // what to do about one that is wrong: "convert the model again"

  /// A value of the configuration by its whole key. nullopt where the file does not speak of it.
  virtual std::optional<Setting> setting(std::string_view key) const = 0;
  /// A key for errors, after which comes what is wrong with it: "m.gguf: metadata llama.block_count".
  virtual std::string shownKey(std::string_view key) const = 0;
  virtual std::optional<StoredTensor> tensor(std::string_view name) const = 0;
  virtual std::optional<StoredBytes> bytes(std::string_view) const { return std::nullopt; } // nullopt: no tensor of bytes
  /// Whether it is there, without counting as read.
  virtual bool has(std::string_view tensor) const = 0;
  /// The tensor for errors, there or not.
  virtual std::string shownTensor(std::string_view name) const = 0;

  virtual int64_t tokenCount() const = 0; // ids of the tokenizer
  /// `continues`: whether the model goes on from texts; others have tokens around a text in the tokenizer's own rules, and no
  /// ends.
  virtual TokenizerFiles tokenizer(bool continues) const = 0;
  virtual std::string chatTemplate() const = 0; // empty where it has none
  virtual GenerationSettings generationSettings() const = 0;

  /// What nobody asked for, in the files' order, and what this kind of file may say all the same.
  virtual std::vector<std::string> unreadSettings() const = 0;
  virtual std::vector<std::string> unreadTensors() const = 0;
  virtual std::span<const Rule> settingRules() const = 0;
  virtual std::span<const Rule> tensorRules() const = 0;
  /// Whether a setting belongs to the tokenizer, which is read last.
  virtual bool ofTokenizer(std::string_view key) const = 0;
};

/// A GGUF file, the first part of a split one, or a folder with config.json.
std::unique_ptr<Checkpoint> openCheckpoint(const std::filesystem::path &path);

} // namespace heddle

//===- ModelSource.h - what equations read of a checkpoint ----------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Rules.h"
#include "compiler/checkpoints/WeightExpression.h"
#include "compiler/graph/Family.h"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// A weight as the plan will hold it: its shape with the fastest dimension last, [rows, columns] or [elements], and the
/// expression that makes it, empty for the file's tensor of its name as it is.
struct TensorInfo {
  Format format;
  std::vector<int64_t> shape;
  std::string from;
};

/// A checkpoint by the names of its family. Keys and tensors are llama.cpp's ("attention.head_count", "blk.0.attn_q.weight"),
/// whatever the files call them; messages say what the files call them. Getters throw CompileError naming the key when it has
/// another type. Vectors are f32, and matrices as they are stored or, where `quantize` is given and their rows divide into its
/// blocks, of that format.
class ModelSource {
public:
  ModelSource(const Checkpoint &checkpoint, const Family &family, std::optional<Format> quantize = std::nullopt);

  std::string name() const { return checkpoint_.name(); } // for messages and the plan
  std::string title() const; // for people: the file's or folder's own name, and what it was quantised to
  std::string architecture() const { return family_.name; }
  std::string again() const { return checkpoint_.again(); } // what to do about a wrong file
  const Checkpoint &checkpoint() const { return checkpoint_; }
  const Family &family() const { return family_; }
  FamilyRules rules() const { return {family_.name, root_, family_.settingRules, family_.tensorRules}; }

  /// A list of one value per layer is that value; of different ones, an error.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  /// A list of booleans, of integers that are 0 or not, or of kinds of attention, of which "sliding_attention" is true; nullopt
  /// for a single value too.
  std::optional<std::vector<bool>> flags(std::string_view key) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const; // a list
  /// A list of numbers.
  std::optional<std::vector<double>> numbers(std::string_view key) const;
  std::optional<TensorInfo> tensor(std::string_view name) const;
  std::vector<float> vectorValues(std::string_view tensor) const;
  int64_t vocabularySize() const;
  int64_t positions() const; // that a text can have
  /// Whether logits are products with the embedding table: GGUF files then have no output.weight.
  bool tiedHead() const;

  /// A key as the file spells it, a tensor with the file that should have it, and words that hold keys in the file's spelling.
  std::string called(std::string_view key) const;
  std::string shownTensor(std::string_view name) const;
  std::string inItsWords(std::string_view text) const;
  /// Throws "FILE: metadata llama.KEY WHAT".
  [[noreturn]] void refuse(std::string_view key, const std::string &what) const;
  int64_t requiredInteger(std::string_view key, int64_t low, int64_t high) const;
  /// nullopt where the key is missing.
  std::optional<int64_t> integerWithin(std::string_view key, int64_t low, int64_t high) const;
  std::optional<double> numberWithin(std::string_view key, double low, double high) const; // NaN is never within

private:
  bool isGguf() const { return checkpoint_.kind() == Checkpoint::Kind::Gguf; }
  const ValueName *declared(std::string_view key) const;
  std::vector<std::string> spellings(std::string_view key) const;
  std::optional<Setting> value(std::string_view key) const;
  std::optional<Setting::List> list(std::string_view key) const;
  struct Named {
    const WeightName *weight = nullptr; // null: the family has no such
    std::string place;                  // of its layer, in folders
    std::string_view ending;            // ".weight", ".bias"
  };
  Named named(std::string_view name) const;
  std::string folderName(const Named &named) const;
  std::string storedName(std::string_view name, std::string_view *how) const;
  std::string expression(std::string_view how, const std::string &tensor) const;

  const Checkpoint &checkpoint_;
  const Family &family_;
  const ModelType *type_ = nullptr; // of a folder
  std::string root_;                // before keys: "llama.", "text_config."
  std::string place_;               // what "model." of a folder's tensors is
  std::optional<Format> quantize_;
};

} // namespace heddle

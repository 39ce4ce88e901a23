//===- ModelSource.h - what an architecture reads of a model file ---------------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// Compilation failed; what() is one line: what, where, what to do.
struct CompileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A tensor of the file: its shape with the fastest dimension last, so [rows, columns] or [elements].
struct TensorInfo {
  Format format;
  std::vector<int64_t> shape;
};

/// Hyperparameters and tensor shapes of a model, whatever file holds them. Keys are GGUF's, without the architecture's prefix
/// ("attention.head_count"); getters throw CompileError naming the key when it has another type. What was asked for counts as
/// read: of the rest, what is not known to be harmless is refused once the graph stands.
class ModelSource {
public:
  virtual ~ModelSource() = default;
  virtual std::string name() const = 0;         // for messages and the plan
  virtual std::string architecture() const = 0; // "llama", "gemma3"
  /// A list of one value per layer is that value; of different ones, an error.
  virtual std::optional<int64_t> integer(std::string_view key) const = 0;
  virtual std::optional<double> number(std::string_view key) const = 0;
  virtual std::optional<std::string> text(std::string_view key) const = 0;
  /// A list of booleans, or of integers that are 0 or not; nullopt for a single value too.
  virtual std::optional<std::vector<bool>> flags(std::string_view key) const = 0;
  virtual std::optional<TensorInfo> tensor(std::string_view name) const = 0;
  virtual std::vector<float> vectorValues(std::string_view tensor) const = 0; // of an F32 vector (RoPE factors)
  virtual int64_t vocabularySize() const = 0;

  /// Throws "FILE: metadata llama.KEY WHAT".
  [[noreturn]] void refuse(std::string_view key, const std::string &what) const;
  int64_t requiredInteger(std::string_view key, int64_t low, int64_t high) const;
  /// nullopt where the key is missing.
  std::optional<int64_t> integerWithin(std::string_view key, int64_t low, int64_t high) const;
  std::optional<double> numberWithin(std::string_view key, double low, double high) const; // NaN is never within
};

} // namespace heddle

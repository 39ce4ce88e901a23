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

/// A tensor of the file: rows × columns, or a vector with rows = 1.
struct TensorInfo {
  Format format;
  int64_t rows, columns;
  bool vector;
};

/// Hyperparameters and tensor shapes of a model, whatever file holds them. Keys are GGUF's, without the architecture's prefix
/// ("attention.head_count"); getters throw CompileError naming the key when it has another type.
class ModelSource {
public:
  virtual ~ModelSource() = default;
  virtual std::string name() const = 0;         // for messages and the plan
  virtual std::string architecture() const = 0; // "llama", "gemma3"
  virtual std::optional<int64_t> integer(std::string_view key) const = 0;
  virtual std::optional<double> number(std::string_view key) const = 0;
  virtual std::optional<TensorInfo> tensor(std::string_view name) const = 0;
  virtual std::vector<float> vectorValues(std::string_view tensor) const = 0; // of an F32 vector (RoPE factors)
  virtual int64_t vocabularySize() const = 0;

  int64_t requiredInteger(std::string_view key, int64_t low, int64_t high) const {
    auto value = integer(key);
    if (!value)
      throw CompileError(name() + ": metadata " + architecture() + "." + std::string(key) +
                         " is missing: convert the model again");
    if (*value < low || *value > high)
      throw CompileError(name() + ": metadata " + architecture() + "." + std::string(key) + " is " + std::to_string(*value) +
                         "; it must be in " + std::to_string(low) + " to " + std::to_string(high));
    return *value;
  }
};

} // namespace heddle

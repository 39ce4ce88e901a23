//===- CompileError.h - why a model cannot be compiled --------------------------------------------------------------===//
#pragma once
#include <stdexcept>

namespace heddle {

/// Compilation failed; what() is one line: what, where, what to do.
struct CompileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace heddle

//===- Entry.h - the way into libheddle-compiler.so -------------------------------------------------------------------===//
//
// `heddle` opens the compiler when there is something to compile, and only then: with MLIR and LLVM it takes 60 MB of memory,
// which running a cached plan has no use for. Library and program are of one build: structs and exceptions cross between them.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/Compile.h"

namespace heddle {

/// The functions of compiler/Compile.h, which says what they do.
struct CompilerEntry {
  CompileReport (*compileModel)(const CompileOptions &options);
  std::string (*emitStage)(const CompileOptions &options, std::string_view stage);
  size_t optionsBytes; // of CompileOptions: a program of another build would hand over another struct
};

/// The name and the type of the one symbol that is asked for.
constexpr const char *kCompilerEntry = "heddleCompilerEntry";
using GetCompilerEntry = const CompilerEntry *();

} // namespace heddle

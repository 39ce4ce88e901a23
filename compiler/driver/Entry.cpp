//===- Entry.cpp - what libheddle-compiler.so gives --------------------------------------------------===//
#include "compiler/driver/Entry.h"

extern "C" __attribute__((visibility("default"))) const heddle::CompilerEntry *heddleCompilerEntry() {
  static constexpr heddle::CompilerEntry entry{heddle::compileModel, heddle::emitStage, sizeof(heddle::CompileOptions)};
  return &entry;
}

//===- Entry.cpp - the one symbol that libheddle-compiler.so exports --------------------------------------------------===//
#include "compiler/driver/Entry.h"

extern "C" __attribute__((visibility("default"))) const heddle::CompilerEntry *heddleCompilerEntry() {
  static constexpr heddle::CompilerEntry entry{heddle::compileModel, heddle::emitStage};
  return &entry;
}

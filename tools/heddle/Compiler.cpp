//===- Compiler.cpp - compiler/Compile.h by way of libheddle-compiler.so ---------------------------------------------===//
#include "compiler/driver/Entry.h"
#include "runtime/host/Resources.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Paths.h"
#include <dlfcn.h>

namespace heddle {

static const CompilerEntry &compiler() {
  static const CompilerEntry *const entry = [] {
    std::string path = tool::compilerLibrary().string();
    void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); // stays open: LLVM does not unload
    auto get = library ? reinterpret_cast<GetCompilerEntry *>(dlsym(library, kCompilerEntry)) : nullptr;
    if (!get) {
      const Memory memory = usableMemory();
      const bool limited = memory.available < memory.shared; // by a limit of this process
      throw tool::Failure("the compiler cannot be opened: " + std::string(dlerror()) + "; " +
                          (limited ? "raise " + memory.limit : "build it (cmake --build --preset release)") +
                          " or give a compiled plan");
    }
    if (get()->optionsBytes != sizeof(CompileOptions))
      throw tool::Failure(path + " and " + tool::programFile().string() +
                          " are of different builds; build both: cmake --build --preset release");
    return get();
  }();
  return *entry;
}

CompileReport compileModel(const CompileOptions &options) { return compiler().compileModel(options); }
std::string emitStage(const CompileOptions &options, std::string_view stage) { return compiler().emitStage(options, stage); }

} // namespace heddle

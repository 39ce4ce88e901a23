//===- Paths.cpp - where Heddle's own files lie -------------------------------------------------------------------------===//
#include "tools/heddle/Paths.h"
#include "tools/heddle/Command.h"

namespace heddle::tool {
namespace fs = std::filesystem;

fs::path programFile() {
  std::error_code error;
  fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error)
    throw Failure("/proc/self/exe cannot be read: " + error.message() + "; mount /proc");
  return self;
}

fs::path workerBinary() { return programFile().parent_path() / "heddle-worker"; }

fs::path compilerLibrary() { return programFile().parent_path().parent_path() / "lib/libheddle-compiler.so"; }

} // namespace heddle::tool

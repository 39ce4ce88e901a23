//===- Paths.h - where Heddle's own files lie ---------------------------------------------------------------------------===//
#pragma once
#include <filesystem>

namespace heddle::tool {

std::filesystem::path programFile();     // this executable
std::filesystem::path workerBinary();    // heddle-worker, beside it
std::filesystem::path compilerLibrary(); // libheddle-compiler.so, in lib/ beside the program's folder

} // namespace heddle::tool

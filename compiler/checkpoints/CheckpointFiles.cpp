//===- CheckpointFiles.cpp - which files a checkpoint is made of ----------------------------------------------------===//
#include "compiler/checkpoints/CheckpointFiles.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace heddle {
namespace fs = std::filesystem;

constexpr size_t kPartDigits = 5;

/// NAME-00001-of-00003.gguf is {"NAME", 1, 3}.
struct PartName {
  std::string stem;
  int number = 0, count = 0;
};

static bool readDigits(std::string &name, int &value) {
  if (name.size() < kPartDigits)
    return false;
  const std::string digits = name.substr(name.size() - kPartDigits);
  if (digits.find_first_not_of("0123456789") != std::string::npos)
    return false;
  value = std::atoi(digits.c_str());
  name.resize(name.size() - kPartDigits);
  return true;
}

static bool dropEnd(std::string &name, const std::string &end) {
  if (!name.ends_with(end))
    return false;
  name.resize(name.size() - end.size());
  return true;
}

static bool readPartName(std::string name, PartName &part) {
  bool good = dropEnd(name, ".gguf") && readDigits(name, part.count) && dropEnd(name, "-of-") && readDigits(name, part.number) &&
              dropEnd(name, "-");
  part.stem = name;
  return good && part.count >= 1 && part.number >= 1 && part.number <= part.count;
}

std::vector<fs::path> ggufParts(const fs::path &file) {
  PartName part;
  if (!readPartName(file.filename().string(), part))
    return {file};
  std::vector<fs::path> parts;
  for (int i = 1; i <= part.count; ++i) {
    char end[32];
    std::snprintf(end, sizeof end, "-%05d-of-%05d.gguf", i, part.count);
    parts.push_back(file.parent_path() / (part.stem + end));
  }
  return parts;
}

std::vector<fs::path> checkpointFiles(const fs::path &checkpoint) {
  std::error_code error;
  std::vector<fs::path> files;
  if (!fs::is_directory(checkpoint, error)) {
    for (const fs::path &part : ggufParts(checkpoint))
      if (part == checkpoint || fs::exists(part, error))
        files.push_back(part);
    return files;
  }
  for (fs::directory_iterator entry(checkpoint, error), end; !error && entry != end; entry.increment(error)) {
    const std::string ending = entry->path().extension().string();
    std::error_code ignored;
    // sentence-transformers' modules have folders of their own: 1_Pooling/config.json
    if (const fs::path module = entry->path() / "config.json";
        entry->is_directory(ignored) && fs::is_regular_file(module, ignored))
      files.push_back(module);
    if ((ending == ".json" || ending == ".jinja" || ending == ".safetensors") && entry->is_regular_file(ignored))
      files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

} // namespace heddle

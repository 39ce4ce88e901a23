//===- Host.cpp - what this host offers --------------------------------------------------------------------------------===//
#include "tools/heddle/Host.h"
#include <fstream>

namespace heddle::tool {

std::string cpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown";
}

std::string transparentHugePages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  for (std::string word; file >> word;)
    if (word.size() > 2 && word.front() == '[')
      return word.substr(1, word.size() - 2);
  return "";
}

} // namespace heddle::tool

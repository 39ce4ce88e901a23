//===- FakeHost.h - a made-up /proc and /sys ----------------------------------------------------------------------------===//
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace heddle::test {

/// A folder that goes with it.
class FakeHost {
public:
  FakeHost() {
    std::string name = (std::filesystem::temp_directory_path() / "heddle-host-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw std::runtime_error("cannot make " + name);
    root_ = name;
  }
  ~FakeHost() { std::filesystem::remove_all(root_); }
  const std::filesystem::path &root() const { return root_; }
  /// `path` is absolute, as on the real host.
  void write(const std::string &path, const std::string &text) const {
    std::filesystem::path file = root_ / path.substr(1);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  /// As a message names it.
  std::string named(const std::string &path) const { return (root_ / path.substr(1)).string(); }

private:
  std::filesystem::path root_;
};

} // namespace heddle::test

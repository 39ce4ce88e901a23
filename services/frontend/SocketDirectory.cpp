//===- SocketDirectory.cpp -----------------------------------------------------------------------------------------===//
#include "services/frontend/SocketDirectory.h"
#include "services/frontend/GroupOptions.h"

namespace heddle {
namespace {

/// A Unix socket's path has at most 107 characters.
constexpr size_t kLongestBase = 70;

} // namespace

SocketDirectory::SocketDirectory() try : folder_("heddle-link", temporaryBases(), kLongestBase), socket_(folder_.path() / "s") {
} catch (const std::runtime_error &error) {
  throw GroupError(error.what());
}

std::filesystem::path SocketDirectory::makeSession(uint64_t epoch) const {
  std::filesystem::path session = folder_.path() / ("e" + std::to_string(epoch));
  std::error_code error;
  std::filesystem::create_directory(session, error);
  if (error)
    throw GroupError(session.string() + " cannot be created: " + error.message() + "; start heddle again");
  return session;
}

void SocketDirectory::removeSession(uint64_t epoch) const {
  std::error_code ignored;
  std::filesystem::remove_all(folder_.path() / ("e" + std::to_string(epoch)), ignored);
}

} // namespace heddle

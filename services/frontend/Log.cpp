//===- Log.cpp -----------------------------------------------------------------------------------------------------===//
#include "services/frontend/Log.h"
#include "runtime/text/Utf8.h"
#include <atomic>
#include <unistd.h>

namespace heddle {
namespace {

std::atomic<LogLevel> wanted = LogLevel::Info;

} // namespace

std::optional<LogLevel> logLevelByName(std::string_view name) {
  if (name == "error")
    return LogLevel::Error;
  if (name == "warning")
    return LogLevel::Warning;
  if (name == "info")
    return LogLevel::Info;
  if (name == "debug")
    return LogLevel::Debug;
  return std::nullopt;
}

void setLogLevel(LogLevel level) { wanted = level; }
bool logs(LogLevel level) { return level <= wanted; }

void log(LogLevel level, std::string_view text) {
  if (!logs(level))
    return;
  std::string line = "heddle: " + printable(text) + "\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

} // namespace heddle

//===- Log.h - the server's notes on stderr -------------------------------------------------------------------------===//
#pragma once
#include <optional>
#include <string_view>

namespace heddle {

enum class LogLevel { Error, Warning, Info, Debug };
/// "error", "warning", "info" or "debug".
std::optional<LogLevel> logLevelByName(std::string_view name);

/// What is less urgent than `level` is not said; Info at first. For the whole process; any thread.
void setLogLevel(LogLevel level);
bool logs(LogLevel level);
/// One line, "heddle: TEXT", in one write. Control characters and broken UTF-8 in it are escaped. A reader that went away is no
/// error. Any thread.
void log(LogLevel level, std::string_view text);

} // namespace heddle

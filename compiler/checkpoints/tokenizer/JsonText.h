//===- JsonText.h - long lists of strings as JSON --------------------------------------------------------------------===//
// A vocabulary and its merges are a million strings; building a JSON tree of them first would take longer than the rest.
#pragma once
#include <string>
#include <string_view>

namespace heddle {

/// Appends `text`, which is UTF-8, as a JSON string.
void appendJsonString(std::string &out, std::string_view text);

} // namespace heddle

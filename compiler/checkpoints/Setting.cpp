//===- Setting.cpp - values as people read them ---------------------------------------------------------------------===//
#include "compiler/checkpoints/Setting.h"
#include <cstdio>

namespace heddle {

std::string shownSetting(const Setting &setting) {
  if (setting.isNull())
    return "null";
  if (const bool *flag = setting.as<bool>())
    return *flag ? "true" : "false";
  if (const int64_t *integer = setting.as<int64_t>())
    return std::to_string(*integer);
  if (const double *number = setting.as<double>()) {
    char text[40];
    std::snprintf(text, sizeof text, "%.7g", *number);
    return text;
  }
  if (const std::string *text = setting.as<std::string>())
    return *text;
  const Setting::List &list = *setting.as<Setting::List>();
  std::string out = "[";
  for (size_t i = 0; i < list.size() && i < 8; ++i)
    out += (i ? ", " : "") + shownSetting(list[i]);
  return out + (list.size() > 8 ? ", …]" : "]");
}

std::string quotedForError(std::string_view text) {
  static const char *hex = "0123456789abcdef";
  std::string out = "'";
  for (char ch : text.substr(0, 64)) {
    auto c = static_cast<unsigned char>(ch);
    if (c >= 32 && c < 127 && c != '\\' && c != '\'')
      out += ch;
    else
      (((out += "\\x") += hex[c >> 4]) += hex[c & 15]);
  }
  return out + (text.size() > 64 ? "…'" : "'");
}

} // namespace heddle

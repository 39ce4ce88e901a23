//===- Setting.h - one value of a model's configuration -------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace heddle {

/// A value with its type: nothing (JSON's null: said to be absent), a truth value, a whole number, a number, a text, or a list of
/// such. Trees of objects are keys with dots: "rope_parameters.rope_theta".
struct Setting {
  using List = std::vector<Setting>;
  std::variant<std::monostate, bool, int64_t, double, std::string, List> value;

  template <class T> const T *as() const { return std::get_if<T>(&value); }
  bool isNull() const { return value.index() == 0; }
};

/// For people and for rules: a number, a text as it is, "[1, 2, 3]" cut at 8 entries.
std::string shownSetting(const Setting &setting);

/// Text of a file made fit for a one-line message: quoted, control and broken characters escaped, cut at 64.
std::string quotedForError(std::string_view text);

} // namespace heddle

//===- StageText.cpp -------------------------------------------------------------------------------------------------===//
#include "compiler/driver/StageText.h"
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace heddle {
namespace {

bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '$' ||
         c == '-';
}

/// Walks the text once. Strings and comments hold no values.
class Scan {
public:
  explicit Scan(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (text_.substr(at_).starts_with("//"))
        at_ = std::min(text_.find('\n', at_), text_.size());
      else if (text_[at_] == '"')
        skipString();
      else if (text_.substr(at_).starts_with("func.func") && depth_ <= 1)
        header_ = true, parens_ = 0, at_ += 9, scopes_.assign(1, {}), inside_.clear();
      else if (text_[at_] == '%') {
        if (std::string problem = value(); !problem.empty())
          return problem;
      } else
        character(text_[at_++]);
    }
    return {};
  }

private:
  void skipString() {
    for (++at_; at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n'; ++at_)
      at_ += text_[at_] == '\\' && at_ + 1 < text_.size();
    at_ += at_ < text_.size() && text_[at_] == '"';
  }

  void character(char c) {
    if (c == '\n')
      ++line_, results_ = true, block_ = false;
    else if (c == '^')
      block_ = true;
    else if (c == '(')
      ++parens_;
    else if (c == ')')
      parens_ -= parens_ > 0;
    else if ((c == '{' || c == '}') && !(header_ && parens_)) { // not of an argument's attributes
      depth_ = c == '{' ? depth_ + 1 : depth_ - (depth_ > 0);
      if (c == '{')
        scopes_.push_back(std::exchange(inside_, {}));
      else if (!scopes_.empty())
        scopes_.pop_back();
      if (depth_ >= 2)
        header_ = false;
    }
    if (c != ' ' && c != '\n' && c != ',')
      results_ = false;
  }

  bool isDefined(std::string_view name) const {
    return std::ranges::any_of(scopes_, [&](const auto &scope) { return scope.contains(name); });
  }

  /// %name, %name:3 or %name#1. A definition stands in the list that begins a line, or before `:` or ` =`: then it is an argument
  /// of a function or a loop, and known inside of the braces that follow, or of a block.
  std::string value() {
    size_t end = at_ + 1;
    while (end < text_.size() && isNameCharacter(text_[end]))
      ++end;
    const std::string_view name = text_.substr(at_, end - at_);
    size_t next = end;
    bool counted = next < text_.size() && text_[next] == ':';
    while (next < text_.size() && text_[next] == ' ')
      ++next;
    const bool assigned = next < text_.size() && text_[next] == '=' && (next + 1 >= text_.size() || text_[next + 1] != '=');
    const bool result = results_ && resultList(end), defines = results_ ? result : counted || assigned;
    at_ = end;
    if (depth_ <= 1 && !header_)
      return "line " + std::to_string(line_) + ": a value stands outside of all functions: the text has lost a line or a brace";
    if (defines)
      (scopes_.empty() || !(result || block_) ? inside_ : scopes_.back()).insert(name);
    else if (!isDefined(name))
      return "line " + std::to_string(line_) + ": " + std::string(name.substr(0, 60)) +
             " is used before it is defined, or outside of where it is";
    return {};
  }

  /// Whether the list of values that the line begins with is followed by `=`.
  bool resultList(size_t from) const {
    const size_t end = std::min(text_.find('\n', from), text_.size());
    for (size_t i = from; i < end; ++i) {
      if (text_[i] == '=')
        return true;
      if (!isNameCharacter(text_[i]) && text_[i] != '%' && text_[i] != ',' && text_[i] != ':' && text_[i] != ' ')
        return false;
    }
    return false;
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1, depth_ = 0, parens_ = 0;
  bool header_ = false, results_ = true;           // of a function, up to its body; at the beginning of a line
  bool block_ = false;                             // on the line of a block's name
  std::vector<std::set<std::string_view>> scopes_; // of this function, by braces
  std::set<std::string_view> inside_;              // to be defined by the next brace
};

} // namespace

std::string misplacedValue(std::string_view text) { return Scan(text).run(); }

} // namespace heddle

//===- WeightExpression.cpp - reads the text of a weight expression -------------------------------------------------===//
#include "compiler/checkpoints/WeightExpression.h"
#include "compiler/checkpoints/WeightNodes.h"
#include <charconv>
#include <stdexcept>

namespace heddle {
namespace {

constexpr int kDeepest = 32;
constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/+";

class Parser {
public:
  Parser(std::string_view text, const Checkpoint &checkpoint) : text_(text), checkpoint_(checkpoint) {}

  WeightPointer all() {
    WeightPointer result = expression(0);
    skipSpaces();
    if (at_ != text_.size())
      fail("ends before its last word");
    return result;
  }

private:
  [[noreturn]] void fail(const std::string &what) const {
    throw CompileError(checkpoint_.name() + ": the weight " + quotedForError(text_) + " cannot be made: it " + what +
                       ": mend the stage");
  }
  void skipSpaces() {
    while (at_ < text_.size() && text_[at_] == ' ')
      ++at_;
  }
  bool accept(char c) {
    skipSpaces();
    if (at_ == text_.size() || text_[at_] != c)
      return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c))
      fail("lacks a '" + std::string(1, c) + "' at character " + std::to_string(at_));
  }
  std::string word() {
    skipSpaces();
    if (accept('\'')) {
      size_t end = text_.find('\'', at_);
      if (end == std::string_view::npos)
        fail("has a name without an end");
      std::string name(text_.substr(at_, end - at_));
      at_ = end + 1;
      return name;
    }
    size_t end = std::min(text_.find_first_not_of(kPlain, at_), text_.size());
    if (end == at_)
      fail("lacks a word at character " + std::to_string(at_));
    std::string name(text_.substr(at_, end - at_));
    at_ = end;
    return name;
  }
  template <class T> T number() {
    expect(',');
    const std::string text = word();
    T value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      fail("has " + quotedForError(text) + " where a number belongs");
    return value;
  }

  WeightPointer expression(int depth) {
    if (depth > kDeepest)
      fail("is nested deeper than " + std::to_string(kDeepest));
    skipSpaces();
    const bool quoted = at_ < text_.size() && text_[at_] == '\'';
    const std::string name = word();
    if (quoted || !accept('('))
      return tensor(name);
    WeightPointer x = expression(depth + 1);
    try {
      x = apply(name, std::move(x), depth);
    } catch (const std::invalid_argument &error) {
      fail("has " + name + "(…), but " + error.what());
    }
    expect(')');
    return x;
  }

  WeightPointer apply(const std::string &name, WeightPointer x, int depth) {
    if (name == "rows" || name == "columns") {
      auto begin = number<int64_t>(), end = number<int64_t>();
      if (name == "columns")
        return weights::columns(std::move(x), begin, end);
      skipSpaces();
      return weights::rows(std::move(x), begin, end, at_ < text_.size() && text_[at_] == ',' ? number<int64_t>() : 1);
    }
    if (name == "transpose")
      return weights::transpose(std::move(x));
    if (name == "permute")
      return weights::permute(std::move(x), number<int64_t>());
    if (name == "add")
      return weights::add(std::move(x), number<double>());
    if (name == "stack") {
      std::vector<WeightPointer> parts{std::move(x)};
      while (accept(','))
        parts.push_back(expression(depth + 1));
      return weights::stack(std::move(parts));
    }
    if (auto format = formatByName(name))
      return weights::cast(std::move(x), *format);
    fail("has the unknown word " + quotedForError(name) +
         " (known: rows, columns, transpose, permute, stack, add, and names of formats)");
  }

  WeightPointer tensor(const std::string &name) {
    if (auto stored = checkpoint_.tensor(name))
      return weights::source(std::move(*stored));
    throw CompileError(checkpoint_.shownTensor(name) + " is missing: the model is incomplete, " + checkpoint_.again());
  }

  std::string_view text_;
  const Checkpoint &checkpoint_;
  size_t at_ = 0;
};

} // namespace

WeightPointer parseWeight(std::string_view text, const Checkpoint &checkpoint) { return Parser(text, checkpoint).all(); }

std::string weightName(std::string_view tensor) {
  if (!tensor.empty() && tensor.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(tensor);
  return "'" + std::string(tensor) + "'";
}

} // namespace heddle

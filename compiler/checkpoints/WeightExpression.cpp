//===- WeightExpression.cpp - reads the text of a weight expression -------------------------------------------------===//
#include "compiler/checkpoints/WeightExpression.h"
#include "compiler/checkpoints/WeightNodes.h"
#include <charconv>
#include <stdexcept>
#include <type_traits>

namespace heddle {
namespace {

constexpr int kDeepest = 32;
constexpr int64_t kEnd = -1, kMostExperts = 4096; // kEnd: the word "end", behind the last
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
    if constexpr (std::is_integral_v<T>)
      if (text == "end")
        return kEnd;
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
    WeightPointer x = name == "experts" || name == "mxfp4_blocks" ? nullptr : expression(depth + 1);
    try {
      x = x ? apply(name, std::move(x), depth) : name == "experts" ? experts() : mxfp4Blocks();
    } catch (const std::invalid_argument &error) {
      fail("has " + name + "(…), but " + error.what());
    }
    expect(')');
    return x;
  }

  WeightPointer apply(const std::string &name, WeightPointer x, int depth) {
    if (name == "rows" || name == "columns") {
      auto begin = number<int64_t>(), end = number<int64_t>();
      skipSpaces();
      const int64_t step = at_ < text_.size() && text_[at_] == ',' ? number<int64_t>() : 1;
      const std::vector<int64_t> &shape = x->shape();
      if (end == kEnd)
        end = name == "columns" || shape.size() == 1 ? shape.back() : shape[shape.size() - 2];
      return name == "columns" ? weights::columns(std::move(x), begin, end, step) : weights::rows(std::move(x), begin, end, step);
    }
    if (name == "flatten")
      return weights::flatten(std::move(x));
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
         " (known: rows, columns, transpose, permute, stack, experts, flatten, mxfp4_blocks, add, and names of formats)");
  }

  /// A matrix of each expert, whose number `#` stands for.
  WeightPointer experts() {
    const std::string pattern = word();
    const auto count = number<int64_t>();
    const size_t place = pattern.find('#');
    if (place == std::string::npos || count < 1 || count > kMostExperts)
      fail("has experts(…) without a # for their number, or not 1 to " + std::to_string(kMostExperts) + " of them");
    std::vector<WeightPointer> each;
    for (int64_t number = 0; number < count; ++number)
      each.push_back(tensor(std::string(pattern).replace(place, 1, std::to_string(number))));
    return weights::experts(std::move(each));
  }

  /// Codes in NAME_blocks and exponents in NAME_scales, as gpt-oss's folders have them.
  WeightPointer mxfp4Blocks() {
    constexpr std::string_view kBlocks = "_blocks";
    const std::string name = word();
    if (!name.ends_with(kBlocks))
      fail("has mxfp4_blocks(…) of a tensor whose name does not end in _blocks");
    const std::string scales = name.substr(0, name.size() - kBlocks.size()) + "_scales";
    auto codes = checkpoint_.bytes(name), exponents = checkpoint_.bytes(scales);
    if (!codes || !exponents)
      throw CompileError(checkpoint_.shownTensor(codes ? scales : name) +
                         " is missing or not of bytes: the model is incomplete, " + checkpoint_.again());
    return weights::mxfp4(std::move(*codes), std::move(*exponents));
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

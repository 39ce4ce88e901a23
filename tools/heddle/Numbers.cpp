//===- Numbers.cpp - numbers as people write them on a command line -----------------------------------------------------===//
#include "tools/heddle/Numbers.h"
#include <algorithm>
#include <charconv>
#include <cmath>

namespace heddle::tool {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; } // isdigit asks the locale

std::string written(Integer value) { return (value.negative ? "-" : "") + std::to_string(value.magnitude); }

std::string written(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr}; // the shortest that reads back the same
}

/// Is a < b?
bool less(Integer a, Integer b) {
  if (a.negative != b.negative)
    return a.negative && (a.magnitude != 0 || b.magnitude != 0);
  return a.negative ? a.magnitude > b.magnitude : a.magnitude < b.magnitude;
}

[[noreturn]] void refuse(std::string_view option, const std::string &what, std::string_view text) {
  throw UsageError(std::string(option) + ": must be " + what + ", not " + std::string(text));
}

/// The ends of 64 bits are nobody's bounds: they are only said to who went past them.
[[noreturn]] void outside(std::string_view option, Integer low, Integer high, bool below, std::string_view text) {
  constexpr uint64_t kEnd = uint64_t{1} << 63;
  if (below && high.magnitude >= kEnd - 1)
    refuse(option, "at least " + written(low), text);
  if (!below && low.negative && low.magnitude == kEnd)
    refuse(option, "at most " + written(high), text);
  refuse(option, "from " + written(low) + " to " + written(high), text);
}

} // namespace

Integer parseInteger(std::string_view option, std::string_view text, Integer low, Integer high) {
  std::string_view digits = text;
  Integer value{text.starts_with('-'), 0};
  if (text.starts_with('-') || text.starts_with('+'))
    digits.remove_prefix(1);
  if (digits.empty() || !std::ranges::all_of(digits, isDigit))
    throw UsageError(std::string(option) + ": '" + std::string(text) +
                     "' is no whole number; write it in decimal digits, such as 8");
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value.magnitude);
  bool tooLong = error != std::errc(); // for 64 bits
  if (tooLong || less(value, low) || less(high, value))
    outside(option, low, high, tooLong ? value.negative : less(value, low), text);
  return value;
}

double parseReal(std::string_view option, std::string_view text, double low, double high) {
  std::string_view digits = text;
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-')
    digits.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || digits.empty() || error == std::errc::invalid_argument || !std::isfinite(value))
    throw UsageError(std::string(option) + ": '" + std::string(text) + "' is no number; write it in decimal, such as 0.8");
  if (error == std::errc::result_out_of_range)
    throw UsageError(std::string(option) + ": " + std::string(text) + " is too large or too small for a number of 64 bits");
  if (!(value >= low && value <= high))
    refuse(option, "from " + written(low) + " to " + written(high), text);
  return value;
}

uint64_t parseSize(std::string_view option, std::string_view text) {
  const auto fail = [&]() -> uint64_t {
    throw UsageError(std::string(option) + ": '" + std::string(text) +
                     "' is no size; write bytes, or a number with K, M, G or T, such as 512M");
  };
  // The number as digits / 10^decimals, so that nothing is rounded on the way.
  constexpr uint64_t kMost = 1'000'000'000'000'000'000;
  uint64_t digits = 0, scale = 1;
  size_t at = 0;
  bool point = false, any = false, many = false; // more digits than can be counted with
  for (; at < text.size() && (isDigit(text[at]) || (text[at] == '.' && !point && any)); ++at) {
    if (text[at] == '.') {
      point = true;
      continue;
    }
    any = true;
    many |= digits >= kMost / 10 || scale >= kMost / 10;
    if (many)
      continue;
    digits = digits * 10 + uint64_t(text[at] - '0');
    scale *= point ? 10 : 1;
  }
  if (!any || text[at - 1] == '.')
    return fail();
  std::string unit(text.substr(at));
  std::ranges::transform(unit, unit.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
  constexpr std::string_view kLetters = "KMGTPE"; // the last two only to say that they are too large
  int shift = unit.empty() || unit == "B" ? 0 : -1;
  for (size_t i = 0; i < kLetters.size(); ++i)
    if (std::string letter(1, kLetters[i]); unit == letter || unit == letter + "B" || unit == letter + "IB")
      shift = 10 * int(i + 1);
  if (shift < 0 || (shift == 0 && point))
    return fail();
  __extension__ using Wide = unsigned __int128;
  Wide bytes = (Wide(digits) << shift) / scale;
  if (many && scale > 1)
    refuse(option, "written with fewer digits", text);
  if (many || bytes >= Wide(1) << 50)
    refuse(option, "less than 1024T", text);
  if (bytes < 1)
    refuse(option, "at least 1 byte", text);
  return uint64_t(bytes);
}

CLI::Option *addSize(CLI::App &command, const std::string &names, uint64_t &target, const std::string &help) {
  return command
      .add_option_function<std::string>(
          names, [=, &target](const std::string &text) { target = parseSize(names, text); }, help)
      ->type_name("SIZE");
}

} // namespace heddle::tool

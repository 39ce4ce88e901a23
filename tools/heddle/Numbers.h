//===- Numbers.h - numbers as people write them on a command line -------------------------------------------------------===//
//
// Decimal and exact, whatever the locale: 010 is ten; 0x10, 1e3 for an integer, "", " 1" and what does not fit are refused.
// CLI11's own conversions read octal and hexadecimal, saturate, and take an empty text for 0, so no option of a number uses them.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/Command.h"
#include <CLI/CLI.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace heddle::tool {

/// A sign and a magnitude hold every 64-bit integer, signed or not.
struct Integer {
  bool negative;
  uint64_t magnitude;
};

/// Each throws UsageError with a line that begins with `option`.
Integer parseInteger(std::string_view option, std::string_view text, Integer low, Integer high);
double parseReal(std::string_view option, std::string_view text, double low, double high); // finite; 0.5, .5, 5e-1
/// "512M", "1.5GiB", "1000000": bytes, in powers of 1024, at least 1 and below 2^50.
uint64_t parseSize(std::string_view option, std::string_view text);

template <std::integral T> T parseInteger(std::string_view option, std::string_view text, T low, T high) {
  auto split = [](T value) { return value < 0 ? Integer{true, 0 - uint64_t(value)} : Integer{false, uint64_t(value)}; };
  Integer value = parseInteger(option, text, split(low), split(high));
  return T(value.negative ? 0 - value.magnitude : value.magnitude);
}

/// `names` as CLI11 takes them, "-n,--tokens"; its messages and ours name an option so.
///
/// An option that takes an integer from `low` to `high` into `target`, any type that an integer can be assigned to.
template <std::integral T, class Target>
CLI::Option *addInteger(CLI::App &command, const std::string &names, Target &target, T low, T high, const std::string &help) {
  return command.add_option_function<std::string>(
      names, [=, &target](const std::string &text) { target = parseInteger<T>(names, text, low, high); }, help);
}

/// An option that takes any real number from `low` to `high`.
template <class Target>
CLI::Option *addReal(CLI::App &command, const std::string &names, Target &target, const std::string &help,
                     double low = std::numeric_limits<double>::lowest(), double high = std::numeric_limits<double>::max()) {
  return command.add_option_function<std::string>(
      names, [=, &target](const std::string &text) { target = parseReal(names, text, low, high); }, help);
}

/// An option that takes a size in bytes.
CLI::Option *addSize(CLI::App &command, const std::string &names, uint64_t &target, const std::string &help);

} // namespace heddle::tool

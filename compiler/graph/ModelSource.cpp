//===- ModelSource.cpp - values within their limits ----------------------------------------------------------------===//
#include "compiler/graph/ModelSource.h"
#include <cstdio>

namespace heddle {

static std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.7g", value);
  return text;
}

void ModelSource::refuse(std::string_view key, const std::string &what) const {
  throw CompileError(name() + ": metadata " + architecture() + "." + std::string(key) + " " + what);
}

int64_t ModelSource::requiredInteger(std::string_view key, int64_t low, int64_t high) const {
  auto value = integerWithin(key, low, high);
  if (!value)
    refuse(key, "is missing: convert the model again");
  return *value;
}

std::optional<int64_t> ModelSource::integerWithin(std::string_view key, int64_t low, int64_t high) const {
  auto value = integer(key);
  if (value && (*value < low || *value > high))
    refuse(key, "is " + std::to_string(*value) + "; it must be in " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

std::optional<double> ModelSource::numberWithin(std::string_view key, double low, double high) const {
  auto value = number(key);
  if (value && !(*value >= low && *value <= high))
    refuse(key, "is " + shown(*value) + "; it must be in " + shown(low) + " to " + shown(high));
  return value;
}

} // namespace heddle

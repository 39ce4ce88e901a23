//===- PackedWeights.h - a tiny model's weights for the interpreter -------------------------------------------------===//
#pragma once
#include "ir/reference/PackedWeightSource.h"
#include "tests/support/TinyModel.h"

namespace heddle::test {

class PackedWeights final : public reference::PackedWeightSource {
public:
  PackedWeights() = default;
  explicit PackedWeights(const TinyModel &model) {
    for (const auto &[name, data] : model.weights)
      add(name, data);
  }
  void add(const std::string &name, const WeightData &data) {
    reference::PackedWeightSource::add(name, data.format, data.rows, data.columns, data.fileBytes);
  }
};

} // namespace heddle::test

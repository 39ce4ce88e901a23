//===- State.h - one rank's states in the interpreter ----------------------------------------------------------------===//
//
// Keys and values, of paged, fixed and transient states alike, by (page, layer, KV head, slot), kept as f64 after rounding to the
// cache's type (exact for f16 and for q8, whose scale is multiplied in). Each slot remembers whether it was written: reading one
// that was not is an error, so a wrong page table or share cannot pass for numbers.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "ir/reference/Formulas.h"
#include <unordered_map>

namespace heddle::reference {

class KvState {
public:
  KvState() = default;
  KvState(int64_t layers, int64_t kvHeads, int64_t headDim, bool q8)
      : layers_(layers), kvHeads_(kvHeads), headDim_(headDim), q8_(q8) {}

  int64_t layers() const { return layers_; }
  bool q8() const { return q8_; } // cached in 8 bits, not as f16
  /// Where a key and its value go; creates the page. The pointers live as long as the state.
  struct Slot {
    double *k, *v;
  };
  Slot write(int64_t page, int64_t layer, int64_t kvHead, int64_t slot) {
    Page &p = pages_[page];
    if (p.written.empty()) {
      p.written.resize(static_cast<size_t>(layers_ * kvHeads_ * kChunk));
      p.keys.resize(p.written.size() * static_cast<size_t>(headDim_));
      p.values.resize(p.keys.size());
    }
    size_t i = index(layer, kvHead, slot);
    p.written[i] = true;
    return {p.keys.data() + i * static_cast<size_t>(headDim_), p.values.data() + i * static_cast<size_t>(headDim_)};
  }
  /// Null pointers where nothing was written.
  Slot read(int64_t page, int64_t layer, int64_t kvHead, int64_t slot) {
    auto found = pages_.find(page);
    size_t i = index(layer, kvHead, slot);
    if (found == pages_.end() || !found->second.written[i])
      return {nullptr, nullptr};
    return {found->second.keys.data() + i * static_cast<size_t>(headDim_),
            found->second.values.data() + i * static_cast<size_t>(headDim_)};
  }
  void clear() { pages_.clear(); }

private:
  struct Page {
    std::vector<bool> written;        // [layers × kvHeads × 64]
    std::vector<double> keys, values; // [layers × kvHeads × 64 × headDim]
  };
  size_t index(int64_t layer, int64_t kvHead, int64_t slot) const {
    return static_cast<size_t>((layer * kvHeads_ + kvHead) * kChunk + slot);
  }
  int64_t layers_ = 0, kvHeads_ = 0, headDim_ = 0;
  bool q8_ = false;
  std::unordered_map<int64_t, Page> pages_;
};

/// Rows of a recurrent state, by (row, layer), in f64, which holds f32 exactly. A row begins as zeros.
class RecurrentState {
public:
  RecurrentState() = default;
  RecurrentState(int64_t layers, int64_t features) : layers_(layers), features_(features) {}
  int64_t layers() const { return layers_; }
  int64_t features() const { return features_; }
  /// [features]; lives as long as the state.
  double *row(int64_t row, int64_t layer) {
    std::vector<double> &all = rows_[row];
    all.resize(static_cast<size_t>(layers_ * features_));
    return all.data() + layer * features_;
  }

private:
  int64_t layers_ = 0, features_ = 0;
  std::unordered_map<int64_t, std::vector<double>> rows_; // [layers × features]
};

} // namespace heddle::reference

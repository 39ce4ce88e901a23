//===- WeightNodes.h - the operations of weight expressions ---------------------------------------------------------===//
// Internal to this folder. Each checks its operands and throws std::invalid_argument with the reason.
#pragma once
#include "compiler/checkpoints/WeightExpression.h"

namespace heddle::weights {

WeightPointer source(StoredTensor tensor);
WeightPointer rows(WeightPointer x, int64_t begin, int64_t end, int64_t step);
WeightPointer columns(WeightPointer x, int64_t begin, int64_t end, int64_t step);
WeightPointer transpose(WeightPointer x);
WeightPointer permute(WeightPointer x, int64_t heads);
WeightPointer stack(std::vector<WeightPointer> parts);
WeightPointer experts(std::vector<WeightPointer> each);
WeightPointer flatten(WeightPointer x);
WeightPointer mxfp4(StoredBytes codes, StoredBytes exponents);
WeightPointer add(WeightPointer x, double constant);
WeightPointer cast(WeightPointer x, Format format);

} // namespace heddle::weights

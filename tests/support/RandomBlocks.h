//===- RandomBlocks.h - random weights straight in a format's file blocks -------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"
#include <random>
#include <vector>

namespace heddle::test {

/// A row as a quantiser would leave it: random codes over their whole range, mean near 0, standard deviation near 1/√columns,
/// scales that differ from block to block. `columns` is a multiple of the format's block.
std::vector<std::byte> randomRow(Format format, int64_t columns, std::mt19937_64 &random);

} // namespace heddle::test

// Each operation against its definition, on a matrix whose values say where they stood; texts that are no expressions.
#include "compiler/checkpoints/WeightExpression.h"
#include "runtime/quant/Encode.h"
#include "tests/unit/checkpoints/Checks.h"
#include <cmath>
#include <map>

using namespace heddle;
using namespace heddle::test;

namespace {

/// Tensors in memory, by name.
class Tensors final : public Checkpoint {
public:
  void add(const std::string &name, std::vector<int64_t> shape, std::vector<float> values) {
    floats_[name] = std::move(values);
    const auto bytes = std::as_bytes(std::span(floats_[name]));
    stored_.insert_or_assign(name, StoredTensor{"m: tensor " + name, Format::F32, std::move(shape), bytes});
  }
  void addBytes(const std::string &name, Format format, std::vector<int64_t> shape, std::vector<std::byte> bytes) {
    bytes_[name] = std::move(bytes);
    stored_.insert_or_assign(name, StoredTensor{"m: tensor " + name, format, std::move(shape), bytes_[name]});
  }
  Kind kind() const override { return Kind::Folder; }
  std::string name() const override { return "m"; }
  std::string architecture() const override { return "x"; }
  std::string again() const override { return "download it again"; }
  std::optional<Setting> setting(std::string_view) const override { return std::nullopt; }
  std::string shownKey(std::string_view key) const override { return std::string(key); }
  std::optional<StoredTensor> tensor(std::string_view name) const override {
    auto found = stored_.find(std::string(name));
    return found == stored_.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<StoredBytes> bytes(std::string_view name) const override {
    auto found = plain_.find(std::string(name));
    return found == plain_.end() ? std::nullopt : std::optional(found->second);
  }
  void addPlain(const std::string &name, std::vector<int64_t> shape, std::vector<std::byte> bytes) {
    bytes_[name] = std::move(bytes);
    plain_.insert_or_assign(name, StoredBytes{"m: tensor " + name, std::move(shape), bytes_[name]});
  }
  bool has(std::string_view name) const override { return stored_.contains(std::string(name)); }
  std::string shownTensor(std::string_view name) const override { return "m: tensor " + std::string(name); }
  int64_t tokenCount() const override { return 0; }
  TokenizerFiles tokenizer(bool) const override { return {}; }
  std::string chatTemplate() const override { return ""; }
  GenerationSettings generationSettings() const override { return {}; }
  std::vector<std::string> unreadSettings() const override { return {}; }
  std::vector<std::string> unreadTensors() const override { return {}; }
  std::span<const Rule> settingRules() const override { return {}; }
  std::span<const Rule> tensorRules() const override { return {}; }
  bool ofTokenizer(std::string_view) const override { return false; }

private:
  std::map<std::string, std::vector<float>> floats_;
  std::map<std::string, std::vector<std::byte>> bytes_;
  std::map<std::string, StoredTensor> stored_;
  std::map<std::string, StoredBytes> plain_;
};

class Weights : public testing::Test {
protected:
  Weights() {
    std::vector<float> matrix, stack;
    for (int row = 0; row < 8; ++row)
      for (int column = 0; column < 4; ++column)
        matrix.push_back(static_cast<float>(10 * row + column));
    for (int i = 0; i < 2 * 2 * 3; ++i)
      stack.push_back(static_cast<float>(i));
    tensors.add("m", {8, 4}, matrix); // 10 · row + column
    tensors.add("v", {4}, {1, 2, 3, 4});
    tensors.add("s", {2, 2, 3}, stack);
    tensors.add("layers.0.odd name", {1}, {7});
  }
  std::vector<float> values(const std::string &text) {
    WeightPointer weight = parseWeight(text, tensors);
    std::vector<float> out(static_cast<size_t>(weight->rows() * weight->columns())), one(out.size());
    weight->readFloats(0, weight->rows(), out.data());
    for (int64_t row = 0; row < weight->rows(); ++row) // row by row it is the same
      weight->readFloats(row, 1, one.data() + row * weight->columns());
    EXPECT_EQ(out, one) << text;
    return out;
  }
  std::string refusal(const std::string &text) {
    return errorOf([&] { parseWeight(text, tensors); });
  }
  Tensors tensors;
};

TEST_F(Weights, Tensors) {
  EXPECT_EQ(values("v"), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values("'layers.0.odd name'"), (std::vector<float>{7}));
  EXPECT_EQ(weightName("layers.0.odd name"), "'layers.0.odd name'");
  EXPECT_EQ(weightName("blk.0.attn_q.weight"), "blk.0.attn_q.weight");
  EXPECT_NE(parseWeight("m", tensors)->inPlace(3), nullptr);
  EXPECT_EQ(parseWeight("add(m, 1)", tensors)->inPlace(3), nullptr);
}

TEST_F(Weights, RowsAndColumns) {
  EXPECT_EQ(values("rows(m, 1, 3)"), (std::vector<float>{10, 11, 12, 13, 20, 21, 22, 23}));
  EXPECT_EQ(values("columns(rows(m, 1, 8, 3), 1, 3)"), (std::vector<float>{11, 12, 41, 42, 71, 72}));
  EXPECT_EQ(values("rows(s, 1, 2)"), (std::vector<float>{3, 4, 5, 9, 10, 11})); // of each matrix
  EXPECT_EQ(values("rows(v, 1, 4, 2)"), (std::vector<float>{2, 4}));
  EXPECT_EQ(parseWeight("rows(s, 1, 2)", tensors)->shape(), (std::vector<int64_t>{2, 1, 3}));
  EXPECT_NE(parseWeight("rows(m, 1, 3)", tensors)->inPlace(0), nullptr);
}

TEST_F(Weights, Transpose) {
  EXPECT_EQ(values("rows(transpose(rows(m, 0, 2)), 1, 3)"), (std::vector<float>{1, 11, 2, 12}));
  EXPECT_EQ(values("transpose(rows(m, 0, 2))"), (std::vector<float>{0, 10, 1, 11, 2, 12, 3, 13}));
  EXPECT_EQ(values("transpose(s)"), (std::vector<float>{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
  EXPECT_EQ(values("transpose(transpose(m))"), values("m"));
}

TEST_F(Weights, Permute) {
  // Two heads of four rows: halves 0 1 | 2 3 become 0 2 1 3.
  EXPECT_EQ(values("columns(permute(m, 2), 0, 1)"), (std::vector<float>{0, 20, 10, 30, 40, 60, 50, 70}));
  EXPECT_EQ(values("permute(v, 1)"), (std::vector<float>{1, 3, 2, 4}));
}

TEST_F(Weights, StackAndAdd) {
  EXPECT_EQ(values("stack(rows(m, 7, 8), rows(m, 0, 1))"), (std::vector<float>{70, 71, 72, 73, 0, 1, 2, 3}));
  EXPECT_EQ(values("stack(v, v)"), (std::vector<float>{1, 2, 3, 4, 1, 2, 3, 4}));
  EXPECT_EQ(values("add(v, -1.5)"), (std::vector<float>{-0.5, 0.5, 1.5, 2.5}));
}

TEST_F(Weights, Conversions) {
  EXPECT_EQ(parseWeight("bf16(m)", tensors)->format(), Format::BF16);
  EXPECT_EQ(values("f32(f16(m))"), values("m"));
  tensors.add("wide", {2, 32}, std::vector<float>(64, 127));
  WeightPointer quantised = parseWeight("q8_0(wide)", tensors);
  std::vector<std::byte> got(static_cast<size_t>(2 * quantised->rowBytes())),
      expected(static_cast<size_t>(quantised->rowBytes()));
  quantised->read(0, 2, got.data());
  std::vector<float> row(32, 127);
  encodeRow(Format::Q8_0, row.data(), 32, expected.data());
  EXPECT_EQ(0, std::memcmp(got.data() + expected.size(), expected.data(), expected.size()));
  EXPECT_EQ(values("q8_0(wide)"), std::vector<float>(64, 127));
  EXPECT_EQ(values("transpose(rows(q8_0(wide), 0, 1))"), std::vector<float>(32, 127));
}

TEST_F(Weights, UnalignedHalves) {
  std::vector<std::byte> bytes(1 + 2 * 4);
  const uint16_t ones[] = {0x3F80, 0x4000, 0x4040, 0x4080}; // bf16 1 2 3 4
  std::memcpy(bytes.data() + 1, ones, sizeof ones);
  tensors.addBytes("h", Format::BF16, {4}, {bytes.begin() + 1, bytes.end()});
  EXPECT_EQ(values("f32(h)"), (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(Weights, ValuesThatAreNoNumbersAreNamed) {
  std::vector<float> bad(8, 1);
  bad[6] = NAN;
  tensors.add("bad", {2, 4}, bad);
  for (const char *text : {"bad", "add(bad, 1)", "transpose(bad)", "permute(bad, 1)", "f16(bad)"}) {
    WeightPointer weight = parseWeight(text, tensors);
    std::vector<float> out(8);
    EXPECT_SAYS(errorOf([&] { weight->readFloats(0, weight->rows(), out.data()); }), "tensor bad holds NaN in row 1, column 2")
        << text;
  }
  EXPECT_SAYS(errorOf([&] { parseWeight("bad", tensors)->inPlace(1); }), "NaN in row 1, column 2");
  EXPECT_NE(parseWeight("bad", tensors)->inPlace(0), nullptr);
}

TEST_F(Weights, ScalesThatAreNoNumbersAreNamed) {
  std::vector<float> ones(4 * 64, 1);
  std::vector<std::byte> blocks(4 * 40);
  for (int row = 0; row < 4; ++row)
    encodeRow(Format::Q4_1, ones.data(), 64, blocks.data() + row * 40);
  tensors.addBytes("good", Format::Q4_1, {4, 64}, blocks);
  EXPECT_NE(parseWeight("good", tensors)->inPlace(3), nullptr);
  const uint16_t infinity = 0x7C00;
  std::memcpy(blocks.data() + 2 * 40 + 20 + 2, &infinity, sizeof infinity); // the minimum of row 2's second block
  tensors.addBytes("bad", Format::Q4_1, {4, 64}, blocks);
  for (const char *text : {"bad", "rows(bad, 0, 4)", "rows(bad, 2, 3)", "columns(bad, 32, 64)", "stack(good, bad)", "f32(bad)",
                           "q8_0(bad)", "transpose(bad)", "permute(bad, 1)"}) {
    WeightPointer weight = parseWeight(text, tensors);
    std::vector<float> out(static_cast<size_t>(weight->rows() * weight->columns()));
    EXPECT_SAYS(errorOf([&] { weight->readFloats(0, weight->rows(), out.data()); }),
                "tensor bad holds a block whose scale or minimum is no finite number in row 2, column 32")
        << text;
  }
  EXPECT_SAYS(errorOf([&] { parseWeight("bad", tensors)->inPlace(2); }), "row 2, column 32");
  EXPECT_NE(parseWeight("bad", tensors)->inPlace(1), nullptr);
}

/// What is finite as f32 may need a scale that f16 has not.
TEST_F(Weights, ValuesBeyondAFormatAreNamed) {
  std::vector<float> large(2 * 32, 1);
  large[32] = 1e8f;
  tensors.add("large", {2, 32}, large);
  for (const char *kind : {"f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"}) {
    WeightPointer weight = parseWeight(std::string(kind) + "(large)", tensors);
    std::vector<std::byte> out(static_cast<size_t>(weight->rowBytes()));
    weight->read(0, 1, out.data());
    EXPECT_SAYS(errorOf([&] { weight->read(1, 1, out.data()); }),
                "row 1 holds a value beyond " + std::string(kind) + ": use bf16 or f32");
  }
}

TEST_F(Weights, WhatIsNoExpression) {
  const std::pair<const char *, const char *> cases[] = {
      {"", "lacks a word"},
      {"m m", "ends before"},
      {"m)", "ends before"},
      {"nothing", "tensor nothing is missing"},
      {"twist(m)", "unknown word 'twist'"},
      {"rows(m, 1)", "lacks a ','"},
      {"rows(m, 1, 9)", "not within 8"},
      {"rows(m, 3, 3)", "not within 8"},
      {"rows(m, -1, 3)", "not within 8"},
      {"rows(m, 0, 8, 0)", "not within 8"},
      {"rows(m, a, 3)", "'a' where a number belongs"},
      {"rows(m, 0, 99999999999999999999)", "where a number belongs"},
      {"columns(m, 0, 5)", "not within 4"},
      {"permute(m, 3)", "not 3 heads"},
      {"permute(m, 8)", "not 8 heads"},
      {"permute(m, 0)", "not 0 heads"},
      {"transpose(v)", "cannot be transposed"},
      {"stack(m, v)", "different widths"},
      {"stack(m, f16(m))", "different formats"},
      {"add(m, nan)", "not finite"},
      {"add(m, 1e39)", "not finite"},
      {"q8_0(m)", "no blocks of 32"},
      {"q6_k(m)", "written as q6_k"},
      {"'m", "without an end"},
      {"rows(m, 0, 1", "lacks a ')'"},
  };
  for (auto [text, words] : cases)
    EXPECT_SAYS(refusal(text), words) << text;
  std::string deep;
  for (int i = 0; i < 1000; ++i)
    deep += "f32(";
  EXPECT_SAYS(refusal(deep + "m" + std::string(1000, ')')), "nested deeper");
}

TEST_F(Weights, ToTheEnd) {
  EXPECT_EQ(values("rows(v, 1, end, 2)"), (std::vector<float>{2, 4}));
  EXPECT_EQ(values("rows(s, 1, end)"), (std::vector<float>{3, 4, 5, 9, 10, 11})); // of each matrix
  EXPECT_EQ(values("columns(s, 0, end, 2)"), (std::vector<float>{0, 2, 3, 5, 6, 8, 9, 11}));
  EXPECT_EQ(values("flatten(s)"), (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
}

TEST_F(Weights, Experts) {
  for (int i = 0; i < 3; ++i)
    tensors.add("layers.0.experts." + std::to_string(i) + ".w1", {2, 2}, std::vector<float>(4, static_cast<float>(i)));
  EXPECT_EQ(values("experts('layers.0.experts.#.w1', 3)"), (std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}));
  EXPECT_EQ(parseWeight("experts('layers.0.experts.#.w1', 2)", tensors)->shape(), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_SAYS(refusal("experts('layers.0.experts.#.w1', 4)"), "layers.0.experts.3.w1 is missing");
  EXPECT_SAYS(refusal("experts('layers.0.experts.#.w1', 0)"), "or not 1 to 4096");
  EXPECT_SAYS(refusal("experts(m, 2)"), "without a #");
  tensors.add("layers.0.experts.1.w1", {1, 4}, {1, 2, 3, 4});
  EXPECT_SAYS(refusal("experts('layers.0.experts.#.w1', 3)"), "different shapes");
}

TEST_F(Weights, Mxfp4BlocksOfAFolder) {
  std::vector<std::byte> codes, exponents = {std::byte{127}, std::byte{128}}; // 1 and 2
  for (int i = 0; i < 32; ++i) // of two blocks: elements 2i and 2i + 1 are codes i % 8 and 1
    codes.push_back(static_cast<std::byte>(i % 8 | 1 << 4));
  tensors.addPlain("w_blocks", {1, 1, 2, 16}, codes);
  tensors.addPlain("w_scales", {1, 1, 2}, exponents);
  const float numbers[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  std::vector<float> expected;
  for (int i = 0; i < 32; ++i)
    expected.insert(expected.end(), {numbers[i % 8] * (i < 16 ? 1.0f : 2.0f), i < 16 ? 0.5f : 1.0f});
  EXPECT_EQ(values("mxfp4_blocks(w_blocks)"), expected);
  EXPECT_EQ(parseWeight("mxfp4_blocks(w_blocks)", tensors)->shape(), (std::vector<int64_t>{1, 1, 64}));
  EXPECT_SAYS(refusal("mxfp4_blocks(w)"), "does not end in _blocks");
  EXPECT_SAYS(refusal("mxfp4_blocks(x_blocks)"), "x_blocks is missing or not of bytes");
  tensors.addPlain("w_scales", {1, 2, 1}, exponents);
  EXPECT_SAYS(refusal("mxfp4_blocks(w_blocks)"), "is of another shape");
}

} // namespace

// Well-formed files are read in place; everything else is one line, before any memory is taken for what a header claims.
#include "compiler/checkpoints/folder/Safetensors.h"
#include "tests/unit/checkpoints/Checks.h"

using namespace heddle;
using namespace heddle::test;

namespace {

constexpr const char *kTwo = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},)"
                             R"("a":{"data_offsets":[0,12],"shape":[2,3],"dtype":"BF16"}})";

std::string refusal(const std::string &header, size_t data, uint64_t claimed = UINT64_MAX) {
  auto bytes = safetensorsBytes(header, data, claimed);
  return errorOf([&] { SafetensorsFile::parse(bytes, "m.safetensors"); });
}
std::string entry(const std::string &fields) { return R"({"t":{)" + fields + "}}"; }

TEST(Safetensors, TensorsAreReadInPlace) {
  auto bytes = safetensorsBytes(kTwo, 20);
  SafetensorsFile file = SafetensorsFile::parse(bytes, "m");
  ASSERT_EQ(file.tensors().size(), 2u);
  const SafetensorsTensor *a = file.find("a"), *b = file.find("b");
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->format, Format::BF16);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(a->bytes.size(), 12u);
  EXPECT_EQ(b->bytes.data(), bytes.data() + bytes.size() - 8);
  EXPECT_EQ(file.find("c"), nullptr);
}

TEST(Safetensors, ScalarsEmptyTensorsAndTypesWithoutWeights) {
  const std::string header =
      R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]},)"
      R"("i":{"dtype":"I64","shape":[1],"data_offsets":[4,12]}})";
  auto bytes = safetensorsBytes(header, 12);
  SafetensorsFile file = SafetensorsFile::parse(bytes, "m");
  EXPECT_TRUE(file.find("s")->shape.empty());
  EXPECT_TRUE(file.find("e")->bytes.empty());
  EXPECT_EQ(file.find("i")->format, std::nullopt);
  auto none = safetensorsBytes("{}", 0);
  EXPECT_TRUE(SafetensorsFile::parse(none, "m").tensors().empty());
}

TEST(Safetensors, EveryShorterFileIsRefused) {
  auto bytes = safetensorsBytes(kTwo, 20);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_NE(errorOf([&] { SafetensorsFile::parse(std::span(bytes).first(length), "m"); }), "no error") << length;
}

TEST(Safetensors, FlippedBitsNeverCrash) {
  auto bytes = safetensorsBytes(kTwo, 20);
  for (size_t at = 0; at < bytes.size() - 20; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[at] ^= static_cast<std::byte>(1 << bit);
      errorOf([&] { SafetensorsFile::parse(damaged, "m"); });
    }
}

TEST(Safetensors, HeadersThatClaimTooMuch) {
  EXPECT_SAYS(refusal(kTwo, 20, 1ull << 40), "claims a header of 1099511627776 bytes");
  EXPECT_SAYS(refusal(kTwo, 20, UINT64_MAX - 1), "claims a header of");
  EXPECT_SAYS(refusal(std::string(8, ' '), 0), "does not begin with '{'");
  EXPECT_SAYS(refusal("{" + std::string(100, '['), 0), "no JSON");
  EXPECT_SAYS(refusal(R"({"t":)" + std::string(200000, '[') + std::string(200000, ']') + "}", 0), "is not { dtype");
}

TEST(Safetensors, EntriesThatAreNoTensors) {
  EXPECT_SAYS(refusal(R"({"t":1})", 0), "'t' is not { dtype, shape, data_offsets }");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","shape":[1])"), 4), "has no dtype, shape or data_offsets");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), 4), "is not {");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4), "is not {");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), 4), "is not {");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), 4), "is not {");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4), "1 data_offsets");
  EXPECT_SAYS(refusal(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":{})"), 4), "is not {");
  EXPECT_SAYS(refusal(entry(R"("dtype":"Q9","shape":[1],"data_offsets":[0,4])"), 4), "unknown type 'Q9'");
  EXPECT_SAYS(refusal(R"({"__metadata__":5})", 0), "no object of tensors");
  EXPECT_SAYS(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0), "appears twice");
}

TEST(Safetensors, PlacesThatAreNotThere) {
  auto at = [](const std::string &offsets, const std::string &shape = "[1]") {
    return entry(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets);
  };
  EXPECT_SAYS(refusal(at("[0,8]"), 4), "lies at bytes 0 to 8 of 4");
  EXPECT_SAYS(refusal(at("[4,0]"), 4), "lies at bytes 4 to 0");
  EXPECT_SAYS(refusal(at("[18446744073709551615,3]"), 4), "lies at bytes");
  EXPECT_SAYS(refusal(at("[4,8]"), 8), "leaves a gap");
  EXPECT_SAYS(refusal(at("[0,4]"), 8), "4 bytes at the end belong to no tensor");
  EXPECT_SAYS(refusal(at("[0,4]", "[2]"), 4), "not those of its shape");
  EXPECT_SAYS(refusal(at("[0,4]", "[4611686018427387905,4]"), 4), "not those of its shape");
  EXPECT_SAYS(refusal(at("[0,0]", "[9223372036854775807,9223372036854775807]"), 0), "not those of its shape");
  EXPECT_SAYS(refusal(at("[0,4]", "[1,1,1,1,1,1,1,1,1]"), 4), "impossible shape");
}

TEST(Safetensors, NamesAndBytesBelongToOneTensor) {
  const std::string one = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})",
                    next = R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})";
  EXPECT_SAYS(refusal(R"({"a":)" + one + R"(,"a":)" + next + "}", 8), "'a' appears twice");
  EXPECT_SAYS(refusal(R"({"a":)" + one + R"(,"b":)" + one + "}", 4), "overlaps");
}

} // namespace

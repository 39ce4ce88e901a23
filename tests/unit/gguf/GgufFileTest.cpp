// What a well-formed file gives: metadata by type, tensors by name, and errors of the getters.
#include "compiler/checkpoints/gguf/GgufFile.h"
#include "tests/unit/gguf/GgufBuilder.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;

namespace {

std::string errorOf(auto &&action) {
  try {
    action();
  } catch (const GgufError &e) {
    return e.what();
  }
  return "no error";
}

class Gguf : public testing::TestWithParam<uint32_t> {
protected:
  std::vector<std::byte> bytes = completeFile(GetParam());
  GgufFile file = GgufFile::parse(bytes, "m.gguf");
};

TEST_P(Gguf, Metadata) {
  EXPECT_EQ(file.version(), GetParam());
  EXPECT_EQ(file.alignment(), 64u);
  EXPECT_EQ(file.keys().size(), 18u);
  EXPECT_EQ(file.keys()[0], "general.architecture");
  EXPECT_EQ(file.string("general.architecture"), "llama");
  EXPECT_EQ(file.integer("u8"), 200);
  EXPECT_EQ(file.integer("i8"), -100);
  EXPECT_EQ(file.integer("u16"), 60000);
  EXPECT_EQ(file.integer("i16"), -30000);
  EXPECT_EQ(file.integer("u32"), 4000000000);
  EXPECT_EQ(file.integer("i32"), -2000000000);
  EXPECT_EQ(file.integer("u64"), 1ll << 62);
  EXPECT_EQ(file.integer("i64"), -(1ll << 62));
  EXPECT_EQ(file.number("f32"), static_cast<double>(0.1f));
  EXPECT_EQ(file.number("f64"), 0.1);
  EXPECT_EQ(file.number("i8"), -100.0);
  EXPECT_TRUE(file.boolean("yes"));
  EXPECT_EQ(file.strings("words"), (std::vector<std::string_view>{"a", "", "caf\xc3\xa9"}));
  EXPECT_EQ(file.numbers("scores"), (std::vector<double>{1.5, -2.5}));
  EXPECT_EQ(file.integers("kinds"), (std::vector<int64_t>{1, -3, 6}));
  EXPECT_EQ(file.booleans("flags"), (std::vector<bool>{false, true}));
  EXPECT_EQ(file.findInteger("absent"), std::nullopt);
  EXPECT_EQ(file.findString("general.architecture"), "llama");
  EXPECT_TRUE(file.has("yes"));
  EXPECT_FALSE(file.has("ye"));
}

TEST_P(Gguf, Tensors) {
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[0].name, "norm");
  const GgufTensor &weight = file.tensor("weight");
  EXPECT_EQ(weight.format, Format::Q4_1);
  EXPECT_EQ(weight.dims, (std::vector<int64_t>{64, 3}));
  EXPECT_EQ(weight.rows(), 3);
  EXPECT_EQ(weight.data.size(), 120u);
  EXPECT_EQ(weight.data.data() - bytes.data(), static_cast<ptrdiff_t>(bytes.size()) - (320 + 136) + 64);
  EXPECT_EQ(weight.row(2) - weight.row(0), 80);
  EXPECT_EQ(file.tensor("cube").rows(), 4);
  EXPECT_EQ(file.findTensor("absent"), nullptr);
}

TEST_P(Gguf, KnowsWhatNobodyAskedFor) {
  using Names = std::vector<std::string_view>;
  auto unread = [&](std::string_view key) {
    Names all = file.unreadKeys();
    return std::find(all.begin(), all.end(), key) != all.end();
  };
  EXPECT_EQ(file.unreadKeys().size() + 1, file.keys().size()); // the parser itself needs general.alignment
  EXPECT_TRUE(file.has("words"));
  EXPECT_TRUE(unread("words")); // whether it is there is not what it says
  file.strings("words");
  EXPECT_FALSE(unread("words"));
  file.findNumber("f32");
  EXPECT_FALSE(unread("f32"));
  EXPECT_EQ(file.unreadTensors(), (Names{"norm", "weight", "cube"}));
  file.findTensor("absent");
  file.tensor("weight");
  EXPECT_EQ(file.unreadTensors(), (Names{"norm", "cube"}));
}

TEST_P(Gguf, ShowsValuesToPeople) {
  EXPECT_EQ(shownSetting(*file.setting("i32")), "-2000000000");
  EXPECT_EQ(shownSetting(*file.setting("f32")), "0.1");
  EXPECT_EQ(shownSetting(*file.setting("yes")), "true");
  EXPECT_EQ(shownSetting(*file.setting("general.architecture")), "llama");
  EXPECT_EQ(shownSetting(*file.setting("words")), "[a, , caf\xc3\xa9]");
  EXPECT_FALSE(file.setting("absent"));
}

INSTANTIATE_TEST_SUITE_P(Version, Gguf, testing::Values(2u, 3u));

TEST(GgufErrors, GettersNameKeyAndType) {
  auto bytes = completeFile();
  GgufFile f = GgufFile::parse(bytes, "m.gguf");
  EXPECT_EQ(errorOf([&] { f.integer("llama.block_count"); }),
            "m.gguf: metadata key 'llama.block_count' (an integer) is missing: convert the model again");
  EXPECT_EQ(errorOf([&] { f.integer("words"); }),
            "m.gguf: metadata key 'words' is an array of 3 string, not an integer below 2^63: convert the model again");
  EXPECT_EQ(errorOf([&] { f.string("u8"); }), "m.gguf: metadata key 'u8' is of type u8, not a string: convert the model again");
  EXPECT_NE(errorOf([&] { f.integer("huge"); }).find("u64, not an integer below 2^63"), std::string::npos);
  EXPECT_NE(errorOf([&] { f.integer("f32"); }).find("f32, not an integer"), std::string::npos);
  EXPECT_NE(errorOf([&] { f.boolean("u8"); }).find("u8, not a bool"), std::string::npos);
  EXPECT_NE(errorOf([&] { f.strings("kinds"); }).find("array of 3 i32, not an array of strings"), std::string::npos);
  EXPECT_NE(errorOf([&] { f.integers("scores"); }).find("not an array of integers"), std::string::npos);
  EXPECT_NE(errorOf([&] { f.findBoolean("u8"); }).find("not a bool"), std::string::npos);
  EXPECT_NE(errorOf([&] { f.tensor("output.weight"); }).find("m.gguf: tensor 'output.weight' is missing"), std::string::npos);
}

TEST(GgufErrors, PathsThatAreNoFiles) {
  auto folder = std::filesystem::temp_directory_path() / ("heddle-gguf-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "empty.gguf");
  EXPECT_NE(errorOf([&] { GgufFile::open(folder / "none.gguf"); }).find("none.gguf: no such file"), std::string::npos);
  EXPECT_NE(errorOf([&] { GgufFile::open(folder); }).find("is not a regular file"), std::string::npos);
  EXPECT_NE(errorOf([&] { GgufFile::open(folder / "empty.gguf"); }).find("is empty"), std::string::npos);
  EXPECT_NE(errorOf([&] { GgufFile::open("/dev/zero"); }).find("is not a regular file"), std::string::npos);

  auto bytes = completeFile();
  std::ofstream(folder / "m.gguf", std::ios::binary).write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  GgufFile file = GgufFile::open(folder / "m.gguf");
  GgufFile moved = std::move(file); // views stay valid: the mapping moves along
  EXPECT_EQ(moved.string("general.architecture"), "llama");
  EXPECT_EQ(moved.tensor("norm").data[1], static_cast<std::byte>(8));
  std::filesystem::remove_all(folder);
}

} // namespace

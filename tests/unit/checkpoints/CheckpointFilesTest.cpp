// The parts of a split GGUF file by name; the files of a folder that its plan depends on.
#include "compiler/checkpoints/CheckpointFiles.h"
#include "tests/unit/checkpoints/Checks.h"

using namespace heddle;
using namespace heddle::test;

namespace {

TEST(CheckpointFiles, PartsByName) {
  auto parts = ggufParts("a/m-00001-of-00003.gguf");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[2], "a/m-00003-of-00003.gguf");
  EXPECT_EQ(ggufParts("m-00002-of-00003.gguf").front(), "m-00001-of-00003.gguf");
  for (const char *whole :
       {"m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-1-of-3.gguf", "m-00001-of-00003.bin", "-of-.gguf"})
    EXPECT_EQ(ggufParts(whole).size(), 1u) << whole;
}

TEST(CheckpointFiles, OfAFolder) {
  TemporaryFolder folder;
  for (const char *name :
       {"config.json", "model.safetensors", "chat_template.jinja", "README.md", "pytorch_model.bin", "tokenizer.json"})
    folder.write(name, "x");
  std::vector<std::string> names;
  for (const auto &file : checkpointFiles(folder.path()))
    names.push_back(file.filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"}));
}

} // namespace

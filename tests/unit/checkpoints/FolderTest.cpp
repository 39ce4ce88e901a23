// A folder as a checkpoint: settings with their types, tokens from several files, what was read and what was not.
#include "compiler/checkpoints/folder/FolderCheckpoint.h"
#include "tests/unit/checkpoints/Checks.h"

using namespace heddle;
using namespace heddle::test;

namespace {

class Folder : public testing::Test {
protected:
  Folder() {
    folder.write("config.json",
                 R"({"model_type":"llama","hidden_size":64,"text":{"eps":1e-5},"none":null,"eos_token_id":[1,2]})");
    folder.write("tokenizer.json",
                 R"({"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":1,"content":"</s>","special":true}],)"
                 R"("model":{"type":"BPE","vocab":{"a":2,"b":3},"merges":[]}})");
    const auto bytes = safetensorsBytes(
        R"({"w":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},"u":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8);
    folder.write("model.safetensors", {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  }
  TokenizerFiles tokenizer() { return FolderCheckpoint(folder.path()).tokenizer(/*continues=*/true); }
  TemporaryFolder folder;
};

TEST_F(Folder, SettingsAndTensors) {
  FolderCheckpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.architecture(), "llama");
  EXPECT_EQ(*checkpoint.setting("hidden_size")->as<int64_t>(), 64);
  EXPECT_EQ(*checkpoint.setting("text.eps")->as<double>(), 1e-5);
  EXPECT_TRUE(checkpoint.setting("none")->isNull());
  EXPECT_EQ(checkpoint.setting("absent"), std::nullopt);
  EXPECT_EQ(checkpoint.tensor("w")->shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(checkpoint.tensor("x"), std::nullopt);
  EXPECT_EQ(checkpoint.unreadSettings(), (std::vector<std::string>{"eos_token_id", "model_type"}));
  EXPECT_EQ(checkpoint.unreadTensors(), (std::vector<std::string>{"u"}));
  EXPECT_SAYS(checkpoint.shownKey("hidden_size"), "config.json: hidden_size");
  EXPECT_SAYS(checkpoint.shownTensor("u"), "model.safetensors: tensor u");
}

TEST_F(Folder, SpecialTokens) {
  EXPECT_EQ(tokenizer().bos, -1);
  EXPECT_EQ(tokenizer().endOfText, (std::vector<int64_t>{1, 2}));
  folder.write("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":{"content":"</s>"},"add_bos_token":true})");
  EXPECT_EQ(tokenizer().bos, 0);
  EXPECT_EQ(tokenizer().eos, 1);
  EXPECT_TRUE(tokenizer().addBos);
  folder.write("generation_config.json", R"({"eos_token_id":3})");
  EXPECT_EQ(tokenizer().endOfText, (std::vector<int64_t>{1, 2, 3}));
  folder.write("tokenizer_config.json", R"({})");
  folder.write("special_tokens_map.json", R"({"bos_token":"<s>"})");
  EXPECT_EQ(tokenizer().bos, 0);
  EXPECT_FALSE(tokenizer().addBos);
  folder.write("tokenizer_config.json", R"({"bos_token":null})");
  EXPECT_EQ(tokenizer().bos, -1);
}

TEST_F(Folder, BosByThePostProcessor) {
  folder.write("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":"</s>"})");
  folder.write("tokenizer.json",
               R"({"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":1,"content":"</s>","special":true}],)"
               R"("post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",)"
               R"("single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]}]},)"
               R"("model":{"type":"BPE","vocab":{"a":2,"b":3},"merges":[]}})");
  EXPECT_TRUE(tokenizer().addBos);
  folder.write("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":"</s>","add_bos_token":false})");
  EXPECT_FALSE(tokenizer().addBos);
  folder.write("tokenizer_config.json", R"({"bos_token":"</s>"})");
  EXPECT_SAYS(errorOf([&] { tokenizer(); }), "post_processor puts '<s>' before every text");
}

TEST_F(Folder, TokensThatOtherFilesAdd) {
  folder.write("added_tokens.json", R"({"<more>":4,"<s>":0})");
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder":{"5":{"content":"<|im_end|>","special":true}}})");
  FolderCheckpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.tokenCount(), 6);
  const TokenizerFiles files = checkpoint.tokenizer(/*continues=*/true);
  EXPECT_SAYS(files.json, "<more>");
  EXPECT_EQ(files.endOfText, (std::vector<int64_t>{1, 2, 5})); // its text says so
}

TEST_F(Folder, Templates) {
  EXPECT_EQ(FolderCheckpoint(folder.path()).chatTemplate(), "");
  folder.write("tokenizer_config.json",
               R"({"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]})");
  EXPECT_EQ(FolderCheckpoint(folder.path()).chatTemplate(), "D");
  folder.write("chat_template.jinja", "J");
  EXPECT_EQ(FolderCheckpoint(folder.path()).chatTemplate(), "J");
}

TEST_F(Folder, ChoosingTokens) {
  folder.write("generation_config.json",
               R"({"do_sample":true,"temperature":0.6,"top_k":-1,"top_p":0.9,"repetition_penalty":1.1})");
  GenerationSettings settings = FolderCheckpoint(folder.path()).generationSettings();
  EXPECT_EQ(settings.temperature, 0.6);
  EXPECT_EQ(settings.topK, 0);
  EXPECT_EQ(settings.repeatPenalty, 1.1);
  folder.write("generation_config.json", R"({"do_sample":false,"temperature":0.6})");
  EXPECT_EQ(FolderCheckpoint(folder.path()).generationSettings().temperature, 0);
  folder.write("generation_config.json", R"({"top_p":7})");
  EXPECT_SAYS(errorOf([&] { FolderCheckpoint(folder.path()).generationSettings(); }), "generation_config.json: top_p is 7");
}

} // namespace

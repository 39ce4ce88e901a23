//===- Encoder.cpp - what encoders have in common ---------------------------------------------------------------------===//
#include "compiler/architectures/Encoder.h"
#include <optional>

using namespace heddle;
using namespace heddle::ir;

constexpr const char *kModules = "pooling.modules";

ir::Activation heddle::readActivation(const ModelSource &m, std::string_view key) {
  const std::string name = m.text(key).value_or("gelu");
  if (name == "gelu")
    return Activation::Gelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh")
    return Activation::GeluTanh;
  if (name == "relu")
    return Activation::Relu;
  if (name == "silu" || name == "swish")
    return Activation::Silu;
  m.refuse(key, "is " + quotedForError(name) + ": this activation function is not supported: use a model without it");
}

std::vector<ValueName> heddle::poolingValues() {
  return {{"pooling_type", {}},
          {kModules, {"sentence_transformers.modules"}},
          {"pooling.first", {"sentence_transformers.pooling.pooling_mode_cls_token"}},
          {"pooling.mean", {"sentence_transformers.pooling.pooling_mode_mean_tokens"}},
          {"pooling.last", {"sentence_transformers.pooling.pooling_mode_lasttoken"}},
          {"pooling.max", {"sentence_transformers.pooling.pooling_mode_max_tokens"}},
          {"pooling.root_mean", {"sentence_transformers.pooling.pooling_mode_mean_sqrt_len_tokens"}},
          {"pooling.weighted_mean", {"sentence_transformers.pooling.pooling_mode_weightedmean_tokens"}}};
}

using Pooling = GraphBuilder::Pooling;

/// pooling_type of a GGUF file, as llama.cpp numbers them.
static Pooling poolingOfGguf(const ModelSource &m) {
  switch (m.integer("pooling_type").value_or(1)) {
  case 1:
    return Pooling::Mean;
  case 2:
    return Pooling::First;
  case 3:
    return Pooling::Last;
  default:
    m.refuse("pooling_type", "is " + std::to_string(*m.integer("pooling_type")) +
                                 "; only 1 (mean), 2 (first token) and 3 (last token) are supported");
  }
}

static Pooling poolingOfFolder(const ModelSource &m) {
  for (const char *other : {"pooling.max", "pooling.root_mean", "pooling.weighted_mean"})
    if (m.flag(other).value_or(false))
      m.refuse(other, "is true: only the first or last token or their mean is supported: use a model without it");
  std::optional<Pooling> asked;
  for (auto [key, how] :
       {std::pair("pooling.first", Pooling::First), {"pooling.mean", Pooling::Mean}, {"pooling.last", Pooling::Last}})
    if (m.flag(key).value_or(false)) {
      if (asked)
        m.refuse(key,
                 "is true beside another kind: vectors of several kinds at once are not supported: use a model without them");
      asked = how;
    }
  return asked.value_or(Pooling::Mean);
}

mlir::Value heddle::embeddingOf(GraphBuilder &g, mlir::Value x) {
  const ModelSource &m = g.model();
  if (m.checkpoint().kind() == Checkpoint::Kind::Gguf)
    return g.normalize(g.pool(x, poolingOfGguf(m)));
  const std::vector<std::string> modules = m.texts(kModules).value_or(std::vector<std::string>{"Transformer", "Pooling"});
  x = g.pool(x, poolingOfFolder(m));
  for (size_t i = 0; i < modules.size(); ++i) {
    if (i < 2 && modules[i] == (i == 0 ? "Transformer" : "Pooling"))
      continue;
    if (i != 2 || modules[i] != "Normalize")
      m.refuse(kModules, "has the module " + quotedForError(modules[i]) + " as number " + std::to_string(i + 1) +
                             "; only Transformer, Pooling and Normalize are supported, in this order: use a model without it");
    x = g.normalize(x);
  }
  return x;
}

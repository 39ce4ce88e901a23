//===- Family.h - what a family of models calls its values and weights ----------------------------------------------===//
//
// One declaration for each value and weight, with its name in GGUF files and in Hugging Face folders, so that equations are
// written once for both. Names here are llama.cpp's, as in the plan.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include <string_view>
#include <vector>

namespace heddle {

class GraphBuilder;

/// A value of the configuration. Spellings: newest first; all that a file has must agree.
struct ValueName {
  std::string_view name;                   // as equations ask for it; GGUF's key without the architecture
  std::vector<std::string_view> folder;    // keys of config.json; none: folders do not say it
  Setting otherwise = {};                  // what transformers takes where config.json is silent; null: nothing
  std::vector<std::string_view> gguf = {}; // spellings of GGUF files, where `name` is not the only one
};

/// A weight: "attn_q" of a block is tensor "blk.N.attn_q.weight" of a GGUF file and PLACE.self_attn.q_proj.weight of a folder,
/// where
/// `#` stands for each expert's number. Of several with one name the first that a folder has counts.
struct WeightName {
  std::string_view name, folder;
  /// How the folder's tensor, $, becomes the one that equations expect (WeightExpression.h); {a|b} is the first of these values
  /// that is there.
  std::string_view how = "$";
  std::string_view bias = {};       // how its bias does, where that is otherwise
  bool exact = false;               // `folder` is the tensor's whole name: no ".weight" follows
  std::string_view biasFolder = {}; // the bias's whole name, where it is not NAME.bias
  bool keep = false;                // --quantize leaves it as it is
};

/// A kind of folder.
struct ModelType {
  std::string_view name;              // model_type
  std::string_view root = {};         // where the text model's values stand: "text_config."
  std::vector<ValueName> values = {}; // before the family's
};

struct Family {
  const char *name; // general.architecture, and the plan's
  std::vector<ModelType> modelTypes;
  std::vector<ValueName> values;
  std::vector<WeightName> weights;      // of the model
  std::vector<WeightName> blockWeights; // of each layer
  /// Where folders keep the layers: the first spelling under which there is an embedding table counts for "model." in names.
  std::vector<std::string_view> places = {"model.", ""};
  std::string_view layers = "model.layers.*."; // * is the layer's number
  int64_t firstPosition = 0;                   // rows of a table of positions that no text uses: the first token stands there
  std::vector<Rule> settingRules, tensorRules; // before the reader's (Checkpoint.h)
  void (*build)(GraphBuilder &graph);
};

} // namespace heddle

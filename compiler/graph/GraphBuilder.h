//===- GraphBuilder.h - writes a Transformer as its author would draw it --------------------------------------------===//
//
// An architecture file says the model's equations through this class; the result is stage 0, `graph`. Values are tensors
// [tokens × features] of f32; weights are symbols that keep the file's names and formats.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/graph/ModelSource.h"
#include "ir/dialect/Dialect.h"
#include "llvm/ADT/DenseSet.h"
#include <functional>
#include <map>

namespace heddle {

/// The shape that a weight must have, [rows, columns] or [elements], and what its dimensions are, for people.
struct Shape {
  std::vector<int64_t> dims;
  const char *meaning = "";
};

/// How positions turn (heddle.rope_table).
struct Rotation {
  double base, linearScale = 1;
  std::vector<double> factors;          // empty, or one for each pair
  std::vector<double> longFactors = {}; // those of served contexts longer than `original` positions
  int64_t original = 0;
  double magnitude = 1; // of cos and sin
};

class GraphBuilder {
public:
  using Value = mlir::Value;
  /// Whether a weight has a bias beside it, NAME.bias, of one element a row, of a vector as many as it has itself.
  enum class Bias { None, IfThere, Needed };
  /// A weight with its bias, which is null where it has none.
  struct Weight {
    Weight(Value value = {}, Value bias = {}) : value(value), bias(bias) {}
    operator Value() const { return value; }
    Value value, bias;
  };
  /// Where a weight is some rows of another role's tensor: [first, first + its own) of that tensor's `rows`.
  struct Part {
    const char *of = nullptr; // null: a tensor of its own
    int64_t first = 0, rows = 0;
  };
  /// A weight of a block: its tensor is blk.<layer>.<role>.weight.
  struct Role {
    const char *name;
    Shape shape;
    Bias bias = Bias::None;
    Part part = {};
  };
  /// The weights of the block being built, by role: weight("attn_q") is the block's argument of that name.
  using Weights = std::function<Weight(llvm::StringRef role)>;

  GraphBuilder(mlir::MLIRContext *context, const ModelSource &model);

  // ---- declarations ----
  void declareRope(llvm::StringRef name, int64_t dims, const Rotation &rotation);
  void declareState(llvm::StringRef name, int64_t layers, int64_t heads, int64_t kvHeads, int64_t headDim);
  /// Starts an entry.
  void beginEntry(llvm::StringRef name);
  /// Ends it with its results: for a decoder, logits [wanted rows × vocabulary].
  void endEntry(mlir::ValueRange results);

  // ---- equations ----
  /// A weight of the file, NAME.weight, in an entry. Throws CompileError where it is missing or of another shape.
  Weight weight(llvm::StringRef tensor, const Shape &shape, Bias bias = Bias::None) {
    return weight(tensor, shape, bias, tensor, {});
  }
  Value batch(ir::BatchList list);           // ids, positions … [T]
  Value embed(Value table, float scale = 1); // of the tokens' ids, [T × width]
  Value linear(Value x, const Weight &w);    // x · Wᵀ + b
  /// The `choices` experts of each token with the largest scores [T × experts], and how much each counts: a softmax over their
  /// scores or, `overAll`, over all.
  struct Choices {
    Value weights, experts; // [T × choices] of f32, of i32
  };
  Choices chooseExperts(Value scores, int64_t choices, bool overAll = false);
  /// The product with each chosen expert's weights, [experts × rows × columns]: [T · choices × rows]. x has a row for each token,
  /// or for each choice where it comes from another such product.
  Value expertLinear(Value x, const Weight &w, const Choices &chosen);
  Value sumExperts(Value x, const Choices &chosen); // [T · choices × width], by what each counts: [T × width]
  Value embedPositions(Value table);                // of the tokens' places in their texts, [T × width]
  Value embedTypes(Value table);                    // of the parts of a text that they belong to, [T × width]
  Value layerNorm(Value x, const Weight &w, float eps);
  Value rmsNorm(Value x, Value weight, float eps, int64_t groups = 1);
  Value rope(Value x, llvm::StringRef table, int64_t heads, ir::RopeStyle style);
  Value add(Value a, Value b);
  Value mul(Value a, Value b);
  Value scale(Value x, float by); // x itself by 1
  Value activate(Value x, ir::Activation function);
  Value wantedRows(Value x); // the tokens whose logits are wanted
  /// One row of each sequence, [S × width]: of its first or last token, or the mean of all.
  enum class Pooling { First, Last, Mean };
  Value pool(Value x, Pooling how);
  Value normalize(Value x); // each row by its length
  struct Attention {
    std::string state; // empty: an encoder's, whose tokens see all of their own text
    int64_t heads, kvHeads, headDim;
    float scale;
    int64_t window = 0; // 0: causal over everything
    float softCap = 0;
    Value sinks = {}; // [heads]
  };
  Value attention(Value q, Value k, Value v, const Attention &how);

  /// x after block number `layer` of kind `kind`. `body` is run once per distinct kind and formats of its weights: equal blocks
  /// share one function.
  Value block(llvm::StringRef kind, int64_t layer, Value x, llvm::ArrayRef<Role> roles,
              const std::function<Value(Value x, const Weights &weights)> &body);

  /// The graph, each op of which knows its line and its role (compiler/provenance).
  mlir::OwningOpRef<mlir::ModuleOp> take();
  const ModelSource &model() const { return model_; }

private:
  TensorInfo tensorOf(llvm::StringRef tensor, const Shape &shape);
  Weight weight(llvm::StringRef name, const Shape &shape, Bias bias, llvm::StringRef tensor, const Part &part);
  Value declaredWeight(llvm::StringRef name, const Shape &shape, llvm::StringRef tensor, const Part &part);
  Value made(Value value, bool ofChoices);
  Value lookUp(ir::BatchList list, Value table, mlir::FloatAttr scale);
  mlir::RankedTensorType rowsType(int64_t features);

  const ModelSource &model_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  mlir::OpBuilder builder_;
  mlir::Location loc_;
  mlir::func::FuncOp entry_;
  llvm::DenseSet<Value> ofChoices_;                  // values with a row for each choice of an expert
  Value layer_;                                      // of the block being built
  std::map<std::string, mlir::func::FuncOp> blocks_; // by kind and weight types
};

} // namespace heddle

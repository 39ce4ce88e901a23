//===- ProvenanceTest.cpp - every op of every stage knows the line, the layers and the role that it came from -------===//
#include "compiler/provenance/Provenance.h"
#include "compiler/architectures/Architectures.h"
#include "compiler/provenance/StageOrigins.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "tests/support/TinyModel.h"
#include "llvm/ADT/StringExtras.h"
#include <gtest/gtest.h>
#include <set>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;
namespace fs = std::filesystem;

namespace {

TinyConfig config(const char *architecture, Format format) {
  TinyConfig c;
  c.architecture = architecture, c.weights = format;
  c.kvHeads = c.architecture == "gpt2" ? c.heads : 2;
  c.window = c.architecture == "gemma3" ? 4 : 0;
  c.embeddingScale = c.residualScale = c.logitScale = c.architecture == "granite" ? 0.5 : 1;
  return c;
}

class Graph {
public:
  explicit Graph(const TinyConfig &config) : context_(registry(), mlir::MLIRContext::Threading::DISABLED) {
    std::string folder = (fs::temp_directory_path() / "heddle-provenance-XXXXXX").string();
    if (!mkdtemp(folder.data()))
      throw std::runtime_error("cannot make a temporary folder");
    writeGguf(makeTinyModel(config), fs::path(folder) / "tiny.gguf");
    const std::unique_ptr<Checkpoint> checkpoint = openCheckpoint(fs::path(folder) / "tiny.gguf");
    const ModelSource model(*checkpoint, familyOf(*checkpoint));
    module_ = buildGraph(&context_, model);
    fs::remove_all(folder);
  }
  mlir::ModuleOp module() { return *module_; }
  /// From the text of the stage, as a saved one is read.
  void readAgain(Stage stage) {
    module_ = mlir::parseSourceString<mlir::ModuleOp>(printStage(*module_, stage), mlir::ParserConfig(&context_), "saved.mlir");
    nameOrigins(*module_);
  }
  void advance(Stage stage, std::unique_ptr<mlir::PassInstrumentation> watch = nullptr) {
    mlir::PassManager passes(&context_);
    if (watch)
      passes.addInstrumentation(std::move(watch));
    addStagePasses(passes, stage, {}, Target::Avx2);
    ASSERT_TRUE(succeeded(passes.run(*module_)));
  }

private:
  static mlir::DialectRegistry registry() {
    mlir::DialectRegistry all;
    registerAllStages(all);
    return all;
  }
  mlir::MLIRContext context_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

std::set<std::string> rolesAt(mlir::Operation *top) {
  std::set<std::string> roles;
  top->walk([&](mlir::Operation *op) {
    for (const Origin &origin : originsOf(op->getLoc()))
      roles.insert(origin.role.str());
  });
  return roles;
}

std::set<std::string> rolesOfCompute(mlir::Operation *top) {
  std::set<std::string> roles;
  top->walk([&](ir::ComputeOp op) {
    for (const Origin &origin : originsOf(op->getLoc()))
      roles.insert(origin.role.str());
  });
  return roles;
}

/// After each pass: no op is from nowhere, but for constants and the casts that conversions leave for a while, and no compute op
/// of the graph has left no trace.
class Watch : public mlir::PassInstrumentation {
public:
  explicit Watch(std::set<std::string> roles, size_t &passes) : roles_(std::move(roles)), passes_(passes) {}
  void runAfterPass(mlir::Pass *pass, mlir::Operation *module) override {
    ++passes_;
    std::set<std::string> lost;
    module->walk([&](mlir::Operation *op) {
      if (originsOf(op->getLoc()).empty() && !op->hasTrait<mlir::OpTrait::ConstantLike>() &&
          !mlir::isa<mlir::UnrealizedConversionCastOp>(op))
        lost.insert(op->getName().getStringRef().str());
    });
    EXPECT_EQ(llvm::join(lost, " "), "") << "after " << pass->getName().str();
    std::set<std::string> now = rolesAt(module);
    for (const std::string &role : roles_)
      EXPECT_TRUE(now.contains(role)) << "after " << pass->getName().str() << " nothing comes from " << role;
  }

private:
  std::set<std::string> roles_;
  size_t &passes_;
};

class Provenance : public testing::TestWithParam<TinyConfig> {};

TEST_P(Provenance, IsKnownInTheGraph) {
  Graph graph(GetParam());
  std::vector<std::string> lines;
  const std::string text = printStage(graph.module(), Stage::Graph);
  for (llvm::StringRef rest = text; !rest.empty();) {
    auto [line, tail] = rest.split('\n');
    lines.push_back(line.str());
    rest = tail;
  }
  size_t ops = 0;
  std::set<unsigned> seen;
  graph.module()->walk([&](mlir::Operation *op) {
    auto origins = originsOf(op->getLoc());
    ASSERT_FALSE(origins.empty()) << op->getName().getStringRef().str();
    for (const Origin &origin : origins) {
      EXPECT_EQ(origin.line.getFilename(), "0-graph.mlir");
      ASSERT_LE(origin.line.getLine(), lines.size());
      llvm::StringRef line = lines[origin.line.getLine() - 1], name = op->getName().getStringRef();
      EXPECT_TRUE(line.contains(name) || line.contains(op->getName().stripDialect()))
          << name.str() << " is not at: " << line.str();
      seen.insert(origin.line.getLine());
    }
    ++ops;
  });
  EXPECT_EQ(seen.size(), ops); // each on a line of its own
  std::set<std::string> roles = rolesAt(graph.module());
  for (const char *role :
       {"token_embd", "attn_norm", "attention", "attn_output", "attn_output.add", "ffn_up", "output_norm", "output"})
    EXPECT_TRUE(roles.contains(
        GetParam().architecture == "gemma3" && role == std::string("attn_output.add") ? "post_attention_norm.add" : role))
        << role;
}

TEST_P(Provenance, NamesTheLayers) {
  Graph graph(GetParam());
  std::set<std::string> calls, inside;
  graph.module()->walk([&](mlir::Operation *op) {
    const Origin origin = originsOf(op->getLoc()).front();
    if (mlir::isa<mlir::func::CallOp>(op))
      calls.insert(origin.layers.str());
    else if (mlir::isa<ir::AttentionOp>(op))
      inside.insert(origin.layers.str());
    else if (auto get = mlir::dyn_cast<ir::GetOp>(op); get && get.getWeight().starts_with("blk.1."))
      EXPECT_EQ(origin.layers, "1");
  });
  EXPECT_EQ(calls, (std::set<std::string>{"0", "1"}));
  EXPECT_EQ(llvm::join(inside, " "), inside.size() == 2 ? "0 1" : "0-1");
}

TEST_P(Provenance, OutlivesEveryPass) {
  Graph graph(GetParam());
  const std::set<std::string> roles = rolesOfCompute(graph.module());
  size_t passes = 0;
  for (Stage stage : {Stage::Fused, Stage::Sharded, Stage::Planned, Stage::Kernels, Stage::Loops, Stage::Llvm})
    graph.advance(stage, std::make_unique<Watch>(roles, passes));
  EXPECT_GT(passes, 30u);
}

/// What a stage's text says is enough for the weights' roles, and for those of ops that have a name of their own. From kernels on
/// it has the names of kernels: those of an entry, and attention's, do not say their weights.
TEST_P(Provenance, IsFoundAgainInSavedStages) {
  for (Stage saved : {Stage::Graph, Stage::Fused, Stage::Sharded, Stage::Planned, Stage::Kernels, Stage::Loops}) {
    SCOPED_TRACE(kStageNames[static_cast<size_t>(saved)]);
    Graph graph(GetParam());
    std::set<std::string> roles;
    for (const std::string &role : rolesOfCompute(graph.module()))
      if (role.find('.') == std::string::npos &&
          (saved < Stage::Kernels ||
           !std::set<std::string>{"token_embd", "position_embd", "output_norm", "attn_q_norm", "attn_k_norm"}.contains(role)))
        roles.insert(role);
    for (int stage = 1; stage <= static_cast<int>(saved); ++stage)
      graph.advance(static_cast<Stage>(stage));
    graph.readAgain(saved);
    std::set<std::string> found = rolesAt(graph.module());
    for (const std::string &role : roles)
      EXPECT_TRUE(found.contains(role)) << role;
    size_t passes = 0;
    for (int stage = static_cast<int>(saved) + 1; stage <= static_cast<int>(Stage::Kernels); ++stage) // loops take their time
      graph.advance(static_cast<Stage>(stage), std::make_unique<Watch>(roles, passes));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Provenance,
                         testing::Values(config("llama", Format::Q4_0), config("gemma3", Format::F16),
                                         config("granite", Format::F32), config("gpt2", Format::Q8_0)),
                         [](const auto &info) { return info.param.architecture; });

/// What a fused op did is known by all it replaced, and shown by its weights.
TEST(ProvenanceOfFusions, IsOfAllOpsReplaced) {
  Graph graph(config("llama", Format::Q4_0));
  graph.advance(Stage::Fused);
  std::vector<std::string> shown;
  std::set<std::string> attention;
  graph.module().lookupSymbol<mlir::func::FuncOp>("decoder_block").walk([&](ir::ComputeOp op) {
    shown.push_back(rolesOf(op->getLoc()));
    if (mlir::isa<ir::AttentionOp>(op))
      attention = rolesAt(op);
  });
  // Heads of 16 are quantised after attention: what no op of the graph says comes from where the value was made.
  EXPECT_EQ(shown,
            (std::vector<std::string>{"attn_norm", "attn_q+attn_k+attn_v", "attention+attn_k.rope", "attention+attn_q.rope",
                                      "attention+attn_q.rope", "attn_output", "ffn_norm", "ffn_gate+ffn_up", "ffn_down"}));
  EXPECT_EQ(attention, (std::set<std::string>{"attention", "attn_q.rope"}));
}

/// A kernel is named after all that it is called for.
TEST(ProvenanceOfKernels, IsOfAllCalls) {
  Graph graph(config("llama", Format::Q4_0));
  for (Stage stage : {Stage::Fused, Stage::Sharded, Stage::Planned, Stage::Kernels})
    graph.advance(stage);
  auto norm = graph.module().lookupSymbol<mlir::func::FuncOp>("rms_norm");
  ASSERT_TRUE(norm);
  EXPECT_EQ(rolesOf(norm.getLoc()), "attn_norm+ffn_norm+output_norm");
  norm.walk([&](ir::TileRmsNormOp tile) { EXPECT_EQ(rolesOf(tile.getLoc()), "attn_norm+ffn_norm+output_norm"); });
}

/// The file for `heddle inspect` has each line of the stage that holds an op.
TEST(ProvenanceOfText, IsByLine) {
  Graph graph(config("llama", Format::Q4_0));
  StageOrigins origins;
  auto see = [&](Stage stage) {
    StageLines lines;
    printStage(graph.module(), stage, &lines);
    origins.add(graph.module(), stage, lines);
  };
  see(Stage::Graph);
  graph.advance(Stage::Fused);
  see(Stage::Fused);
  std::string json = origins.json();
  EXPECT_NE(json.find(R"("first":"graph")"), std::string::npos);
  EXPECT_NE(json.find(R"("attn_q.rope","0-1"])"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("fused":[[)"), std::string::npos);
}

} // namespace

//===- Compilation.cpp - one model on its way through the stages -----------------------------------------------------===//
#include "compiler/driver/Compilation.h"
#include "compiler/architectures/Architectures.h"
#include "compiler/driver/StageText.h"
#include "compiler/provenance/DebugScopes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "runtime/plan/HostCache.h"
#include "runtime/plan/Targets.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

using namespace mlir;
using namespace heddle;

static Target chooseTarget(const std::string &name) {
  if (name.empty()) {
    std::vector<std::string> host = hostTargets();
    if (host.empty())
      throw CompileError("this CPU is older than x86-64-v3 (AVX2, FMA): name another with --target");
    return *targetByName(host.front());
  }
  if (auto known = targetByName(name))
    return *known;
  throw CompileError("unknown target '" + name + "': choose " + targetChoices());
}

/// "line 68, column 5: " of a text that was read, "line 68 of stage graph (attn_q): " of a graph that was made.
static std::string placeOf(Location location) {
  auto line = location->findInstanceOf<FileLineColLoc>();
  if (!line)
    return "";
  std::string place = "line " + std::to_string(line.getLine());
  if (line.getColumn())
    return place + ", column " + std::to_string(line.getColumn()) + ": ";
  return place + " of stage graph (" + rolesOf(location) + "): ";
}

static std::string firstLine(std::string text) {
  if (size_t end = text.find('\n'); end != std::string::npos)
    text.resize(end);
  return text;
}

Compilation::Compilation(std::string name, const CompileOptions &options)
    : name_(std::move(name)), target_(chooseTarget(options.target)),
      shape_{options.tiling.empty() ? target_ : chooseTarget(options.tiling),
             options.cacheBytes ? options.cacheBytes : hostCacheBytes(),
             options.prefetchBytes >= 0 ? options.prefetchBytes : hostPrefetchBytes()},
      debugInfo_(options.debugInfo), context_(MLIRContext::Threading::DISABLED) {
  DialectRegistry registry;
  registerAllStages(registry);
  context_.appendDialectRegistry(registry);
  context_.loadAllAvailableDialects();
  context_.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && diagnostics_.empty()) {
      llvm::raw_string_ostream out(diagnostics_);
      out << placeOf(diagnostic.getLocation()) << diagnostic.str();
    }
    return success();
  });
}

void Compilation::verifyModule() {
  if (failed(verify(*module_)))
    throw CompileError(name_ + ": " + firstLine(diagnostics_));
}

void Compilation::begin(const ModelSource &model, KvType kvType) {
  refuseUnsupported(model.checkpoint(), model.rules());
  module_ = buildGraph(&context_, model);
  refuseUnread(model.checkpoint(), model.rules());
  for (auto state : module_->getOps<ir::StateOp>())
    if (state.getKind() == ir::StateKind::Paged || state.getKind() == ir::StateKind::Fixed) // what takes memory for long
      state.setType(kvType == KvType::Q8 ? ir::CacheType::Q8 : ir::CacheType::F16);
  verifyModule();
}

/// Tiles carry how the KV cache is laid out: an edited stage must not have them and the declaration, which sizes the cache,
/// differ.
static LogicalResult checkTiles(ModuleOp module) {
  auto agrees = [&](auto tile, Value memory) -> WalkResult {
    auto pages = memory.getDefiningOp<ir::PagesOp>();
    auto state = pages ? module.lookupSymbol<ir::StateOp>(pages.getState()) : ir::StateOp();
    if (!state)
      return tile.emitOpError("does not get its memory from heddle.pages"), WalkResult::interrupt();
    if (tile.getType() != state.getType() || tile.getHeadDim() != state.getHeadDim())
      return tile.emitOpError("has another type or head_dim than ") << state.getSymName(), WalkResult::interrupt();
    return WalkResult::advance();
  };
  WalkResult result = module.walk([&](Operation *op) {
    return llvm::TypeSwitch<Operation *, WalkResult>(op)
        .Case<ir::TileStoreKvOp, ir::TileAttentionOp, ir::TileAttendChunksOp>(
            [&](auto tile) { return agrees(tile, tile.getKv()); })
        .Default(WalkResult::advance());
  });
  return failure(result.wasInterrupted());
}

/// A saved stage says which one it is in its first line: `// stage 2: sharded`.
void Compilation::begin(const std::filesystem::path &file) {
  std::ifstream in(file);
  std::ostringstream read;
  if (!(read << in.rdbuf())) // also where nothing came
    throw CompileError(file.string() + ": is empty or cannot be read: check the path");
  std::string text = read.str();
  StringRef first = StringRef(text).split('\n').first;
  std::optional<Stage> stage = stageByName(first.rsplit(": ").second.trim());
  if (!first.starts_with("// stage ") || !stage || *stage == Stage::Llvm)
    throw CompileError(file.string() +
                       ": the first line must name a stage that can be resumed, as \"// stage 1: fused\" (graph to loops)");
  if (std::string problem = misplacedValue({text.data(), text.size()}); !problem.empty())
    throw CompileError(file.string() + ": " + problem);
  module_ = parseSourceString<ModuleOp>(text, ParserConfig(&context_), file.string());
  if (!module_)
    throw CompileError(file.string() + ": " + firstLine(diagnostics_));
  stage_ = *stage;
  name_ = file.string(); // what goes wrong from here on is the file's, not the model's
  verifyModule();
  if (llvm::none_of(module_->getOps<func::FuncOp>(), [](func::FuncOp f) { return f.isPublic() && !f.isDeclaration(); }))
    throw CompileError(file.string() + ": the stage has no entry, which is a public function with a body: keep it and its name");
  for (auto function : module_->getOps<func::FuncOp>())
    if (function.isPublic() && function.getNumArguments())
      throw CompileError(file.string() + ": entry " + function.getName().str() +
                         " must have no arguments: what a step is given comes from heddle.batch");
  if (stage_ >= Stage::Planned && failed(checkTiles(*module_)))
    throw CompileError(file.string() + ": " + firstLine(diagnostics_));
  nameOrigins(*module_);
}

void Compilation::advance(Stage to, const std::function<void(Stage)> &seen) {
  auto show = [&] {
    if (seen)
      seen(stage_);
  };
  if (!std::exchange(seenFirst_, true))
    show();
  while (stage_ < to) {
    Stage next = static_cast<Stage>(static_cast<int>(stage_) + 1);
    PassManager passes(&context_, ModuleOp::getOperationName());
    passes.enableVerifier(true); // after every pass
    addStagePasses(passes, next, shape_, target_);
    if (failed(passes.run(*module_)))
      throw CompileError(name_ + ": stage " + kStageNames[static_cast<size_t>(next)] + ": " + firstLine(diagnostics_));
    stage_ = next;
    if (debugInfo_ && stage_ == Stage::Llvm)
      addDebugScopes(*module_, origins_);
    show();
  }
}

std::string Compilation::print() {
  StageLines lines;
  std::string text = printStage(*module_, stage_, &lines);
  origins_.add(*module_, stage_, lines);
  if (debugInfo_ && stage_ == Stage::Loops)
    rememberLines(*module_, lines);
  return text;
}

/// Rows of the smallest table that `list` is looked up in, directly or in a function that is called with it; none: INT64_MAX.
static int64_t smallestTable(Value list, int depth = 0) {
  int64_t least = INT64_MAX;
  if (depth == 16) // functions that call each other for ever are refused elsewhere
    return least;
  for (OpOperand &use : list.getUses()) {
    Operation *op = use.getOwner();
    Value table;
    if (auto embed = dyn_cast<ir::EmbedOp>(op); embed && embed.getIds() == list)
      table = embed.getTable();
    else if (auto tile = dyn_cast<ir::TileEmbedOp>(op); tile && tile.getIds() == list)
      table = tile.getTable();
    else if (auto call = dyn_cast<func::CallOp>(op))
      if (auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
          callee && !callee.isExternal())
        least = std::min(least, smallestTable(callee.getArgument(use.getOperandNumber()), depth + 1));
    if (table)
      least = std::min(least, cast<ShapedType>(table.getType()).getDimSize(0));
  }
  return least;
}

/// Throws where an op reads `value`, one of the batch's lists, for what it does not hold: a token's number where an id belongs.
/// An edited stage may.
static void checkUses(ir::BatchList list, Value value, int depth = 0) {
  using enum ir::BatchList;
  if (depth == 16)
    return;
  for (OpOperand &use : value.getUses()) {
    Operation *op = use.getOwner();
    bool good = true;
    if (isa<ir::EmbedOp, ir::TileEmbedOp>(op))
      good = list == Ids || list == Positions || list == Types;
    else if (isa<ir::SelectRowsOp>(op))
      good = list == Wanted || list == First || list == Last;
    else if (auto mean = dyn_cast<ir::MeanRowsOp>(op))
      good = list == (value == mean.getFirst() ? First : Last) && mean.getFirst() != mean.getLast();
    else if (auto call = dyn_cast<func::CallOp>(op))
      if (auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
          callee && !callee.isExternal())
        checkUses(list, callee.getArgument(use.getOperandNumber()), depth + 1);
    if (!good)
      throw CompileError("the stage's " + op->getName().getStringRef().str() + " takes the batch's list " +
                         stringifyBatchList(list).str() + ", which it cannot use: mend the stage");
  }
}

/// Values of a list are below `bound`. An edited stage may have a smaller table; the graph of a family checks its tables' shapes.
static void checkLookups(ir::BatchOp list, int64_t bound, const char *what) {
  if (int64_t rows = smallestTable(list.getResult()); rows < bound)
    throw CompileError("the stage looks up " + std::string(what) + " below " + std::to_string(bound) + " in a table of " +
                       std::to_string(rows) + " rows: mend the stage");
}

Manifest heddle::describe(const Compilation &compilation, const ModelSource &model) {
  Manifest m = describe(compilation.module());
  m.name = llvm::json::fixUTF8(model.title()); // a file may be called anything
  m.architecture = model.architecture();
  m.vocabulary = model.vocabularySize();
  m.width = model.integer("embedding_length").value_or(0);
  m.context = model.positions();
  int64_t types = INT64_MAX;
  compilation.module().walk([&](ir::BatchOp op) {
    checkUses(op.getList(), op.getResult());
    if (op.getList() == ir::BatchList::Ids)
      checkLookups(op, m.vocabulary, "ids");
    else if (op.getList() == ir::BatchList::Positions)
      checkLookups(op, m.context, "positions");
    else if (op.getList() == ir::BatchList::Types)
      types = std::min(types, smallestTable(op.getResult()));
  });
  m.tokenTypes = types == INT64_MAX ? 1 : types; // of those that all of its tables know
  return m;
}

static StateKind kindOf(ir::StateOp state) {
  switch (state.getKind()) {
  case ir::StateKind::Paged:
    return StateKind::Paged;
  case ir::StateKind::Fixed:
    return StateKind::Fixed;
  case ir::StateKind::Recurrent:
    return StateKind::Recurrent;
  case ir::StateKind::Transient:
    return StateKind::Transient;
  }
}

/// The outputs of a planned entry, in order, and what it does with which of the `states`.
static Entry describeEntry(func::FuncOp function, const std::vector<StateEntry> &states) {
  std::map<int64_t, EntryOutput> outputs;
  function.walk([&](ir::OutputOp op) {
    auto count = op.getRows().getDefiningOp<ir::CountOp>();
    RowsOf rows = count && count.getRows() == ir::RowCount::Wanted      ? RowsOf::Wanted
                  : count && count.getRows() == ir::RowCount::Sequences ? RowsOf::Sequences
                                                                        : RowsOf::Tokens;
    outputs[op.getNumber()] = {rows, static_cast<int64_t>(op.getColumns()), cast<MemRefType>(op.getType()).getDimSize(1)};
  });
  Entry entry{function.getName().str(), {}};
  for (auto &[number, output] : outputs) {
    if (number != static_cast<int64_t>(entry.outputs.size()))
      throw CompileError("the stage's entry " + entry.name + " has no output number " + std::to_string(entry.outputs.size()));
    entry.outputs.push_back(output);
  }
  for (const ir::StateAccess &use : ir::stateAccesses(function)) {
    auto state = std::ranges::find(states, use.state.getValue().str(), &StateEntry::name);
    entry.states.push_back({state - states.begin(), use.access == ir::Access::Read    ? Access::Read
                                                    : use.access == ir::Access::Write ? Access::Write
                                                                                      : Access::Update});
  }
  return entry;
}

std::map<std::string, std::string> heddle::weightExpressions(ModuleOp module) {
  std::map<std::string, std::string> all;
  for (auto weight : module.getOps<ir::WeightOp>())
    all[weight.getSymName().str()] = weight.getFrom().value_or("").str();
  return all;
}

Manifest heddle::describe(ModuleOp module) {
  Manifest m{};
  auto bytes = module->getAttrOfType<IntegerAttr>("heddle.arena_bytes_per_token");
  if (!bytes)
    throw CompileError("the stage has no heddle.arena_bytes_per_token: go on from an unedited line of it");
  m.arenaBytesPerToken = bytes.getInt();
  for (auto weight : module.getOps<ir::WeightOp>()) {
    auto type = cast<RankedTensorType>(weight.getType());
    StringRef format = ir::formatName(type.getElementType());
    WeightEntry entry;
    entry.name = weight.getSymName().str();
    entry.format = *formatByName(std::string_view(format.data(), format.size()));
    entry.packed = type.getRank() > 1;
    entry.columns = type.getShape().back();
    entry.rows = entry.packed ? type.getNumElements() / entry.columns : 1;
    entry.experts = type.getRank() == 3 ? type.getDimSize(0) : 1;
    entry.share = ShareKind::Whole, entry.unitRows = 0, entry.group = 1;
    if (std::optional<ir::ShardAttr> shard = weight.getShare()) {
      entry.share = shard->getUnit() == ir::Unit::Heads     ? ShareKind::Heads
                    : shard->getUnit() == ir::Unit::KvHeads ? ShareKind::KvHeads
                                                            : ShareKind::Rows;
      entry.unitRows = shard->getSize();
      entry.group = shard->getGroup();
    }
    entry.offset = entry.bytes = 0;
    m.weights.push_back(std::move(entry));
  }
  for (auto rope : module.getOps<ir::RopeTableOp>()) {
    RopeTable table{
        rope.getBase().convertToDouble(), static_cast<int64_t>(rope.getDims()), rope.getLinearScale().convertToDouble(), {}};
    if (auto factors = rope.getFactors())
      table.factors.assign(factors->begin(), factors->end());
    if (auto factors = rope.getLongFactors()) {
      table.longFactors.assign(factors->begin(), factors->end());
      table.original = static_cast<int64_t>(*rope.getOriginal());
    }
    if (auto magnitude = rope.getMagnitude())
      table.magnitude = magnitude->convertToDouble();
    m.ropes.push_back(std::move(table));
  }
  for (auto state : module.getOps<ir::StateOp>()) {
    ir::KvGeometry g = state.geometry();
    m.states.push_back({state.getSymName().str(), g.layers, g.heads, g.kvHeads, g.headDim,
                        g.type == ir::CacheType::Q8 ? KvType::Q8 : KvType::F16, kindOf(state),
                        static_cast<int64_t>(state.getFeatures())});
  }
  m.frameVersion = kFrameVersion;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isDeclaration())
      m.entries.push_back(describeEntry(function, m.states));
  return m;
}

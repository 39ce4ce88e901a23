//===- DebugScopes.cpp - locations as debuggers and profilers read them ---------------------------------------------===//
#include "compiler/provenance/DebugScopes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/BinaryFormat/Dwarf.h"

using namespace mlir;
using namespace heddle;

void heddle::rememberLines(ModuleOp module, const StageLines &loops) {
  StringAttr file = StringAttr::get(module.getContext(), stageFileName(Stage::Loops));
  for (auto [op, line] : loops)
    op->setLoc(FusedLoc::get(module.getContext(), {op->getLoc(), FileLineColLoc::get(file, line, 0)}));
}

/// The remembered line: the one that stands in no name.
static unsigned lineOf(Location location) {
  unsigned found = 0;
  if (auto line = dyn_cast<FileLineColLoc>(location))
    found = line.getLine();
  else if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (unsigned line = lineOf(part); line && !found)
        found = line;
  return found;
}

namespace {
class Scopes {
public:
  Scopes(ModuleOp module, const StageOrigins &origins) : context_(module.getContext()), origins_(origins) {
    loops_ = file(Stage::Loops), first_ = file(origins.first());
    unit_ = LLVM::DICompileUnitAttr::get(unique(), llvm::dwarf::DW_LANG_C, loops_, StringAttr::get(context_, "heddle"),
                                         /*isOptimized=*/true, LLVM::DIEmissionKind::Full);
    type_ = LLVM::DISubroutineTypeAttr::get(context_, llvm::dwarf::DW_CC_normal, {});
  }

  void add(LLVM::LLVMFuncOp function) {
    const Location where = function.getLoc();
    const unsigned line = lineOf(where);
    const auto own = subprogram(function.getName(), function.getName(), line);
    roles_.clear();
    function.walk([&](Operation *op) {
      if (op != function)
        op->setLoc(scoped(op->getLoc(), where, own));
    });
    function->setLoc(FusedLoc::get({FileLineColLoc::get(loops_.getName(), line, 0)}, own, context_));
  }

private:
  LLVM::DIFileAttr file(Stage stage) { return LLVM::DIFileAttr::get(context_, "ir/" + stageFileName(stage), ""); }
  DistinctAttr unique() { return DistinctAttr::create(UnitAttr::get(context_)); }

  LLVM::DISubprogramAttr subprogram(StringRef name, StringRef symbol, unsigned line) {
    return LLVM::DISubprogramAttr::get(unique(), unit_, loops_, name, symbol, loops_, line, line,
                                       LLVM::DISubprogramFlags::Definition | LLVM::DISubprogramFlags::Optimized, type_);
  }

  /// What has no line or role of its own (constants) has its function's.
  Location scoped(Location location, Location function, LLVM::DISubprogramAttr own) {
    const unsigned line = lineOf(location) ? lineOf(location) : lineOf(function);
    const Location from = originsOf(location).empty() ? function : location;
    const Location text = FileLineColLoc::get(loops_.getName(), line, 0);
    const std::string roles = rolesOf(from);
    if (roles.empty())
      return FusedLoc::get({text}, own, context_);
    LLVM::DISubprogramAttr &role = roles_[roles];
    if (!role)
      role = subprogram(roles, "", own.getLine());
    Location inside = FusedLoc::get({text}, role, context_);
    auto graph = LLVM::DILexicalBlockFileAttr::get(own, first_, /*discriminator=*/0);
    Location at = FusedLoc::get({FileLineColLoc::get(first_.getName(), origins_.firstLine(from), 0)}, graph, context_);
    return CallSiteLoc::get(inside, at);
  }

  MLIRContext *context_;
  const StageOrigins &origins_;
  LLVM::DIFileAttr loops_, first_;
  LLVM::DICompileUnitAttr unit_;
  LLVM::DISubroutineTypeAttr type_;
  std::map<std::string, LLVM::DISubprogramAttr> roles_; // of the function being done
};
} // namespace

void heddle::addDebugScopes(ModuleOp module, const StageOrigins &origins) {
  Scopes scopes(module, origins);
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal())
      scopes.add(function);
}

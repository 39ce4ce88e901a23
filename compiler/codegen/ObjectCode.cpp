//===- ObjectCode.cpp - LLVM IR, assembly and shared objects ---------------------------------------------------------===//
#include "compiler/codegen/ObjectCode.h"
#include "compiler/codegen/BroadcastLoads.h"
#include "compiler/graph/ModelSource.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "runtime/plan/Frame.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCAsmBackend.h"
#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCCodeEmitter.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCObjectFileInfo.h"
#include "llvm/MC/MCObjectWriter.h"
#include "llvm/MC/MCParser/MCAsmParser.h"
#include "llvm/MC/MCParser/MCTargetAsmParser.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

using namespace heddle;

namespace {
struct TargetOptions {
  const char *cpu, *features, *vectorWidth;
};
TargetOptions optionsOf(Target target) {
  switch (target) {
  case Target::Avx512Vnni:
    return {"x86-64-v4", "+avx512vnni", "512"};
  case Target::Avx512:
    return {"x86-64-v4", "", "512"};
  case Target::Avx2Vnni:
    return {"x86-64-v3", "+avxvnni", "256"};
  case Target::Avx2:
    return {"x86-64-v3", "", "256"};
  }
  llvm_unreachable("not a target");
}

std::unique_ptr<llvm::TargetMachine> makeMachine(Target target) {
  static bool once =
      (llvm::InitializeNativeTarget(), llvm::InitializeNativeTargetAsmPrinter(), llvm::InitializeNativeTargetAsmParser(), true);
  (void)once;
  std::string error, triple = llvm::sys::getDefaultTargetTriple();
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    throw CompileError("LLVM has no backend for " + triple + ": " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict; // only what the IR calls fma is one (docs/arithmetic.md)
  TargetOptions chosen = optionsOf(target);
  return std::unique_ptr<llvm::TargetMachine>(backend->createTargetMachine(
      triple, chosen.cpu, chosen.features, options, llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}
} // namespace

ObjectCode::ObjectCode(mlir::ModuleOp module, Target target) : target_(target), context_(std::make_unique<llvm::LLVMContext>()) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  module_ = mlir::translateModuleToLLVMIR(module, *context_, "heddle");
  if (!module_)
    throw CompileError("the llvm stage cannot be translated to LLVM IR: this is a bug, please report it");
  auto machine = makeMachine(target);
  module_->setTargetTriple(machine->getTargetTriple().str());
  module_->setDataLayout(machine->createDataLayout());
  TargetOptions chosen = optionsOf(target);
  for (llvm::Function &function : *module_) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", chosen.cpu);
    function.addFnAttr("target-features", chosen.features);
    function.addFnAttr("prefer-vector-width", chosen.vectorWidth); // LLVM prefers 256 bits on x86-64-v4 otherwise
    function.addFnAttr("min-legal-vector-width", chosen.vectorWidth);
    if (!function.getName().starts_with(kEntryPrefix))
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    // A wide register that waits on the stack fills a cache line. Where callers leave the stack decides else whether it crosses
    // two (6% of a gated product's time).
    if (hasWideRegisters(target))
      function.addFnAttr("stackrealign");
    function.addFnAttr(llvm::Attribute::NoInline); // one function per kind of block keeps compile time flat with depth
  }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false; // kernels are vectors already
  // Tiles have their height already. Unrolling the loop over K as well costs seconds per plan; what it gives is within the noise.
  tuning.LoopUnrolling = false;
  llvm::PassBuilder passes(machine.get(), tuning);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(graphs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::ModulePassManager pipeline = passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2);
  if (hasWideRegisters(target))
    pipeline.addPass(llvm::createModuleToFunctionPassAdaptor(BroadcastLoads()));
  pipeline.run(*module_, modules);
}

ObjectCode::~ObjectCode() = default;

std::string ObjectCode::llvmIr() const {
  std::string text;
  llvm::raw_string_ostream out(text);
  module_->print(out, nullptr);
  return text;
}

// Selecting instructions is most of the time that a plan costs. It is done once, into text that people can read; the object code
// of writeSharedObject is that very text, assembled.
const std::string &ObjectCode::assembly() const {
  if (!assembly_.empty())
    return assembly_;
  auto machine = makeMachine(target_);
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream out(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::AssemblyFile))
    throw CompileError("LLVM cannot emit code for this machine");
  passes.run(*module_);
  return assembly_.assign(text.begin(), text.end());
}

static std::string assemble(const std::string &assembly, Target chosen) {
  auto machine = makeMachine(chosen);
  const llvm::Target &target = machine->getTarget();
  const llvm::MCTargetOptions &options = machine->Options.MCOptions;
  const llvm::MCSubtargetInfo &subtarget = *machine->getMCSubtargetInfo();
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBuffer(assembly), llvm::SMLoc());
  llvm::MCContext context(machine->getTargetTriple(), machine->getMCAsmInfo(), machine->getMCRegisterInfo(), &subtarget, &sources,
                          &options);
  std::unique_ptr<llvm::MCObjectFileInfo> sections(target.createMCObjectFileInfo(context, /*PIC=*/true));
  context.setObjectFileInfo(sections.get());
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  std::unique_ptr<llvm::MCAsmBackend> backend(target.createMCAsmBackend(subtarget, *machine->getMCRegisterInfo(), options));
  std::unique_ptr<llvm::MCObjectWriter> writer = backend->createObjectWriter(out);
  std::unique_ptr<llvm::MCCodeEmitter> emitter(target.createMCCodeEmitter(*machine->getMCInstrInfo(), context));
  std::unique_ptr<llvm::MCStreamer> object(target.createMCObjectStreamer(machine->getTargetTriple(), context, std::move(backend),
                                                                         std::move(writer), std::move(emitter), subtarget));
  std::unique_ptr<llvm::MCAsmParser> parser(llvm::createMCAsmParser(sources, context, *object, *machine->getMCAsmInfo()));
  std::unique_ptr<llvm::MCTargetAsmParser> words(
      target.createMCAsmParser(subtarget, *parser, *machine->getMCInstrInfo(), options));
  parser->setTargetParser(*words);
  if (parser->Run(/*NoInitialTextSection=*/false))
    throw CompileError("LLVM cannot assemble its own code: this is a bug, please report it");
  return std::string(bytes.begin(), bytes.end());
}

void ObjectCode::writeSharedObject(const std::filesystem::path &file) const {
  std::filesystem::path object = file.string() + ".o";
  struct Remove {
    std::filesystem::path path;
    ~Remove() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  } cleanup{object};
  std::string bytes = assemble(assembly(), target_);
  std::ofstream out(object, std::ios::binary);
  if (!out.write(bytes.data(), bytes.size()).flush())
    throw CompileError("code/" + file.filename().string() + ": cannot be written: " + std::strerror(errno) +
                       ": free space on the disk, or raise the file size limit (ulimit -f)");
  out.close();
  std::string linker;
  for (const char *name : {"ld.lld-19", "ld.lld", "lld"})
    if (auto found = llvm::sys::findProgramByName(name)) {
      linker = *found;
      break;
    }
  if (linker.empty())
    throw CompileError("ld.lld-19 is not installed: install the package lld-19");
  // LLVM's linker puts random letters in place of each % of a path that it writes to, so it gets one without.
  int folder = open(file.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  auto closeFolder = llvm::make_scope_exit([&] { close(folder); });
  std::string output = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(folder) + "/" + file.filename().string();
  if (folder < 0 || !std::filesystem::exists(std::filesystem::path(output).parent_path())) // no /proc
    output = file.string();
  std::string input = object.string(), error;
  llvm::StringRef arguments[] = {linker, "-shared", "-o", output, input, "-z", "now", "--build-id=none"};
  bool unstarted = false;
  if (llvm::sys::ExecuteAndWait(linker, arguments, std::nullopt, {}, /*SecondsToWait=*/0, /*MemoryLimit=*/0, &error, &unstarted))
    throw CompileError(file.string() + ": linking failed" + (error.empty() ? "" : ": " + error) +
                       (unstarted ? ": raise the limit on processes (ulimit -u) or addresses (ulimit -v) and compile again"
                                  : ": free space on the disk and compile again"));
}

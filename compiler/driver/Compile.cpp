//===- Compile.cpp - from a model file to a plan ---------------------------------------------------------------------===//
#include "compiler/Compile.h"
#include "compiler/architectures/Architectures.h"
#include "compiler/driver/AddTarget.h"
#include "compiler/driver/Compilation.h"
#include "compiler/driver/PackWeights.h"
#include "runtime/host/Resources.h"
#include "runtime/plan/OriginsFile.h"
#include <chrono>

using namespace heddle;

namespace {
/// Measures phases and tells of them.
class Phases {
public:
  explicit Phases(const CompileOptions &options, CompileReport &report) : options_(options), report_(report) {}
  void begin(std::string name, double fraction) {
    end();
    name_ = std::move(name);
    start_ = std::chrono::steady_clock::now();
    if (options_.progress)
      options_.progress(name_, fraction);
  }
  void end() {
    if (!name_.empty())
      report_.timings.emplace_back(name_, std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
    name_.clear();
  }

private:
  const CompileOptions &options_;
  CompileReport &report_;
  std::string name_;
  std::chrono::steady_clock::time_point start_;
};

} // namespace

static void start(Compilation &compilation, const CompileOptions &options, const ModelSource &model) {
  if (options.fromStage.empty())
    compilation.begin(model, options.kvType);
  else
    compilation.begin(options.fromStage);
}

CompileReport heddle::compileModel(const CompileOptions &options) {
  if (std::filesystem::exists(options.model / "manifest.json"))
    return addTarget(options);
  PlanWriter::check(options.output); // before the work
  CompileReport report;
  Phases phases(options, report);
  phases.begin("graph", 0);
  const std::unique_ptr<Checkpoint> checkpoint = openCheckpoint(options.model);
  const ModelSource model(*checkpoint, familyOf(*checkpoint), options.quantize);
  Compilation compilation(model.name(), options);
  start(compilation, options, model);
  Manifest manifest;
  std::map<std::string, std::string> expressions;
  auto note = [&] {
    manifest = describe(compilation, model);
    expressions = weightExpressions(compilation.module());
  };
  std::vector<std::pair<std::string, std::string>> texts;
  if (compilation.stage() > Stage::Planned)
    note();
  for (int stage = static_cast<int>(compilation.stage()); stage <= static_cast<int>(Stage::Llvm); ++stage) {
    if (stage > static_cast<int>(compilation.stage()))
      phases.begin(kStageNames[stage], 0.05 * stage);
    compilation.advance(static_cast<Stage>(stage), [&](Stage at) {
      if (at != Stage::Llvm)
        texts.emplace_back("ir/" + stageFileName(at), compilation.print());
      if (at == Stage::Planned)
        note();
    });
  }
  phases.begin("machine code", 0.35);
  ObjectCode code(compilation.module(), compilation.target());
  texts.emplace_back("ir/" + stageFileName(Stage::Llvm), code.llvmIr());
  texts.emplace_back("code.s", code.assembly());
  texts.emplace_back(kOriginsFile, compilation.origins().json());

  PlanWriter writer(options.output);
  if (options.writing)
    options.writing(writer.temporaryFolder());
  std::string target = targetName(compilation.target()).str();
  std::filesystem::create_directories(writer.temporaryFolder() / "code");
  code.writeSharedObject(writer.temporaryFolder() / "code" / (target + ".so"));

  phases.begin("vocabulary", 0.6);
  const TokenizerFiles tokenizer = checkpoint->tokenizer(/*continues=*/logitsEntry(manifest));
  manifest.bos = tokenizer.bos, manifest.eos = tokenizer.eos, manifest.addBos = tokenizer.addBos;
  manifest.endOfText = tokenizer.endOfText;
  writer.addFile("tokenizer.json", tokenizer.json);
  writer.addFile("chat_template.jinja", checkpoint->chatTemplate());
  refuseUnreadTokenizer(*checkpoint, model.rules());
  for (auto &[name, text] : texts)
    writer.addFile(name, text);

  phases.begin("weights", 0.7);
  int threads = static_cast<int>(defaultThreads(1));
  packWeights(*checkpoint, expressions, manifest, writer, threads, [&](double done) {
    if (options.progress)
      options.progress("weights", 0.7 + 0.25 * done);
  });
  phases.begin("writing", 0.95);
  manifest.targets = {target};
  manifest.key = options.key.empty() ? "none" : options.key;
  manifest.build = HEDDLE_BUILD;
  manifest.generation = checkpoint->generationSettings();
  manifest.compiler = options.compiler, manifest.compilerHash = options.compilerHash;
  writer.finish(manifest);
  phases.end();
  report.plan = options.output;
  return report;
}

std::string heddle::emitStage(const CompileOptions &options, std::string_view name) {
  bool assembly = name == "asm";
  std::optional<Stage> stage = assembly ? Stage::Llvm : stageByName(llvm::StringRef(name.data(), name.size()));
  if (!stage)
    throw CompileError("unknown stage '" + std::string(name) + "': graph, fused, sharded, planned, kernels, loops, llvm or asm");
  const std::unique_ptr<Checkpoint> checkpoint = openCheckpoint(options.model);
  const ModelSource model(*checkpoint, familyOf(*checkpoint), options.quantize);
  Compilation compilation(model.name(), options);
  start(compilation, options, model);
  if (*stage < compilation.stage())
    throw CompileError("stage " + std::string(name) + " comes before the one to go on from");
  compilation.advance(*stage, [&](Stage at) {
    if (options.debugInfo && at < *stage)
      compilation.print(); // so that its lines are known
  });
  if (*stage != Stage::Llvm)
    return compilation.print();
  ObjectCode code(compilation.module(), compilation.target());
  return assembly ? code.assembly() : code.llvmIr();
}

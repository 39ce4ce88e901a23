//===- FakeWorker.cpp - a real worker over a step that knows the alphabet -------------------------------------------===//
//
// heddle-worker with everything real (mpirun, MPI, engine, sampler, link) but the compiled step: after a letter comes the next
// one, after z and anything else comes a, after '!' the text ends, and after '?' the logits are NaN. Each rank writes its share
// of the logits and an all-gather makes them whole, so a rank that is missing shows. The plan directory holds `key`, or
// `key.RANK` for one rank, and tokenizer.json. FAKE_STEP_MS makes steps slow, FAKE_KERNELS has them get on so many times
// meanwhile; FAKE_LOAD_MS and FAKE_LOAD_PIECES do the same to loading the model.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/engine/OutputText.h"
#include "runtime/engine/StepExecutor.h"
#include "runtime/plan/Share.h"
#include "runtime/text/Tokenizer.h"
#include "services/worker/WorkerMain.h"
#include "tests/unit/services/TinyModel.h"
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

using namespace heddle;
using namespace heddle::test;

namespace {

constexpr int64_t kUnit = 16; // logits of a share's unit

int64_t setting(const char *name, int64_t fallback) {
  const char *value = std::getenv(name);
  return value ? std::atoll(value) : fallback;
}

int32_t after(int32_t id) {
  if (id == idOf('!'))
    return kEnd;
  return id >= idOf('a') && id < idOf('z') ? id + 1 : idOf('a');
}

void alphabetStep(const Frame *frame, int64_t thread) {
  int64_t units = (kVocabulary + kUnit - 1) / kUnit;
  if (thread == 0) {
    static const int64_t slow = setting("FAKE_STEP_MS", 0), kernels = setting("FAKE_KERNELS", 1);
    for (int64_t kernel = 0; kernel < kernels && slow; ++kernel) {
      std::this_thread::sleep_for(std::chrono::milliseconds(slow) / kernels);
      if (kernel > 0)
        heddle_barrier(frame, thread, nullptr); // of one thread: fake_serve asks for no more
    }
    Share mine = share(units, frame->rank, frame->ranks);
    for (int64_t row = 0; row < frame->wanted; ++row) {
      int32_t id = frame->ids[frame->wantedRows[row]];
      float *out = reinterpret_cast<float *>(frame->outputs[0]) + row * kVocabulary;
      for (int64_t i = mine.begin * kUnit; i < std::min<int64_t>(mine.end * kUnit, kVocabulary); ++i)
        out[i] = id == idOf('?') ? NAN : i == after(id) ? 8.0f : static_cast<float>(i % 7) * 0.25f;
    }
  }
  heddle_barrier(frame, thread, nullptr);
  if (frame->ranks > 1)
    heddle_all_gather(frame, thread, frame->outputs[0], frame->wanted, kVocabulary * 4, units, kUnit * 4, nullptr);
}

std::string readFile(const std::filesystem::path &path) {
  std::ifstream file(path);
  if (!file)
    throw std::runtime_error(path.string() + ": is no plan");
  return {std::istreambuf_iterator<char>(file), {}};
}

class Decoder final : public TextDecoder {
public:
  explicit Decoder(std::shared_ptr<const Tokenizer> tokenizer) : decoder_(tokenizer), tokenizer_(std::move(tokenizer)) {}
  std::string push(int32_t id) override { return decoder_.push(id); }
  std::string flush() override { return decoder_.flush(); }
  std::string hidden(int32_t id) override { return tokenizer_->isHidden(id) ? tokenizer_->tokenText(id) : ""; }

private:
  StreamDecoder decoder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

WorkerModel openFake(const WorkerArguments &arguments) {
  std::filesystem::path plan = arguments.plan;
  const char *rank = std::getenv("OMPI_COMM_WORLD_RANK");
  std::filesystem::path own = plan / ("key." + std::string(rank ? rank : "0"));
  std::string key = readFile(std::filesystem::exists(own) ? own : plan / "key");
  std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::fromJson(readFile(plan / "tokenizer.json"));
  StepModel model;
  model.entries = {{"step", alphabetStep, {{RowsOf::Wanted, kVocabulary, kVocabulary}}}};
  model.vocabulary = kVocabulary;
  model.kv.states = {{1, 1, 1, 1}};
  model.arenaBytesPerToken = 64;
  model.context = kModelContext;
  model.endOfText = {kEnd};
  return {key, kVocabulary, [model, tokenizer](const EngineOptions &options, Communicator &group) {
            int64_t pieces = setting("FAKE_LOAD_PIECES", 1);
            std::chrono::milliseconds slow(setting("FAKE_LOAD_MS", 0));
            for (int64_t piece = 0; piece < pieces && slow.count(); ++piece) {
              std::this_thread::sleep_for(slow / pieces);
              ++group.progress();
            }
            return std::make_unique<Engine>(model, options, group, [tokenizer] { return std::make_unique<Decoder>(tokenizer); });
          }};
}

} // namespace

int main(int argc, char **argv) { return workerMain(argc, argv, openFake); }

//===- Engine.h - several requests at once over one compiled step ----------------------------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"
#include "runtime/plan/Plan.h"
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace heddle {

inline constexpr int64_t kMostLogprobs = 20;

struct SamplingParams {         // ranges are checked by validate(); defaults are greedy
  double temperature = 0;       // 0 = greedy; else in (0, 10]
  int64_t topK = 0;             // 0 = off
  double topP = 1, minP = 0;    // (0, 1], [0, 1]
  double repeatPenalty = 1;     // [0.1, 10], over prompt and output
  std::optional<uint64_t> seed; // drawn at admission when missing, and returned
  int64_t logprobs = 0;         // 0 = none; else the sampled token's and the best `logprobs` ones', at most kMostLogprobs
  int64_t maxTokens = 256;
  std::vector<std::string> stop; // at most 16, each 1..256 bytes
  bool ignoreEnd = false;        // go on past end of text (benchmarks)
};
/// The first field that is out of range and why, as "top_p must be in (0, 1], not 1.5"; empty when all is well.
struct FieldError {
  std::string field, message;
};
std::optional<FieldError> validate(const SamplingParams &params);

struct Request {
  uint64_t id;
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  bool reuse = true; // false: computes all of the prompt, and leaves no pages for later requests (benchmarks)
};

enum class StopReason : uint8_t { None, MaxTokens, EndOfText, StopString, ContextFull, Cancelled, Error };
struct Alternative {
  int32_t token;
  float logprob;
};
struct TokenResult {
  int32_t token;
  float logprob;
  std::vector<Alternative> best;
};
struct Event { // what one step gave one request
  uint64_t request;
  std::vector<TokenResult> tokens;
  std::string text;                   // complete UTF-8 characters only, text of a stop string withheld
  StopReason stop = StopReason::None; // != None: the last event of the request
  std::string stopString, error;
  int64_t promptTokens = 0, outputTokens = 0;
  int64_t cachedTokens = 0; // of the prompt, whose keys and values an earlier request had left
  uint64_t seed = 0;
};

inline constexpr int64_t kMostTokenBudget = 1 << 16;

struct EngineOptions {
  int64_t threads = 1; // of this rank
  int64_t context = 0; // 0: the model's, at most 8192 by default
  // Of all ranks together, counting each head once. 0: a quarter of the memory, at most 4 GiB, at least one context, but no more
  // than there is.
  uint64_t kvBytes = 0;
  int64_t tokenBudget = 512; // tokens of a step, at most kMostTokenBudget; changes no bit of a result
  std::string target = {};   // code of the plan to run; empty: the best for this CPU
};

/// A call of an entry by its name, for some sequences at once.
struct EntryCall {
  struct Part {
    uint64_t sequence;                // the caller's name for it
    std::vector<int32_t> tokens;      // at least one
    std::vector<int32_t> wanted = {}; // of them, in increasing order: those with a row in outputs of wanted rows
    std::vector<int32_t> types = {};  // of each token, the part of the text that it belongs to (Frame.h); none: all 0
  };
  std::string entry;
  std::vector<Part> parts; // each of another sequence
};
/// An output of a call: rows of f32, in the order of the call.
struct EntryRows {
  RowsOf of;
  int64_t rows, columns;
  std::vector<float> values; // [rows × columns]
};

struct KernelTime; // runtime/engine/StepProfile.h
struct StepModel;  // runtime/engine/StepExecutor.h
class TextDecoder; // runtime/engine/OutputText.h
class Tokenizer;   // runtime/text/Tokenizer.h
using TextDecoderFactory = std::function<std::unique_ptr<TextDecoder>()>;

/// What is going on, for metrics. Rank 0.
struct EngineStats {
  int64_t requests, computedTokens, steps, preemptions, pages, freePages; // free: also pages kept for later requests
};

/// One rank of an engine. Rank 0 takes requests and gives events; the other ranks call `follow()`, which returns when rank 0's
/// engine is destroyed. Not thread-safe: one thread drives a rank (the step itself runs on `threads` OpenMP threads). The plan
/// may go after construction; the group must outlive the engine.
///
/// All ranks construct it together, and return together; `context`, `kvBytes` and `tokenBudget` of rank 0 count. Options out of
/// range, and a model that does not fit into memory, throw std::invalid_argument on all ranks before anything is loaded. While it
/// works, here and in steps, the group's progress() counts up. When a rank throws where the others do not (its weights do not
/// fit, a peer is gone), catch it and call group.abandon(): they would wait for it.
class Engine {
public:
  /// `tokenizer`: the plan's, where the process has opened it already (library heddle_engine).
  Engine(const Plan &plan, const EngineOptions &options, Communicator &group,
         std::shared_ptr<const Tokenizer> tokenizer = nullptr);
  /// Over any step function, with or without a tokenizer (library heddle_engine_core; tests).
  Engine(const StepModel &model, const EngineOptions &options, Communicator &group, TextDecoderFactory text = nullptr);
  ~Engine();
  /// Rank 0; throws std::invalid_argument, one line, for a prompt that is empty or cannot fit (prompt and answer share the
  /// context, so it must leave room for one token), unknown ids, sampling parameters out of range, or an id that is running
  /// already.
  void submit(Request request);
  void cancel(uint64_t request); // its last event, Cancelled, comes with the next step(); unknown ids are ignored
  bool idle() const;             // nothing to do: step() would give nothing
  int64_t context() const;       // positions a request can have, prompt and answer
  int64_t callSequences() const; // sequences, and wanted rows, that a call can have
  EngineStats stats() const;
  /// One step; at most one event per request. The end-of-text token is among its tokens, with no text.
  std::vector<Event> step(); // schedule → broadcast → execute → sample → update
  void follow();             // ranks > 0
  /// While `flag`, which outlives the engine, is true, a step that runs ends after the kernel of the moment and gives nothing;
  /// the next step() does its work again. So a request can be cancelled in the middle of a long step. Has no effect in a group of
  /// several ranks.
  void leaveStepsWhile(const std::atomic<bool> &flag);
  /// Times every kernel of this rank's steps between the two calls (bench --profile). Rank 0.
  void startProfile();
  std::vector<KernelTime> endProfile();
  /// Teacher-forced logits of `tokens` in chunks of `chunk`, or smaller ones where a step has room for fewer; calls
  /// `row(position, logits[vocabulary])` in order (eval). Rank 0, while idle(). Throws std::invalid_argument when the tokens are
  /// none, unknown or more than the context.
  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk, const std::function<void(int64_t, const float *)> &row);

  /// Calls any entry. Rank 0, while idle(). Tokens of an entry that acts on a paged or recurrent state go on where the sequence's
  /// last ones ended; of others they begin at position 0. What an entry leaves in states stays until forget(). Throws
  /// std::invalid_argument, one line, for a name that is no entry, tokens that are none, unknown or too many, and states that an
  /// entry cannot find or write: nothing is changed then. A call that is left early (leaveStepsWhile) throws std::runtime_error,
  /// and its sequences are forgotten.
  std::vector<EntryRows> call(const EntryCall &call);
  /// `child`, a new sequence, goes on as `parent` stands: fixed states are shared, pages copied when one of them writes.
  void fork(uint64_t parent, uint64_t child);
  void forget(uint64_t sequence); // gives back what it holds; an unknown one holds nothing

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace heddle

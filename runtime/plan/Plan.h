//===- Plan.h - a compiled model on disk ----------------------------------------------------------------------------===//
//
// NAME.plan/ manifest.json weights.bin weights.sum code/TARGET.so tokenizer.json chat_template.jinja ir/0-graph.mlir … 6-llvm.ll
// code.s Independent of the number of ranks. Written atomically by PlanWriter (compiler side), read by Plan::open.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Frame.h"
#include "runtime/plan/Share.h"
#include "runtime/quant/Format.h"
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// One line: which file or folder, what is wrong, what to do.
class PlanError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// What a rank needs of a weight. `whole`: all rows on every rank (norms, biases, embedding tables).
/// `heads`: units are query heads of `unitRows` rows; `kvHeads`: the KV heads that the rank's query heads read, `unitRows` rows
/// each; `rows`: units of `unitRows` rows (16, 32, or 1024 for the output head), the last one maybe short.
enum class ShareKind : uint8_t { Whole, Heads, KvHeads, Rows };

struct WeightEntry {
  std::string name; // the GGUF tensor's name
  Format format;
  int64_t rows, columns; // a vector (norm, bias) is 1 row, format F32, stored as plain f32[columns], `packed` false
  bool packed;
  ShareKind share;
  int64_t unitRows;       // rows per unit; 0 for Whole
  int64_t group;          // of KvHeads: query heads that read a KV head; else 1
  uint64_t offset, bytes; // in weights.bin, offset a multiple of 64
  int64_t experts = 1;    // matrices of rows / experts rows, one after another; a share is the same rows of each
};

struct RopeTable {
  double base;
  int64_t dims;
  double linearScale;
  std::vector<double> factors;          // empty or [dims/2]
  std::vector<double> longFactors = {}; // empty, or those of a served context longer than `original`
  int64_t original = 0;                 // positions
  double magnitude = 1;                 // of cos and sin
};

/// A state of the program (Frame.h); a row of the manifest for each that it declares.
struct StateEntry {
  std::string name;
  int64_t layers, heads, kvHeads, headDim; // of keys and values; a transient state has one layer, a recurrent one no heads
  KvType type = KvType::F16;
  StateKind kind = StateKind::Paged;
  int64_t features = 0; // of a recurrent state's rows
};
inline std::string_view stateKindName(StateKind kind) {
  return kind == StateKind::Paged       ? "paged"
         : kind == StateKind::Fixed     ? "fixed"
         : kind == StateKind::Recurrent ? "recurrent"
                                        : "transient";
}

/// What an entry does with a state: a row for each that it acts on.
enum class Access : uint8_t { Read, Write, Update };
std::string_view accessName(Access access);
struct StateUse {
  int64_t state; // index into Manifest::states
  Access access;
  bool reads() const { return access != Access::Write; }
  bool writes() const { return access != Access::Read; }
  bool operator==(const StateUse &) const = default;
};

/// What a result of an entry has a row for: each token of the step, each token whose row is wanted, or each sequence.
enum class RowsOf : uint8_t { Tokens, Wanted, Sequences };
std::string_view rowsName(RowsOf rows);

/// A result: f32 rows of `columns` values, `stride` apart.
struct EntryOutput {
  RowsOf rows;
  int64_t columns, stride;
  int64_t rowsOf(int64_t tokens, int64_t wanted, int64_t sequences) const {
    return rows == RowsOf::Tokens ? tokens : rows == RowsOf::Wanted ? wanted : sequences;
  }
};
using EntryOutputs = std::vector<EntryOutput>;
/// A function of the plan's code that can be called (Frame.h).
struct Entry {
  std::string name;
  EntryOutputs outputs;
  std::vector<StateUse> states = {};
};

/// A file of the plan other than manifest.json and weights.bin.
struct PlanFile {
  std::string name; // as "ir/0-graph.mlir"
  uint64_t bytes;
  std::string checksum; // 16 hexadecimal digits (Checksum.h)
};

/// How the model's makers say to choose tokens in a chat, as far as their file says it.
struct GenerationSettings {
  std::optional<double> temperature, topP, minP, repeatPenalty;
  std::optional<int64_t> topK;
};

struct Manifest {
  std::string name, architecture, build, key; // key: hex of the cache key (model content, build, target, options)
  std::vector<std::string> targets;           // code/<target>.so
  int64_t vocabulary, width, context;
  int64_t tokenTypes = 1;     // parts of a text that the model tells apart: a token's type is below it
  int64_t frameVersion;       // of Frame.h, that the code needs
  int64_t arenaBytesPerToken; // of a call of any entry
  std::vector<Entry> entries;
  std::vector<WeightEntry> weights; // order = index into Frame::weightOffsets
  std::vector<RopeTable> ropes;     // order = index into Frame::ropeOffsets
  std::vector<StateEntry> states;   // order = index into Frame::states
  int64_t bos = -1, eos = -1;
  bool addBos = false;
  std::vector<int64_t> endOfText; // every id that ends generation
  std::vector<PlanFile> files;    // all of them; PlanWriter fills it in
  GenerationSettings generation;
  std::string compiler, compilerHash; // the library that compiled it, and its content then; empty: not known
};

/// A KV type as manifests and --kv-type spell it: f16, q8.
std::string_view kvTypeName(KvType type);
std::optional<KvType> kvTypeByName(std::string_view name);

/// A share in the manifest's spelling: whole, heads, kv_heads, rows.
std::string_view shareName(ShareKind kind);

/// The rows [begin, end) of `weight`, or of each of its experts, that a rank holds.
Share rowShare(const WeightEntry &weight, int64_t rank, int64_t ranks);

/// The entry that gives logits: a row of the whole vocabulary for each wanted token. Null for a program that has none.
const Entry *logitsEntry(const Manifest &manifest);

/// An opened plan: a checked manifest and the directory. Throws PlanError (one line: what, where, what to do) on anything
/// malformed: every offset, size and share is checked against weights.bin before use, every file of the manifest is there in
/// the size that it says.
class Plan {
public:
  static Plan open(const std::filesystem::path &directory);
  const Manifest &manifest() const;
  const std::filesystem::path &directory() const;
  std::filesystem::path file(std::string_view relative) const; // inside the plan; refuses names that leave it
  bool has(std::string_view relative) const;                   // whether the manifest lists this file
  /// A listed file, whole, whose bytes have the checksum that the manifest says.
  std::string read(std::string_view relative) const;
  /// Its path, for those who want it by name, after the same check.
  std::filesystem::path checkedFile(std::string_view relative) const;

private:
  Manifest manifest_;
  std::filesystem::path directory_;
};

} // namespace heddle

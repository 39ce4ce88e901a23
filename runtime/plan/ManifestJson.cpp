//===- ManifestJson.cpp - manifest.json to Manifest and back ------------------------------------------------------------===//
#include "runtime/plan/ManifestJson.h"
#include "runtime/plan/ContentHash.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

namespace heddle {
namespace {

using nlohmann::json;

constexpr int64_t kMost31 = INT32_MAX;           // ids, rows, columns: i32 in the step
constexpr int64_t kMostArena = int64_t{1} << 36; // per token: times any token count stays in int64
constexpr double kMostAngle = 1073741824.0;      // 2^30, the domain of math::sincos
constexpr size_t kLongestText = 4096, kMostRopes = 64, kMostFiles = 1000, kMostStates = 64, kMostEntries = 64, kMostOutputs = 16;
constexpr std::string_view kCheck = ",\n \"check\": \"", kEnd = "\"\n}\n"; // around the checksum of the text before

/// A JSON value with the way to it, for errors such as "…: 'weights[3].rows' must be …".
class Node {
public:
  Node(const json &value, std::string path, const std::string &where) : value_(value), path_(std::move(path)), where_(where) {}

  [[noreturn]] void fail(const std::string &what) const {
    throw PlanError(where_ + ": " + (path_.empty() ? "it " : "'" + path_ + "' ") + what + ": compile the model again");
  }
  Node at(const char *key) const {
    if (!value_.is_object())
      fail("must be an object");
    auto found = value_.find(key);
    std::string path = path_.empty() ? key : path_ + "." + key;
    if (found == value_.end())
      throw PlanError(where_ + ": '" + path + "' is missing: compile the model again");
    return {*found, path, where_};
  }
  /// A member that may be missing.
  std::optional<Node> find(const char *key) const {
    if (!value_.is_object())
      fail("must be an object");
    if (!value_.contains(key))
      return std::nullopt;
    return at(key);
  }
  int64_t integer(int64_t least, int64_t most) const {
    bool fits = value_.is_number_integer() && !(value_.is_number_unsigned() && value_.get<uint64_t>() > INT64_MAX);
    int64_t x = fits ? value_.get<int64_t>() : 0;
    if (!fits || x < least || x > most)
      fail("must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return x;
  }
  double number(double least, double most) const {
    double x = value_.is_number() ? value_.get<double>() : NAN;
    if (!(x >= least && x <= most))
      fail("must be a number from " + json(least).dump() + " to " + json(most).dump());
    return x;
  }
  std::string text() const {
    if (!value_.is_string() || value_.get_ref<const std::string &>().size() > kLongestText)
      fail("must be a string of at most " + std::to_string(kLongestText) + " bytes");
    return value_.get<std::string>();
  }
  /// A word that is safe as a file name.
  std::string word() const {
    std::string s = text();
    bool good = !s.empty() && s.size() <= 128 && s[0] != '.' && std::all_of(s.begin(), s.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '.' || c == '_' || c == '+' || c == '-';
    });
    if (!good)
      fail("must be a word of 1 to 128 letters, digits and ._+-");
    return s;
  }
  bool boolean() const {
    if (!value_.is_boolean())
      fail("must be true or false");
    return value_.get<bool>();
  }
  template <class Visit> void each(Visit visit) const {
    if (!value_.is_array())
      fail("must be an array");
    for (size_t i = 0; i < value_.size(); ++i)
      visit(Node(value_[i], path_ + "[" + std::to_string(i) + "]", where_));
  }

private:
  const json &value_;
  std::string path_;
  const std::string &where_;
};

ShareKind shareFrom(const Node &node) {
  std::string text = node.text();
  for (ShareKind kind : {ShareKind::Whole, ShareKind::Heads, ShareKind::KvHeads, ShareKind::Rows})
    if (shareName(kind) == text)
      return kind;
  node.fail("must be whole, heads, kv_heads or rows");
}

WeightEntry weightFrom(const Node &node, uint64_t weightsBytes) {
  WeightEntry w;
  w.name = node.at("name").text();
  auto format = formatByName(node.at("format").text());
  if (!format)
    node.at("format").fail("is no known weight format");
  w.format = *format;
  w.rows = node.at("rows").integer(1, kMost31);
  w.columns = node.at("columns").integer(1, kMost31);
  w.packed = node.at("packed").boolean();
  w.share = shareFrom(node.at("share"));
  w.unitRows = node.at("unit_rows").integer(0, kMost31);
  w.group = node.at("group").integer(1, 65536);
  w.experts = node.at("experts").integer(1, 65536);
  w.offset = static_cast<uint64_t>(node.at("offset").integer(0, INT64_MAX));
  w.bytes = static_cast<uint64_t>(node.at("bytes").integer(1, INT64_MAX));

  if (w.columns % traits(w.format).blockElements != 0)
    node.at("columns").fail("must be a multiple of the format's block of " + std::to_string(traits(w.format).blockElements));
  if (!w.packed && (w.rows != 1 || w.format != Format::F32 || w.share != ShareKind::Whole))
    node.fail("is not packed, so it must be one whole row of f32");
  const bool whole = w.share == ShareKind::Whole;
  if (whole != (w.unitRows == 0) || w.unitRows % kGroupRows != 0)
    node.at("unit_rows").fail("must be 0 for a whole weight, else a positive multiple of 16");
  if ((w.share == ShareKind::Heads || w.share == ShareKind::KvHeads) && w.rows % w.unitRows != 0)
    node.at("rows").fail("must be unit_rows times a number of heads");
  if (w.rows % w.experts != 0 ||
      (w.experts > 1 && (w.rows / w.experts % kGroupRows != 0 || w.share == ShareKind::Heads || w.share == ShareKind::KvHeads)))
    node.at("experts").fail("must divide the rows into whole groups of 16, whole or shared by rows");
  if (w.group != 1 && w.share != ShareKind::KvHeads)
    node.at("group").fail("is only for weights that are shared by kv_heads");
  if (weightBytes(w) != w.bytes)
    node.at("bytes").fail("does not fit the weight's shape and format");
  if (w.offset % kWeightAlignment != 0)
    node.at("offset").fail("must be a multiple of 64");
  if (w.offset > weightsBytes || w.bytes > weightsBytes - w.offset)
    node.fail("reaches beyond the " + std::to_string(weightsBytes) + " bytes of weights.bin");
  return w;
}

RopeTable ropeFrom(const Node &node, int64_t context) {
  RopeTable rope{
      node.at("base").number(1, 1e300), node.at("dims").integer(2, 65536), node.at("linear_scale").number(1e-6, 1e6), {}};
  if (rope.dims % 2 != 0)
    node.at("dims").fail("must be even");
  double least = 1e6;
  for (auto [name, factors] : {std::pair("factors", &rope.factors), {"long_factors", &rope.longFactors}}) {
    node.at(name).each([&](const Node &factor) { factors->push_back(factor.number(1e-6, 1e6)); });
    if (!factors->empty() && factors->size() != static_cast<size_t>(rope.dims / 2))
      node.at(name).fail("must be empty or hold one number for each of the " + std::to_string(rope.dims / 2) + " pairs");
    if (factors->empty() && factors == &rope.factors)
      least = 1;
    for (double factor : *factors)
      least = std::min(least, factor);
  }
  rope.original = node.at("original").integer(0, INT64_MAX);
  rope.magnitude = node.at("magnitude").number(1e-6, 1e6);
  if (static_cast<double>(context) / (rope.linearScale * least) >= kMostAngle)
    node.fail("turns by more than 2^30 within the context");
  return rope;
}

StateEntry stateFrom(const Node &node) {
  StateEntry state{node.at("name").text(), node.at("layers").integer(1, 65536), 0, 0, 0};
  const std::string kind = node.at("kind").text();
  bool known = false;
  for (StateKind one : {StateKind::Paged, StateKind::Fixed, StateKind::Recurrent, StateKind::Transient})
    if (stateKindName(one) == kind)
      state.kind = one, known = true;
  if (!known)
    node.at("kind").fail("must be paged, fixed, recurrent or transient");
  if (state.kind == StateKind::Transient && state.layers != 1)
    node.at("layers").fail("must be 1 of a transient state");
  if (state.kind == StateKind::Recurrent) {
    state.features = node.at("features").integer(1, kMost31);
    return state;
  }
  state.heads = node.at("heads").integer(1, 65536), state.kvHeads = node.at("kv_heads").integer(1, 65536);
  state.headDim = node.at("head_dim").integer(1, 65536);
  std::optional<KvType> type = kvTypeByName(node.at("type").text());
  if (!type)
    node.at("type").fail("must be f16 or q8");
  state.type = *type;
  if (state.heads % state.kvHeads != 0)
    node.at("heads").fail("must be a multiple of kv_heads");
  return state;
}

StateUse useFrom(const Node &node, const std::vector<StateEntry> &states) {
  StateUse use{node.at("state").integer(0, static_cast<int64_t>(states.size()) - 1), Access::Read};
  const std::string access = node.at("access").text();
  for (Access one : {Access::Read, Access::Write, Access::Update})
    if (accessName(one) == access) {
      use.access = one;
      return use;
    }
  node.at("access").fail("must be read, write or update");
}

Entry entryFrom(const Node &node, const std::vector<StateEntry> &states) {
  Entry entry{node.at("name").word(), {}};
  std::set<int64_t> used;
  node.at("states").each([&](const Node &one) {
    if (!used.insert(entry.states.emplace_back(useFrom(one, states)).state).second)
      one.fail("names a state twice");
    const StateUse &use = entry.states.back();
    if (states[static_cast<size_t>(use.state)].kind == StateKind::Fixed && use.access == Access::Update)
      one.at("access").fail("cannot be update of a fixed state");
  });
  node.at("outputs").each([&](const Node &output) {
    std::string rows = output.at("rows").text();
    EntryOutput &out = entry.outputs.emplace_back();
    bool known = false;
    for (RowsOf kind : {RowsOf::Tokens, RowsOf::Wanted, RowsOf::Sequences})
      if (rowsName(kind) == rows)
        out.rows = kind, known = true;
    if (!known)
      output.at("rows").fail("must be tokens, wanted or sequences");
    out.columns = output.at("columns").integer(1, kMost31);
    out.stride = output.at("stride").integer(out.columns, kMost31);
    if (out.stride != (out.columns + kGroupRows - 1) / kGroupRows * kGroupRows)
      output.at("stride").fail("must be the columns in whole groups of 16");
  });
  if (entry.outputs.size() > kMostOutputs)
    node.at("outputs").fail("must hold at most " + std::to_string(kMostOutputs) + " outputs");
  return entry;
}

/// Two weights are the same bytes (tied embeddings, listed twice) or have none in common: loading then never takes much more
/// memory than weights.bin has bytes.
void checkOverlaps(const Manifest &m, const Node &weights) {
  std::vector<const WeightEntry *> order;
  order.reserve(m.weights.size());
  for (const WeightEntry &w : m.weights)
    order.push_back(&w);
  std::sort(order.begin(), order.end(),
            [](auto *a, auto *b) { return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes); });
  for (size_t i = 1; i < order.size(); ++i) {
    const WeightEntry &a = *order[i - 1], &b = *order[i];
    if (b.offset < a.offset + a.bytes && (a.offset != b.offset || a.bytes != b.bytes))
      weights.fail("overlap at byte " + std::to_string(b.offset) + " of weights.bin");
  }
}

/// A name such as "ir/0-graph.mlir": words and slashes.
PlanFile fileFrom(const Node &node) {
  PlanFile file{node.at("name").text(), static_cast<uint64_t>(node.at("bytes").integer(0, INT64_MAX)), node.at("xxh3").word()};
  bool good = !file.name.empty() && file.name.size() <= 256 && file.name != "manifest.json" && file.name != "weights.bin";
  char before = '/';
  for (char c : file.name) {
    good = good && (std::isalnum(static_cast<unsigned char>(c)) || (before != '/' && std::strchr("._+-/", c)));
    before = c;
  }
  if (!good || before == '/')
    node.at("name").fail("is no name for a file of a plan");
  return file;
}

/// Every file once, and all that the rest of the manifest needs.
void checkFiles(const Manifest &m, const Node &node) {
  std::set<std::string_view> names;
  for (const PlanFile &file : m.files)
    if (!names.insert(file.name).second)
      node.fail("names " + file.name + " twice");
  if (m.files.size() > kMostFiles)
    node.fail("must hold at most " + std::to_string(kMostFiles) + " files");
  std::set<std::string_view> targets(m.targets.begin(), m.targets.end());
  for (const std::string &target : m.targets)
    if (!names.contains("code/" + target + ".so") || targets.size() != m.targets.size())
      node.fail("must hold the code of every target once; code/" + target + ".so is missing or listed twice");
}

json toJson(const GenerationSettings &g) {
  json out = json::object();
  auto put = [&](const char *key, const auto &value) {
    if (value)
      out[key] = *value;
  };
  put("temperature", g.temperature);
  put("top_k", g.topK);
  put("top_p", g.topP);
  put("min_p", g.minP);
  put("repeat_penalty", g.repeatPenalty);
  return out;
}

GenerationSettings generationFrom(const Node &node) {
  GenerationSettings g;
  auto number = [&](const char *key, std::optional<double> &to, double least, double most) {
    if (auto found = node.find(key))
      to = found->number(least, most);
  };
  number("temperature", g.temperature, 0, 10);
  number("top_p", g.topP, 1e-9, 1);
  number("min_p", g.minP, 0, 1);
  number("repeat_penalty", g.repeatPenalty, 0.1, 10);
  if (auto found = node.find("top_k"))
    g.topK = found->integer(0, kMost31);
  return g;
}

json toJson(const WeightEntry &w) {
  return {{"name", w.name},          {"format", traits(w.format).name},
          {"rows", w.rows},          {"columns", w.columns},
          {"packed", w.packed},      {"share", shareName(w.share)},
          {"unit_rows", w.unitRows}, {"group", w.group},
          {"experts", w.experts},    {"offset", w.offset},
          {"bytes", w.bytes}};
}

} // namespace

std::optional<uint64_t> weightBytes(const WeightEntry &w) {
  const FormatTraits &t = traits(w.format);
  if (!w.packed)
    return static_cast<uint64_t>(w.columns) * 4;
  uint64_t groups = static_cast<uint64_t>((w.rows + kGroupRows - 1) / kGroupRows), bytes;
  if (__builtin_mul_overflow(groups, static_cast<uint64_t>(t.groupBytes(w.columns)), &bytes))
    return std::nullopt;
  return bytes;
}

/// A manifest's text up to its closing brace, whole.
static std::string withCheck(const std::string &text) {
  return text + std::string(kCheck) + Sha256().update(text).hex() + std::string(kEnd);
}

std::string manifestToJson(const Manifest &m, uint64_t weightsBytes) {
  json weights = json::array(), ropes = json::array(), files = json::array();
  for (const PlanFile &file : m.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh3", file.checksum}});
  for (const WeightEntry &w : m.weights)
    weights.push_back(toJson(w));
  for (const RopeTable &r : m.ropes)
    ropes.push_back({{"base", r.base},
                     {"dims", r.dims},
                     {"linear_scale", r.linearScale},
                     {"factors", r.factors},
                     {"long_factors", r.longFactors},
                     {"original", r.original},
                     {"magnitude", r.magnitude}});
  json entries = json::array(), states = json::array();
  for (const Entry &entry : m.entries) {
    json outputs = json::array();
    for (const EntryOutput &output : entry.outputs)
      outputs.push_back({{"rows", rowsName(output.rows)}, {"columns", output.columns}, {"stride", output.stride}});
    json uses = json::array();
    for (const StateUse &use : entry.states)
      uses.push_back({{"state", use.state}, {"access", accessName(use.access)}});
    entries.push_back({{"name", entry.name}, {"outputs", outputs}, {"states", uses}});
  }
  for (const StateEntry &s : m.states) {
    json &row = states.emplace_back(json{{"name", s.name}, {"kind", stateKindName(s.kind)}, {"layers", s.layers}});
    if (s.kind == StateKind::Recurrent)
      row["features"] = s.features;
    else
      row.update({{"heads", s.heads}, {"kv_heads", s.kvHeads}, {"head_dim", s.headDim}, {"type", kvTypeName(s.type)}});
  }
  json all = {{"heddle_plan", kManifestVersion},
              {"name", m.name},
              {"architecture", m.architecture},
              {"build", m.build},
              {"key", m.key},
              {"targets", m.targets},
              {"vocabulary", m.vocabulary},
              {"width", m.width},
              {"context", m.context},
              {"token_types", m.tokenTypes},
              {"frame_version", m.frameVersion},
              {"arena_bytes_per_token", m.arenaBytesPerToken},
              {"entries", entries},
              {"states", states},
              {"weights_bytes", weightsBytes},
              {"weights", weights},
              {"ropes", ropes},
              {"bos", m.bos},
              {"eos", m.eos},
              {"add_bos", m.addBos},
              {"end_of_text", m.endOfText},
              {"files", files},
              {"generation", toJson(m.generation)},
              {"compiler", {{"path", m.compiler}, {"hash", m.compilerHash}}}};
  std::string text = all.dump(1, ' ', false, json::error_handler_t::replace); // a model's file name may be no UTF-8
  text.resize(text.size() - 2);                                               // the closing brace on its line
  return withCheck(text);
}

ParsedManifest manifestFromJson(std::string_view text, const std::string &where) {
  json parsed;
  try {
    parsed = json::parse(text);
  } catch (const json::parse_error &e) {
    throw PlanError(where + ": is not JSON from byte " + std::to_string(e.byte) + " on: compile the model again");
  } catch (const json::exception &) { // a number beyond double
    throw PlanError(where + ": holds an impossible number: compile the model again");
  }
  Node root(parsed, "", where);
  int64_t version = root.at("heddle_plan").integer(0, INT64_MAX);
  if (version != kManifestVersion)
    throw PlanError(where + ": is of plan version " + std::to_string(version) + ", this program reads " +
                    std::to_string(kManifestVersion) + ": compile the model again");
  root.at("check").text();
  if (const size_t end = text.rfind(kCheck); end == text.npos || withCheck(std::string(text.substr(0, end))) != text)
    throw PlanError(where + ": was changed after it was written: compile the model again");
  ParsedManifest result{};
  Manifest &m = result.manifest;
  m.name = root.at("name").text();
  m.architecture = root.at("architecture").text();
  m.build = root.at("build").text();
  m.key = root.at("key").word();
  root.at("targets").each([&](const Node &target) { m.targets.push_back(target.word()); });
  m.vocabulary = root.at("vocabulary").integer(1, kMost31);
  m.width = root.at("width").integer(1, kMost31);
  m.context = root.at("context").integer(1, kMost31);
  m.tokenTypes = root.at("token_types").integer(1, kMost31);
  m.arenaBytesPerToken = root.at("arena_bytes_per_token").integer(0, kMostArena);
  m.frameVersion = root.at("frame_version").integer(1, INT64_MAX);
  if (m.frameVersion > kFrameVersion)
    throw PlanError(where + ": its code was compiled for a newer Heddle (frame version " + std::to_string(m.frameVersion) +
                    "): compile the model again, or use that Heddle");
  std::set<std::string> names;
  root.at("states").each([&](const Node &state) {
    m.states.push_back(stateFrom(state));
    if (m.states.size() > kMostStates)
      state.fail("is one of more than " + std::to_string(kMostStates));
  });
  root.at("entries").each([&](const Node &entry) {
    m.entries.push_back(entryFrom(entry, m.states));
    if (!names.insert(m.entries.back().name).second || m.entries.size() > kMostEntries)
      entry.fail("is named like another one, or is one of more than " + std::to_string(kMostEntries));
  });
  result.weightsBytes = static_cast<uint64_t>(root.at("weights_bytes").integer(0, INT64_MAX));
  root.at("weights").each([&](const Node &w) { m.weights.push_back(weightFrom(w, result.weightsBytes)); });
  checkOverlaps(m, root.at("weights"));
  root.at("ropes").each([&](const Node &r) { m.ropes.push_back(ropeFrom(r, m.context)); });
  if (m.ropes.size() > kMostRopes)
    root.at("ropes").fail("must hold at most " + std::to_string(kMostRopes) + " tables");
  m.bos = root.at("bos").integer(-1, m.vocabulary - 1);
  m.eos = root.at("eos").integer(-1, m.vocabulary - 1);
  m.addBos = root.at("add_bos").boolean();
  root.at("end_of_text").each([&](const Node &id) { m.endOfText.push_back(id.integer(0, m.vocabulary - 1)); });
  root.at("files").each([&](const Node &file) { m.files.push_back(fileFrom(file)); });
  checkFiles(m, root.at("files"));
  m.generation = generationFrom(root.at("generation"));
  m.compiler = root.at("compiler").at("path").text();
  m.compilerHash = root.at("compiler").at("hash").text();
  return result;
}

} // namespace heddle

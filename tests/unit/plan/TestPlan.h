//===- TestPlan.h - a small plan with every kind of share, and folders that clean themselves up ----------------------===//
#pragma once
#include "runtime/plan/PlanWriter.h"
#include "runtime/plan/WeightSums.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <unistd.h>

namespace heddle::test {
namespace fs = std::filesystem;

/// An own folder under the system's temporary one; removed at the end of the test.
class TemporaryFolder {
public:
  TemporaryFolder() : path_(fs::temp_directory_path() / ("heddle-plan-test-" + files::randomName())) {
    fs::create_directories(path_);
  }
  ~TemporaryFolder() { files::removeTree(path_); }
  const fs::path &path() const { return path_; }
  fs::path operator/(const fs::path &name) const { return path_ / name; }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto &entry : fs::directory_iterator(path_))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

private:
  fs::path path_;
};

/// 6 query heads, 3 KV heads of 16 rows; a tied embedding; shares of every kind. Offsets and sizes are filled by writePlan.
inline Manifest smallManifest(std::string key = "k1") {
  Manifest m;
  m.name = "small";
  m.architecture = "llama";
  m.build = "test";
  m.key = std::move(key);
  m.vocabulary = 2500;
  m.width = 64;
  m.context = 128;
  m.frameVersion = kFrameVersion;
  m.arenaBytesPerToken = 4096;
  m.entries = {{"step", {{RowsOf::Wanted, 2500, 2512}}, {{0, Access::Update}, {1, Access::Read}, {2, Access::Update}}},
               {"states", {{RowsOf::Tokens, 64, 64}, {RowsOf::Sequences, 20, 32}}, {{3, Access::Update}, {1, Access::Write}}}};
  m.states = {{"kv", 2, 6, 3, 16},
              {"far", 1, 6, 2, 32, KvType::Q8, StateKind::Fixed},
              {"memory", 3, 0, 0, 0, KvType::F16, StateKind::Recurrent, 100},
              {"now", 1, 6, 6, 16, KvType::F16, StateKind::Transient}};
  m.ropes = {{10000.0, 16, 1.0, {}}, {500000.0, 16, 2.0, {1, 1, 2, 4, 8, 8, 8, 8}, {2, 2, 3, 5, 9, 9, 9, 9}, 64, 1.25}};
  m.bos = 1;
  m.eos = 2;
  m.endOfText = {2, 7};
  m.weights = {
      {"token_embd.weight", Format::Q8_0, 2500, 64, true, ShareKind::Whole, 0, 1, 0, 0},
      {"blk.0.attn_norm.weight", Format::F32, 1, 64, false, ShareKind::Whole, 0, 1, 0, 0},
      {"blk.0.attn_q.weight", Format::Q4_1, 96, 64, true, ShareKind::Heads, 16, 1, 0, 0},
      {"blk.0.attn_k.weight", Format::Q4_0, 48, 64, true, ShareKind::KvHeads, 16, 2, 0, 0},
      {"blk.0.attn_v.weight", Format::F16, 48, 64, true, ShareKind::KvHeads, 16, 2, 0, 0},
      {"blk.0.attn_output.weight", Format::Q5_0, 64, 96, true, ShareKind::Rows, 16, 1, 0, 0},
      {"blk.0.ffn_gate.weight", Format::Q5_1, 170, 64, true, ShareKind::Rows, 32, 1, 0, 0}, // the last unit is short
      {"output.weight", Format::Q8_0, 2500, 64, true, ShareKind::Rows, 1024, 1, 0, 0},      // tied to token_embd
  };
  return m;
}

inline std::vector<std::byte> randomBytes(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(n);
  for (auto &b : bytes)
    b = static_cast<std::byte>(random());
  return bytes;
}

inline uint64_t expectedBytes(const WeightEntry &w) {
  return static_cast<uint64_t>(w.packed ? (w.rows + 15) / 16 * traits(w.format).groupBytes(w.columns) : w.columns * 4);
}

/// Writes `m` with random weights and gives back the manifest that was written.
inline Manifest writePlan(const fs::path &destination, Manifest m, const std::function<void(Manifest &)> &edit = {}) {
  PlanWriter writer(destination);
  for (size_t i = 0; i < m.weights.size(); ++i) {
    WeightEntry &w = m.weights[i];
    w.bytes = expectedBytes(w);
    w.offset = i == 7 ? m.weights[0].offset : writer.addWeight(randomBytes(w.bytes, i), checkedBytes(w));
  }
  m.targets = {"x86-64-v3"};
  writer.addFile("code/x86-64-v3.so", "not really code");
  writer.addFile("tokenizer.json", "{}");
  if (edit)
    edit(m);
  writer.finish(m);
  return m;
}

inline std::string readFile(const fs::path &path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
inline void replaceFile(const fs::path &path, const std::string &text) { std::ofstream(path, std::ios::binary) << text; }

/// The PlanError's text, which must be one line; "no error" without one.
inline std::string planErrorOf(const std::function<void()> &action) {
  try {
    action();
  } catch (const PlanError &e) {
    std::string text = e.what();
    return text.find('\n') == std::string::npos ? text : "more than one line: " + text;
  }
  return "no error";
}

} // namespace heddle::test

#define EXPECT_CONTAINS(text, part)                                                                                              \
  EXPECT_PRED2([](const std::string &t, const std::string &p) { return t.find(p) != std::string::npos; }, text, std::string(part))

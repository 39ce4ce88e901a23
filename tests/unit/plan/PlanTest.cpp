// Reading a plan: everything comes back, and every malformed manifest is one clear line.
#include "runtime/plan/Plan.h"
#include "runtime/plan/ContentHash.h"
#include "tests/unit/plan/TestPlan.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

using namespace heddle;
using namespace heddle::test;
using nlohmann::json;

namespace {

TEST(Plan, ComesBackAsItWasWritten) {
  TemporaryFolder folder;
  Manifest m = writePlan(folder / "a.plan", smallManifest());
  Plan plan = Plan::open(folder / "a.plan");
  const Manifest &r = plan.manifest();
  EXPECT_EQ(r.name, "small");
  EXPECT_EQ(r.architecture, "llama");
  EXPECT_EQ(r.build, "test");
  EXPECT_EQ(r.key, "k1");
  EXPECT_EQ(r.targets, m.targets);
  EXPECT_EQ(r.vocabulary, 2500);
  EXPECT_EQ(r.width, 64);
  EXPECT_EQ(r.context, 128);
  EXPECT_EQ(r.arenaBytesPerToken, 4096);
  EXPECT_EQ(r.bos, 1);
  EXPECT_EQ(r.eos, 2);
  EXPECT_FALSE(r.addBos);
  EXPECT_EQ(r.endOfText, m.endOfText);
  EXPECT_EQ(r.frameVersion, kFrameVersion);
  ASSERT_EQ(r.states.size(), 4u);
  EXPECT_EQ(r.states[0].name, "kv");
  EXPECT_EQ(r.states[0].kvHeads, 3);
  EXPECT_EQ(r.states[1].type, KvType::Q8);
  EXPECT_EQ(r.states[1].kind, StateKind::Fixed);
  EXPECT_EQ(r.states[2].kind, StateKind::Recurrent);
  EXPECT_EQ(r.states[2].features, 100);
  EXPECT_EQ(r.states[3].kind, StateKind::Transient);
  EXPECT_EQ(r.entries[0].states, (std::vector<StateUse>{{0, Access::Update}, {1, Access::Read}, {2, Access::Update}}));
  EXPECT_EQ(r.entries[1].states, (std::vector<StateUse>{{3, Access::Update}, {1, Access::Write}}));
  ASSERT_EQ(r.entries.size(), 2u);
  EXPECT_EQ(logitsEntry(r), &r.entries[0]);
  EXPECT_EQ(r.entries[1].name, "states");
  ASSERT_EQ(r.entries[1].outputs.size(), 2u);
  EXPECT_EQ(r.entries[1].outputs[1].rows, RowsOf::Sequences);
  EXPECT_EQ(r.entries[1].outputs[1].stride, 32);
  ASSERT_EQ(r.ropes.size(), 2u);
  EXPECT_EQ(r.ropes[1].base, 500000.0);
  EXPECT_EQ(r.ropes[1].factors, m.ropes[1].factors);
  EXPECT_EQ(r.ropes[1].longFactors, m.ropes[1].longFactors);
  EXPECT_EQ(r.ropes[1].original, 64);
  EXPECT_EQ(r.ropes[1].magnitude, 1.25);
  EXPECT_EQ(r.ropes[0].magnitude, 1);
  ASSERT_EQ(r.weights.size(), m.weights.size());
  for (size_t i = 0; i < m.weights.size(); ++i) {
    const WeightEntry &a = m.weights[i], &b = r.weights[i];
    EXPECT_EQ(std::tie(a.name, a.format, a.rows, a.columns, a.packed, a.share, a.unitRows, a.group, a.offset, a.bytes),
              std::tie(b.name, b.format, b.rows, b.columns, b.packed, b.share, b.unitRows, b.group, b.offset, b.bytes));
    EXPECT_EQ(b.offset % 64, 0u);
  }
}

TEST(Plan, DoublesKeepTheirBits) {
  TemporaryFolder folder;
  Manifest m = smallManifest();
  m.ropes[0].base = 10000.0 / 3;
  m.ropes[1].factors[5] = 1.0 / 3;
  writePlan(folder / "a.plan", m);
  Plan plan = Plan::open(folder / "a.plan");
  EXPECT_EQ(plan.manifest().ropes[0].base, 10000.0 / 3);
  EXPECT_EQ(plan.manifest().ropes[1].factors[5], 1.0 / 3);
}

TEST(Plan, NamesStayInside) {
  TemporaryFolder folder;
  writePlan(folder / "a.plan", smallManifest());
  replaceFile(folder / "secret", "x");
  fs::create_symlink(folder / "secret", folder / "a.plan" / "link");
  fs::create_directory_symlink(folder / "a.plan", folder / "b.plan"); // the plan itself may be a link
  for (const char *name : {"a.plan", "b.plan"}) {
    Plan plan = Plan::open(folder / name);
    EXPECT_EQ(readFile(plan.file("tokenizer.json")), "{}");
    EXPECT_EQ(readFile(plan.file("code/x86-64-v3.so")), "not really code");
    EXPECT_NO_THROW(plan.file("not-there.json")); // existence is the caller's
    for (const char *bad : {"../secret", "code/../../secret", "/etc/passwd", "", "..", "link"})
      EXPECT_CONTAINS(planErrorOf([&] { plan.file(bad); }), "leaves the plan");
  }
}

/// A manifest's text, with the checksum of itself at its end.
std::string sealed(json manifest) {
  manifest.erase("check");
  std::string text = manifest.dump(1);
  text.resize(text.size() - 2);
  return text + ",\n \"check\": \"" + Sha256().update(text).hex() + "\"\n}\n";
}

class BrokenPlan : public testing::Test {
protected:
  TemporaryFolder folder;
  fs::path path = folder / "a.plan";
  json manifest;
  void SetUp() override {
    writePlan(path, smallManifest());
    manifest = json::parse(readFile(path / "manifest.json"));
  }
  std::string openError() {
    return planErrorOf([&] { Plan::open(path); });
  }
  std::string errorWith(const std::function<void(json &)> &edit) {
    json changed = manifest;
    edit(changed);
    replaceFile(path / "manifest.json", changed.is_object() ? sealed(changed) : changed.dump());
    return openError();
  }
};

TEST_F(BrokenPlan, Files) {
  EXPECT_CONTAINS(planErrorOf([&] { Plan::open(folder / "none"); }), "none: is no plan directory");
  EXPECT_CONTAINS(planErrorOf([&] { Plan::open(path / "tokenizer.json"); }), "is no plan directory");
  EXPECT_CONTAINS(planErrorOf([&] { Plan::open(folder.path()); }), "has no manifest.json");
  EXPECT_EQ(openError(), "no error");
  fs::resize_file(path / "weights.bin", 1000);
  EXPECT_CONTAINS(openError(), "weights.bin: has 1000 bytes, its manifest says");
  fs::remove(path / "weights.bin");
  EXPECT_CONTAINS(openError(), "weights.bin: is missing");
  fs::create_directory(path / "weights.bin");
  EXPECT_CONTAINS(openError(), "weights.bin: is no regular file");
}

TEST_F(BrokenPlan, MissingCode) {
  fs::remove(path / "code" / "x86-64-v3.so");
  EXPECT_CONTAINS(openError(), "x86-64-v3.so: is missing");
}

TEST_F(BrokenPlan, EveryFileHasTheSizeAndTheBytesThatTheManifestSays) {
  ASSERT_EQ(manifest["files"].size(), 3u); // code, tokenizer, checksums of weights
  for (const json &entry : manifest["files"]) {
    const std::string name = entry["name"], sound = readFile(path / name);
    replaceFile(path / name, sound + "x");
    EXPECT_CONTAINS(openError(), name + ": has " + std::to_string(sound.size() + 1) + " bytes, its manifest says");
    fs::remove(path / name);
    ASSERT_EQ(::mkfifo((path / name).c_str(), 0600), 0);
    EXPECT_CONTAINS(openError(), name + ": is no regular file");
    fs::remove(path / name);
    for (size_t at = 0; at < sound.size(); at += 1 + sound.size() / 50) {
      std::string changed = sound;
      changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
      replaceFile(path / name, changed);
      EXPECT_CONTAINS(planErrorOf([&] { Plan::open(path).read(name); }), name + ": is damaged") << at;
    }
    replaceFile(path / name, sound);
    EXPECT_EQ(Plan::open(path).read(name), sound);
  }
  EXPECT_CONTAINS(planErrorOf([&] { Plan::open(path).read("manifest.json"); }), "is no file of this plan");
}

TEST_F(BrokenPlan, AManifestThatWasChangedIsNoLongerBelieved) {
  std::string text = readFile(path / "manifest.json");
  const size_t at = text.find("10000.0"); // a base of RoPE, which nothing else could tell to be wrong
  ASSERT_NE(at, text.npos);
  text[at] = '2';
  replaceFile(path / "manifest.json", text);
  EXPECT_CONTAINS(openError(), "manifest.json: was changed after it was written");
}

TEST_F(BrokenPlan, LinkThatLeavesThePlan) {
  fs::rename(path / "weights.bin", folder / "weights.bin");
  fs::create_symlink(folder / "weights.bin", path / "weights.bin");
  EXPECT_CONTAINS(openError(), "leaves the plan");
}

TEST_F(BrokenPlan, NotJson) {
  const std::string sound = readFile(path / "manifest.json");
  for (size_t n = 0; n < sound.size() - 2; n += 7) {
    replaceFile(path / "manifest.json", sound.substr(0, n));
    EXPECT_CONTAINS(openError(), "is not JSON");
  }
  for (std::string text :
       {std::string(200000, '['), std::string("\0\xff\xfe", 3), std::string("{\"a\":1e999}"), std::string("null")}) {
    replaceFile(path / "manifest.json", text);
    EXPECT_CONTAINS(openError(), "manifest.json: ");
  }
}

TEST_F(BrokenPlan, EveryFieldMissingOrOfAnotherType) {
  auto flat = manifest.flatten();
  int tried = 0;
  for (const auto &[pointer, value] : flat.items()) {
    for (json wrong : {json("text \n"), json(nullptr), json(-5), json(1.5), json(18446744073709551615ull), json::object()}) {
      if ((wrong.is_string() && value.is_string()) || pointer == "/check")
        continue;
      if (wrong.is_number() && value.is_number() && pointer.find("ropes") != std::string::npos)
        continue;
      if (wrong.is_object() && pointer == "/generation")
        continue; // all of its fields may be missing
      std::string text = errorWith([&](json &m) { m[json::json_pointer(pointer)] = wrong; });
      EXPECT_CONTAINS(text, "a.plan/manifest.json: ") << pointer << " = " << wrong;
      ++tried;
    }
    std::string key = json::json_pointer(pointer).back();
    if (key != "check" && !std::isdigit(static_cast<unsigned char>(key[0])))
      EXPECT_CONTAINS(errorWith([&](json &m) { m[json::json_pointer(pointer).parent_pointer()].erase(key); }), "is missing")
          << pointer;
  }
  EXPECT_GT(tried, 400);
}

TEST_F(BrokenPlan, Values) {
  auto with = [&](const char *pointer, json value) {
    return errorWith([&](json &m) { m[json::json_pointer(pointer)] = value; });
  };
  EXPECT_CONTAINS(with("/heddle_plan", 1), "plan version 1, this program reads 6");
  EXPECT_CONTAINS(with("/key", "../x"), "'key' must be a word");
  EXPECT_CONTAINS(with("/targets/0", "../../tmp/evil"), "'targets[0]' must be a word");
  EXPECT_CONTAINS(with("/entries/0/outputs/0/stride", 2499), "'entries[0].outputs[0].stride' must be an integer from 2500");
  EXPECT_CONTAINS(with("/entries/0/outputs/0/stride", 2528), "stride' must be the columns in whole groups of 16");
  EXPECT_CONTAINS(with("/entries/0/outputs/0/rows", "all"), "rows' must be tokens, wanted or sequences");
  EXPECT_CONTAINS(with("/entries/1/name", "step"), "'entries[1]' is named like another one");
  EXPECT_CONTAINS(with("/frame_version", kFrameVersion + 1), "was compiled for a newer Heddle");
  EXPECT_CONTAINS(with("/states/0/kind", "flying"), "'states[0].kind' must be paged, fixed, recurrent or transient");
  EXPECT_CONTAINS(with("/states/2/features", 0), "'states[2].features' must be");
  EXPECT_CONTAINS(with("/states/3/layers", 2), "'states[3].layers' must be 1 of a transient state");
  EXPECT_CONTAINS(with("/entries/0/states/0/state", 4), "'entries[0].states[0].state' must be");
  EXPECT_CONTAINS(with("/entries/0/states/1/state", 0), "'entries[0].states[1]' names a state twice");
  EXPECT_CONTAINS(with("/entries/0/states/0/access", "look"), "'entries[0].states[0].access' must be read, write or update");
  EXPECT_CONTAINS(with("/entries/0/states/1/access", "update"),
                  "'entries[0].states[1].access' cannot be update of a fixed state");
  EXPECT_CONTAINS(with("/targets", json::array({"x86-64-v4"})), "code/x86-64-v4.so is missing");
  EXPECT_CONTAINS(with("/targets", json::array({"x86-64-v3", "x86-64-v3"})), "listed twice");
  for (const char *bad : {"../x", "/etc/passwd", "a//b", "", ".x", "a/.x", "code/", "manifest.json", "weights.bin", "a b"})
    EXPECT_CONTAINS(with("/files/0/name", bad), "'files[0].name' is no name for a file of a plan") << bad;
  EXPECT_CONTAINS(with("/files/1/name", "code/x86-64-v3.so"), "names code/x86-64-v3.so twice");
  EXPECT_CONTAINS(with("/files/0/xxh3", "../../x"), "'files[0].xxh3'");
  EXPECT_CONTAINS(with("/bos", 2500), "'bos' must be an integer from -1 to 2499");
  EXPECT_CONTAINS(with("/end_of_text/0", -1), "'end_of_text[0]'");
  EXPECT_CONTAINS(with("/states/0/kv_heads", 4), "'states[0].heads' must be a multiple of kv_heads");
  EXPECT_CONTAINS(with("/states/0/type", "q4"), "'states[0].type' must be f16 or q8");
  EXPECT_CONTAINS(with("/weights/2/format", "q2_k"), "'weights[2].format' is no known weight format");
  EXPECT_CONTAINS(with("/weights/2/share", "all"), "must be whole, heads, kv_heads or rows");
  EXPECT_CONTAINS(with("/weights/2/columns", 65), "'weights[2].columns' must be a multiple of the format's block of 32");
  EXPECT_CONTAINS(with("/weights/2/rows", 104), "must be unit_rows times a number of heads");
  EXPECT_CONTAINS(with("/weights/2/group", 2), "is only for weights that are shared by kv_heads");
  EXPECT_CONTAINS(with("/weights/2/experts", 2), "'weights[2].experts' must divide the rows");
  EXPECT_CONTAINS(with("/weights/5/experts", 3), "'weights[5].experts' must divide the rows");
  EXPECT_CONTAINS(with("/weights/5/experts", 8), "into whole groups of 16");
  EXPECT_CONTAINS(with("/weights/2/unit_rows", 8), "a positive multiple of 16");
  EXPECT_CONTAINS(with("/weights/0/unit_rows", 16), "must be 0 for a whole weight");
  EXPECT_CONTAINS(with("/weights/5/unit_rows", 0), "must be 0 for a whole weight, else");
  EXPECT_CONTAINS(with("/weights/5/bytes", 64), "'weights[5].bytes' does not fit");
  EXPECT_CONTAINS(with("/weights/5/rows", 2147483647), "'weights[5].bytes' does not fit");
  EXPECT_CONTAINS(with("/weights/5/offset", 32), "'weights[5].offset' must be a multiple of 64");
  EXPECT_CONTAINS(with("/weights/5/offset", 9223372036854775744ull), "reaches beyond");
  EXPECT_CONTAINS(with("/weights/5/offset", 64), "'weights' overlap at byte 64");
  EXPECT_CONTAINS(with("/weights/1/share", "rows"), "must be one whole row of f32");
  EXPECT_CONTAINS(with("/weights_bytes", 1), "reaches beyond");
  EXPECT_CONTAINS(with("/ropes/0/base", 0), "'ropes[0].base' must be a number from 1");
  EXPECT_CONTAINS(with("/ropes/0/dims", 15), "must be even");
  EXPECT_CONTAINS(with("/ropes/1/factors", json::array({1})), "one number for each of the 8 pairs");
  EXPECT_CONTAINS(with("/ropes/1/factors/0", 0), "'ropes[1].factors[0]'");
  EXPECT_CONTAINS(with("/ropes/1/long_factors", json::array({1})), "one number for each of the 8 pairs");
  EXPECT_CONTAINS(with("/ropes/1/magnitude", 0), "'ropes[1].magnitude'");
  EXPECT_CONTAINS(errorWith([](json &m) {
                    m["context"] = 2147483647;
                    m["ropes"][0]["linear_scale"] = 1e-6;
                  }),
                  "turns by more than 2^30");
}

TEST_F(BrokenPlan, RandomEditsOfTheManifest) {
  const std::string sound = readFile(path / "manifest.json");
  std::mt19937_64 random(9);
  for (int round = 0; round < 1000; ++round) {
    std::string text = sound;
    for (int edit = 0; edit < 3; ++edit)
      text[random() % text.size()] = static_cast<char>(random() % 4 ? "0123456789-.e\"[]{},"[random() % 19] : random());
    replaceFile(path / "manifest.json", text);
    EXPECT_EQ(openError().find("more than one line"), std::string::npos);
  }
}

} // namespace

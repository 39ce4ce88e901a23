// The cache: keys, remembered hashes, and work done once whatever races.
#include "runtime/plan/PlanCache.h"
#include "runtime/plan/ContentHash.h"
#include "tests/unit/plan/TestPlan.h"
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;
using namespace std::chrono_literals;

namespace {

TEST(Sha256, KnownAnswers) { // FIPS 180-4 examples
  EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256().update("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_NE(Sha256().field("ab").field("c").hex(), Sha256().field("a").field("bc").hex());
}

TEST(PlanKey, EveryPartCounts) {
  std::set<std::string> keys = {PlanKey{"m", "b", "t", "o"}.hex()};
  for (PlanKey k :
       {PlanKey{"n", "b", "t", "o"}, {"m", "c", "t", "o"}, {"m", "b", "u", "o"}, {"m", "b", "t", "p"}, {"mb", "", "t", "o"}})
    keys.insert(k.hex());
  EXPECT_EQ(keys.size(), 6u);
  EXPECT_EQ((PlanKey{"m", "b", "t", "o"}.hex()), (PlanKey{"m", "b", "t", "o"}.hex()));
}

class Environment { // of this process; put back at the end
public:
  Environment(const char *name, const char *value) : name_(name) {
    if (const char *old = std::getenv(name))
      old_ = old;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

private:
  const char *name_;
  std::optional<std::string> old_;
};

TEST(PlanCache, DefaultFolder) {
  Environment xdg("XDG_CACHE_HOME", "/somewhere/cache"), home("HOME", "/home/me");
  EXPECT_EQ(PlanCache::defaultFolder(), "/somewhere/cache/heddle");
  Environment relative("XDG_CACHE_HOME", "not/absolute"); // the XDG specification: to be ignored
  EXPECT_EQ(PlanCache::defaultFolder(), "/home/me/.cache/heddle");
  Environment nothing("HOME", nullptr);
  EXPECT_CONTAINS(planErrorOf([] { PlanCache::defaultFolder(); }), "neither XDG_CACHE_HOME nor HOME");
}

void makeOld(const fs::path &path) { fs::last_write_time(path, fs::file_time_type::clock::now() - 1h); }

TEST(PlanCache, RemembersHashesOfUnchangedFiles) {
  TemporaryFolder folder;
  PlanCache cache(folder / "new" / "cache");
  replaceFile(folder / "m.gguf", "abc");
  makeOld(folder / "m.gguf");
  const std::string abc = Sha256().update("abc").hex();
  EXPECT_EQ(cache.contentHash(folder / "m.gguf"), abc);
  auto memos = fs::directory_iterator(cache.folder() / "hashes");
  ASSERT_NE(memos, fs::directory_iterator());
  const fs::path memo = memos->path();
  // What the memo says is believed while size, mtime and inode agree …
  std::string text = readFile(memo);
  text[text.size() - 2] = text[text.size() - 2] == '0' ? '1' : '0';
  replaceFile(memo, text);
  EXPECT_NE(cache.contentHash(folder / "m.gguf"), abc);
  // … and not when any of them does not, or when it is rubbish.
  auto time = fs::last_write_time(folder / "m.gguf");
  fs::last_write_time(folder / "m.gguf", time + 1s);
  EXPECT_EQ(cache.contentHash(folder / "m.gguf"), abc);
  replaceFile(memo, "rubbish");
  EXPECT_EQ(cache.contentHash(folder / "m.gguf"), abc);
  time = fs::last_write_time(folder / "m.gguf");
  replaceFile(folder / "other", "abd"); // another inode, same size and mtime
  fs::last_write_time(folder / "other", time);
  fs::rename(folder / "other", folder / "m.gguf");
  EXPECT_EQ(cache.contentHash(folder / "m.gguf"), Sha256().update("abd").hex());
  EXPECT_CONTAINS(planErrorOf([&] { cache.contentHash(folder / "none"); }), "none: cannot open: No such file");
}

TEST(PlanCache, DoesNotRememberAFileThatWasJustWritten) {
  TemporaryFolder folder;
  PlanCache cache(folder / "cache");
  replaceFile(folder / "m.gguf", "abc");
  cache.contentHash(folder / "m.gguf");
  EXPECT_TRUE(fs::is_empty(cache.folder() / "hashes"));
}

TEST(PlanCache, HashesFolders) {
  TemporaryFolder folder;
  PlanCache cache(folder / "cache");
  fs::create_directories(folder / "hf" / "sub");
  replaceFile(folder / "hf" / "config.json", "{}");
  replaceFile(folder / "hf" / "sub" / "w", "1");
  std::string first = cache.contentHash(folder / "hf");
  EXPECT_EQ(cache.contentHash(folder / "hf"), first);
  fs::rename(folder / "hf" / "sub" / "w", folder / "hf" / "sub" / "v");
  EXPECT_NE(cache.contentHash(folder / "hf"), first);
}

TEST(PlanCache, PlansOfCompilersThatAreGoneAreRemovedWhenNobodyUsedThemForLong) {
  TemporaryFolder folder;
  PlanCache cache(folder / "cache");
  const fs::path compiler = folder / "compiler.so";
  replaceFile(compiler, "a compiler");
  const std::string there = cache.contentHash(compiler), other(64, '0'), mine(64, '1');
  struct Case {
    std::string key, path, hash;
    int days;
    bool stays;
  };
  const Case cases[] = {{"there", compiler, there, 30, true},   {"mine", "/nowhere", mine, 30, true},
                        {"gone", "/nowhere", other, 30, false}, {"another", compiler, other, 30, false},
                        {"fresh", "/nowhere", other, 1, true},  {"unknown", "", "", 30, false}};
  for (const Case &one : cases) {
    writePlan(cache.planPath(one.key), smallManifest(one.key), [&](Manifest &m) {
      m.compiler = one.path;
      m.compilerHash = one.hash;
    });
    timespec then[] = {{0, UTIME_OMIT}, {time(nullptr) - one.days * 86400, 0}};
    utimensat(AT_FDCWD, cache.planPath(one.key).c_str(), then, 0);
  }
  ASSERT_EQ(cache.plans().size(), 6u);
  EXPECT_EQ(cache.plans().front().key, "fresh") << "the one used last";
  EXPECT_GT(cache.prune(7 * 86400, mine), 1000u);
  for (const Case &one : cases)
    EXPECT_EQ(fs::exists(cache.planPath(one.key)), one.stays) << one.key;
  cache.obtain("there", [](const fs::path &) { FAIL() << "it is there"; });
  EXPECT_EQ(cache.plans().front().key, "there") << "used just now";
  EXPECT_EQ(cache.prune(7 * 86400, mine), 0u);
}

TEST(PlanCache, BuildsOnceAndRepairs) {
  TemporaryFolder folder;
  PlanCache cache(folder / "cache");
  int builds = 0;
  auto build = [&](const fs::path &destination) {
    ++builds;
    writePlan(destination, smallManifest("key1"));
  };
  EXPECT_EQ(cache.obtain("key1", build).manifest().key, "key1");
  EXPECT_EQ(cache.obtain("key1", build).directory(), fs::canonical(cache.planPath("key1")));
  EXPECT_EQ(builds, 1);
  fs::resize_file(cache.planPath("key1") / "weights.bin", 5); // damaged: once more
  EXPECT_EQ(cache.obtain("key1", build).manifest().name, "small");
  EXPECT_EQ(builds, 2);
  {
    std::fstream weights(cache.planPath("key1") / "weights.bin", std::ios::in | std::ios::out | std::ios::binary);
    weights.seekp(100).put('x').seekp(101).put('y');
  }
  cache.obtain("key1", build); // a look at every file is not a look at every byte
  EXPECT_EQ(builds, 2);
  cache.obtain("key1", build, {}, {}, /*everyByte=*/true);
  cache.obtain("key1", build, {}, {}, /*everyByte=*/true);
  EXPECT_EQ(builds, 3);
  EXPECT_CONTAINS(planErrorOf([&] { cache.obtain("key2", build); }), "plan of another key");
  EXPECT_THROW(cache.obtain("key3", [](const fs::path &) { throw std::invalid_argument("no"); }), std::invalid_argument);
  EXPECT_FALSE(fs::exists(cache.planPath("key3")));
  EXPECT_EQ(cache.obtain("key3", [](const fs::path &d) { writePlan(d, smallManifest("key3")); }).manifest().key, "key3");
}

TEST(PlanCache, ProcessesThatRaceDoTheWorkOnce) {
  TemporaryFolder folder;
  PlanCache cache(folder / "cache");
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    pid_t child = ::fork();
    if (child == 0) {
      int status = 1;
      try {
        bool waited = false;
        Plan plan = cache.obtain(
            "key1",
            [&](const fs::path &destination) {
              replaceFile(folder / ("built-" + std::to_string(i)), "");
              std::this_thread::sleep_for(200ms);
              writePlan(destination, smallManifest("key1"));
            },
            [&] { waited = true; });
        if (waited)
          replaceFile(folder / ("waited-" + std::to_string(i)), "");
        status = plan.manifest().key == "key1" ? 0 : 2;
      } catch (...) {
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  int built = 0, waited = 0;
  for (const std::string &name : folder.entries()) {
    built += name.rfind("built-", 0) == 0;
    waited += name.rfind("waited-", 0) == 0;
  }
  EXPECT_EQ(built, 1);
  EXPECT_GE(waited, 1);
}

TEST(PlanCache, TheNextOneBuildsWhenTheBuilderDies) {
  TemporaryFolder folder;
  PlanCache cache(folder / "cache");
  pid_t child = ::fork();
  if (child == 0)
    cache.obtain("key1", [&](const fs::path &destination) {
      PlanWriter writer(destination);
      replaceFile(folder / "started", "");
      std::this_thread::sleep_for(60s);
    });
  while (!fs::exists(folder / "started"))
    std::this_thread::sleep_for(5ms);
  std::jthread killer([&] {
    std::this_thread::sleep_for(100ms);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  });
  bool waited = false;
  Plan plan = cache.obtain(
      "key1", [](const fs::path &destination) { writePlan(destination, smallManifest("key1")); }, [&] { waited = true; });
  EXPECT_TRUE(waited);
  EXPECT_EQ(plan.manifest().key, "key1");
  int left = 0;
  for (const auto &entry : fs::directory_iterator(cache.folder() / "plans"))
    left += entry.path().filename() != "key1.plan";
  EXPECT_EQ(left, 0); // the dead writer's folder was swept
}

} // namespace

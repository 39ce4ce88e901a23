// Writing a plan: all of it or nothing, whatever goes wrong.
#include "tests/unit/plan/TestPlan.h"
#include <csignal>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;

namespace {

using Names = std::vector<std::string>;

/// Runs `action` in a child process, which may change limits and mounts; gives its exit status.
int inChild(const std::function<int()> &action) {
  pid_t child = ::fork();
  if (child == 0)
    ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(PlanWriter, LeavesOnlyThePlan) {
  TemporaryFolder folder;
  writePlan(folder / "a.plan", smallManifest());
  EXPECT_EQ(folder.entries(), Names{"a.plan"});
  EXPECT_EQ(readFile(folder / "a.plan" / "tokenizer.json"), "{}");
}

TEST(PlanWriter, ReplacesAPlan) {
  TemporaryFolder folder;
  writePlan(folder / "a.plan", smallManifest("old"));
  fs::create_directory(folder / "a.plan" / "ir");
  replaceFile(folder / "a.plan" / "ir" / "9-old.mlir", "of an older version");
  writePlan(folder / "a.plan/", smallManifest("new"));
  EXPECT_EQ(Plan::open(folder / "a.plan").manifest().key, "new");
  EXPECT_FALSE(fs::exists(folder / "a.plan" / "ir"));
  EXPECT_EQ(folder.entries(), Names{"a.plan"});
  fs::create_directory(folder / "b.plan"); // an empty folder may be filled
  writePlan(folder / "b.plan", smallManifest("new"));
  EXPECT_EQ(Plan::open(folder / "b.plan").manifest().key, "new");
}

TEST(PlanWriter, TouchesNothingElse) {
  TemporaryFolder folder;
  fs::create_directory(folder / "home");
  replaceFile(folder / "home" / "letter", "dear");
  replaceFile(folder / "file", "x");
  fs::create_directories(folder / "extension" / "code"); // of a browser; all of its names are names of plans too
  replaceFile(folder / "extension" / "manifest.json", "{}");
  replaceFile(folder / "extension" / "code" / "mine.so", "x");
  for (const char *name : {"home", "file", "extension"})
    EXPECT_CONTAINS(planErrorOf([&] { PlanWriter writer(folder / name); }), "exists and is no plan");
  EXPECT_CONTAINS(planErrorOf([&] { PlanWriter writer(folder / "no" / "such" / "a.plan"); }), "no such folder");
  EXPECT_CONTAINS(planErrorOf([&] { PlanWriter writer("/"); }), "no name for a plan");
  // It appears while we write:
  {
    PlanWriter writer(folder / "late");
    fs::create_directory(folder / "late");
    replaceFile(folder / "late" / "letter", "dear");
    Manifest m = smallManifest();
    m.weights.clear();
    EXPECT_CONTAINS(planErrorOf([&] { writer.finish(m); }), "exists and is no plan");
  }
  EXPECT_EQ(folder.entries(), (Names{"extension", "file", "home", "late"}));
  EXPECT_EQ(readFile(folder / "late" / "letter"), "dear");
}

TEST(PlanWriter, DeletesNothingThatNoPlanHas) {
  TemporaryFolder folder;
  for (const char *name :
       {"letter", "code/notes.txt", "ir/notes.json", "ir/sub/0-graph.mlir", "tokenizer.json/x", "my/manifest.json", ".hidden"}) {
    fs::remove_all(folder / "a.plan");
    writePlan(folder / "a.plan", smallManifest("old"));
    if (fs::is_regular_file((folder / "a.plan" / name).parent_path()))
      fs::remove((folder / "a.plan" / name).parent_path());
    fs::create_directories((folder / "a.plan" / name).parent_path());
    replaceFile(folder / "a.plan" / name, "dear");
    EXPECT_CONTAINS(planErrorOf([&] { PlanWriter::check(folder / "a.plan"); }), "not only one: it holds ") << name;
    EXPECT_CONTAINS(planErrorOf([&] { PlanWriter writer(folder / "a.plan"); }), "choose another name or remove that") << name;
    EXPECT_EQ(readFile(folder / "a.plan" / name), "dear");
  }
  fs::create_directory_symlink(folder / "a.plan", folder / "link");
  EXPECT_CONTAINS(planErrorOf([&] { PlanWriter::check(folder / "link"); }), "is a link");
  EXPECT_CONTAINS(planErrorOf([&] { PlanWriter::check("."); }), "is the folder that you are in");
}

TEST(PlanWriter, AbandonedWritersLeaveNothing) {
  TemporaryFolder folder;
  writePlan(folder / "a.plan", smallManifest("old"));
  {
    PlanWriter writer(folder / "a.plan");
    writer.addFile("ir/0-graph.mlir", "module {}");
    EXPECT_EQ(folder.entries().size(), 2u);
  }
  EXPECT_EQ(folder.entries(), Names{"a.plan"});
  EXPECT_EQ(Plan::open(folder / "a.plan").manifest().key, "old");
}

TEST(PlanWriter, SweepsWhatAKilledProcessLeft) {
  TemporaryFolder folder;
  ASSERT_EQ(inChild([&] {
              PlanWriter writer(folder / "a.plan");
              writer.addFile("tokenizer.json", "{}");
              ::raise(SIGKILL);
              return 0;
            }),
            128 + SIGKILL);
  ASSERT_EQ(folder.entries().size(), 1u);
  PlanWriter other(folder / "b.plan"); // another destination's rubbish is not ours
  EXPECT_EQ(folder.entries().size(), 2u);
  PlanWriter living(folder / "a.plan");
  EXPECT_EQ(folder.entries().size(), 2u);
  PlanWriter second(folder / "a.plan"); // nor is a living writer's folder
  EXPECT_EQ(folder.entries().size(), 3u);
  living.addFile("tokenizer.json", "{}");
}

TEST(PlanWriter, RefusesAWrongManifest) {
  TemporaryFolder folder;
  auto failed = [&](const std::function<void(Manifest &)> &edit) {
    std::string text = planErrorOf([&] { writePlan(folder / "a.plan", smallManifest(), edit); });
    EXPECT_EQ(folder.entries(), Names{});
    EXPECT_EQ(text.find(".tmp-"), std::string::npos) << text;
    return text;
  };
  EXPECT_CONTAINS(failed([](Manifest &m) { m.weights[3].rows = 64; }), "'weights[3].bytes' does not fit");
  EXPECT_CONTAINS(failed([](Manifest &m) { m.weights[3].rows = 40; }), "'weights[3].rows'");
  EXPECT_CONTAINS(failed([](Manifest &m) { m.entries[1].outputs[0].stride = 48; }), "'entries[1].outputs[0].stride'");
  EXPECT_CONTAINS(failed([](Manifest &m) { m.weights[6].offset += 64; }), "reaches beyond");
  EXPECT_CONTAINS(failed([](Manifest &m) { m.targets.push_back("x86-64-v4"); }), "code/x86-64-v4.so is missing");
  EXPECT_CONTAINS(failed([](Manifest &m) { m.key.clear(); }), "'key' must be a word");
  EXPECT_CONTAINS(failed([](Manifest &m) { m.ropes[0].base = NAN; }), "'ropes[0].base' must be a number"); // JSON writes null
}

TEST(PlanWriter, ANameThatIsNoUtf8IsWrittenAsFarAsItCan) { // a model's file may have any name
  TemporaryFolder folder;
  writePlan(folder / "a.plan", smallManifest(), [](Manifest &m) { m.name = "caf\xe9"; });
  EXPECT_EQ(Plan::open(folder / "a.plan").manifest().name, "caf\xEF\xBF\xBD");
}

TEST(PlanWriter, WeightsMustComeInRowGroups) {
  TemporaryFolder folder;
  Manifest m = smallManifest();
  m.weights = {{"w", Format::F16, 64, 64, true, ShareKind::Rows, 16, 1, 0, 64 * 128}};
  PlanWriter writer(folder / "a.plan");
  m.weights[0].offset = writer.addWeight(randomBytes(64 * 128, 1), 64 * 64);
  EXPECT_CONTAINS(planErrorOf([&] { writer.finish(m); }), "were not written in row groups");
}

TEST(PlanWriter, NamesAndRooms) {
  TemporaryFolder folder;
  for (const char *bad : {"../x", "/tmp/x", "manifest.json", "weights.bin", "weights.sum", "", "code/../../x"}) {
    PlanWriter writer(folder / "a.plan");
    EXPECT_CONTAINS(planErrorOf([&] { writer.addFile(bad, ""); }), "is no name for a file of a plan");
    EXPECT_CONTAINS(planErrorOf([&] { writer.addFile("good", ""); }), "failed before"); // the writer is over
    EXPECT_EQ(folder.entries(), Names{});
  }
  PlanWriter writer(folder / "a.plan");
  writer.addFile("x", "1");
  EXPECT_CONTAINS(planErrorOf([&] { writer.addFile("x", "2"); }), "File exists");

  PlanWriter rooms(folder / "b.plan");
  EXPECT_EQ(rooms.reserveWeight(10), 0u);
  EXPECT_EQ(rooms.reserveWeight(65), 64u);
  EXPECT_EQ(rooms.reserveWeight(1), 192u);
  auto bytes = randomBytes(200, 1);
  EXPECT_CONTAINS(planErrorOf([&] { rooms.writeWeight(192, std::span(bytes).first(2)); }), "outside the room");
  Manifest m = smallManifest();
  m.weights.clear();
  EXPECT_CONTAINS(planErrorOf([&] { rooms.finish(m); }), "0 bytes of weights were written where 76 were reserved");
  EXPECT_EQ(folder.entries(), Names{});
}

TEST(PlanWriter, WeightsFromManyThreads) {
  TemporaryFolder folder;
  Manifest m = smallManifest();
  m.weights = {{"w", Format::F16, 1024, 64, true, ShareKind::Rows, 16, 1, 0, 1024 * 128}};
  auto bytes = randomBytes(m.weights[0].bytes, 4);
  PlanWriter writer(folder / "a.plan");
  writer.addWeight({});
  m.weights[0].offset = writer.reserveWeight(bytes.size());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (size_t at = t * 2048; at < bytes.size(); at += 4 * 2048)
          writer.writeWeight(m.weights[0].offset + at, std::span(bytes).subspan(at, 2048));
      });
  }
  writer.finish(m);
  std::string file = readFile(folder / "a.plan" / "weights.bin");
  ASSERT_EQ(file.size(), bytes.size());
  EXPECT_EQ(std::memcmp(file.data(), bytes.data(), bytes.size()), 0);
}

TEST(PlanWriter, FileSizeLimit) { // any write error, without privileges
  TemporaryFolder folder;
  int status = inChild([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100000, 100000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string text = planErrorOf([&] { writePlan(folder / "a.plan", smallManifest()); });
    return text.find("weights.bin: cannot write: File too large") != std::string::npos ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(folder.entries(), Names{});
}

TEST(PlanWriter, FullDiskAtEverySize) {
  TemporaryFolder folder;
  constexpr int kNoMounts = 77;
  int status = inChild([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
      return kNoMounts;
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    int failures = 0, successes = 0;
    for (int pages : {1, 2, 4, 20, 40, 46, 60, 120, 200}) {
      std::string size = "size=" + std::to_string(4096 * pages);
      if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, size.c_str()) != 0)
        return kNoMounts;
      std::string text = planErrorOf([&] { writePlan(folder / "a.plan", smallManifest()); });
      bool full = text.find("No space left on device: free some space or choose another folder") != std::string::npos;
      full ? ++failures : ++successes;
      if (!full && text != "no error")
        return 2;
      if (folder.entries() != (full ? Names{} : Names{"a.plan"}))
        return 3;
      ::umount(folder.path().c_str());
    }
    return failures > 3 && successes > 0 ? 0 : 4;
  });
  if (status == kNoMounts)
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  EXPECT_EQ(status, 0);
}

} // namespace

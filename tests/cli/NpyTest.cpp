//===- NpyTest.cpp - matrices as .npy files, all of it or nothing -------------------------------------------------------===//
#include "tools/heddle/Npy.h"
#include "tools/heddle/Command.h"
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace heddle::tool;
namespace fs = std::filesystem;

namespace {
struct Folder {
  fs::path path = fs::temp_directory_path() / ("heddle-npy-test-" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};
std::string contentOf(const fs::path &file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
} // namespace

TEST(Npy, WritesHeaderAndRows) {
  Folder folder;
  NpyWriter writer(folder.path / "a.npy", 2, 3);
  const float rows[2][3] = {{1, 2, 3}, {4, 5, 6}};
  writer.row(rows[0]);
  EXPECT_TRUE(fs::is_empty(folder.path)) << "nothing is seen before the end";
  writer.row(rows[1]);
  writer.finish();
  std::string bytes = contentOf(folder.path / "a.npy");
  ASSERT_EQ(bytes.size(), 128 + sizeof rows);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(bytes.substr(8, 2), std::string("\x76\x00", 2)); // 118: magic, version, length and header fill 128
  EXPECT_NE(bytes.find("'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"), std::string::npos);
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.substr(128), std::string(reinterpret_cast<const char *>(rows), sizeof rows));
}

TEST(Npy, LeavesNothingWhenItIsNotFinished) {
  Folder folder;
  {
    NpyWriter writer(folder.path / "a.npy", 2, 1);
    const float row[] = {1};
    writer.row(row);
    EXPECT_THROW(writer.finish(), Failure) << "a row is missing";
  }
  EXPECT_TRUE(fs::is_empty(folder.path));
}

TEST(Npy, RefusesRowsThatHaveNoPlace) {
  Folder folder;
  NpyWriter writer(folder.path / "a.npy", 1, 2);
  const float right[] = {1, 2}, wrong[] = {1, 2, 3};
  EXPECT_THROW(writer.row(wrong), Failure);
  writer.row(right);
  EXPECT_THROW(writer.row(right), Failure);
}

TEST(Npy, SaysWhereItCannotWrite) {
  try {
    NpyWriter writer("/no/such/folder/a.npy", 1, 1);
    FAIL() << "it must throw";
  } catch (const Failure &failure) {
    EXPECT_NE(std::string(failure.what()).find("/no/such/folder/a.npy"), std::string::npos);
  }
}

TEST(OutputFile, WritesThroughALinkAndKeepsIt) {
  Folder folder;
  fs::create_directories(folder.path / "there");
  fs::create_symlink("there/real", folder.path / "hop");
  fs::create_symlink(folder.path / "hop", folder.path / "link");
  for (const char *text : {"first", "second"}) { // it dangles at first
    OutputFile file(folder.path / "link");
    file.write(text, std::strlen(text));
    file.finish();
    EXPECT_TRUE(fs::is_symlink(folder.path / "link"));
    EXPECT_TRUE(fs::is_symlink(folder.path / "hop"));
    EXPECT_EQ(contentOf(folder.path / "there" / "real"), text);
  }
  fs::create_symlink("loop", folder.path / "loop");
  EXPECT_THROW(OutputFile(folder.path / "loop"), Failure);
}

TEST(OutputFile, ReplacesWhatIsThereInOneStep) {
  Folder folder;
  fs::path target = folder.path / "a", stale = folder.path / ("a.tmp-" + std::to_string(getpid()));
  std::ofstream(target) << "old";
  std::ofstream(stale) << "of a process that was killed";
  {
    OutputFile file(target);
    file.write("new", 3);
    EXPECT_EQ(contentOf(target), "old");
    file.finish();
  }
  EXPECT_EQ(contentOf(target), "new");
  EXPECT_FALSE(fs::exists(stale));
  fs::create_directories(folder.path / "gone");
  OutputFile file(folder.path / "gone" / "a");
  file.write("new", 3);
  fs::remove_all(folder.path / "gone");
  EXPECT_THROW(file.finish(), Failure);
}

TEST(OutputFile, WritesToWhatIsNoRegularFileAsItStands) {
  Folder folder;
  fs::path fifo = folder.path / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  {
    OutputFile file(fifo);
    EXPECT_FALSE(file.isNewFile());
    file.write("abc", 3);
    file.finish();
  }
  char got[8] = {};
  EXPECT_EQ(read(reader, got, sizeof got), 3);
  close(reader);
  EXPECT_TRUE(fs::is_fifo(fifo));
  OutputFile null("/dev/null");
  null.write("abc", 3);
  null.finish();
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  OutputFile full("/dev/full");
  full.write("abc", 3);
  EXPECT_THROW(full.finish(), Failure);
}

TEST(OutputFile, WritesToAnOpenDescriptorWhereItStands) {
  Folder folder;
  int out = open((folder.path / "out").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(write(out, "before ", 7), 7);
  {
    OutputFile file("/dev/fd/" + std::to_string(out));
    file.write("matrix ", 7);
    file.finish();
  }
  ASSERT_EQ(write(out, "after", 5), 5);
  close(out);
  EXPECT_EQ(contentOf(folder.path / "out"), "before matrix after");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
}

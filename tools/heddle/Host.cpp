//===- Host.cpp - what this host offers --------------------------------------------------------------------------------===//
#include "tools/heddle/Host.h"
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <sys/mman.h>
#include <thread>

namespace heddle::tool {

/// Cores that the cgroup's CPU quota allows; a large number when there is none.
static double cgroupCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (file >> quota >> period && quota != "max" && period > 0)
    return std::strtod(quota.c_str(), nullptr) / period;
  return 1e9;
}

int64_t usableCores() {
  cpu_set_t set;
  int64_t cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : int64_t(std::thread::hardware_concurrency());
  double limit = cgroupCores();
  if (limit < double(cores))
    cores = int64_t(std::ceil(limit));
  return std::max<int64_t>(1, cores);
}

Memory hostMemory() {
  Memory memory{0, 0};
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  for (uint64_t value; file >> key >> value; std::getline(file, unit)) {
    if (key == "MemTotal:")
      memory.total = value * 1024;
    if (key == "MemAvailable:")
      memory.available = value * 1024;
  }
  return memory;
}

std::string cpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (size_t colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown";
}

std::string transparentHugePages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  for (std::string word; file >> word;)
    if (word.size() > 2 && word.front() == '[')
      return word.substr(1, word.size() - 2);
  return "";
}

double readBandwidth(int64_t threads) {
  constexpr int passes = 4;
  Memory memory = hostMemory();
  size_t perThread = std::min<uint64_t>(128 << 20, memory.available / 4 / uint64_t(threads)) & ~uint64_t(0xfff);
  if (perThread < (1 << 20))
    return 0;
  size_t bytes = perThread * size_t(threads);
  void *region = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED)
    return 0;
  madvise(region, bytes, MADV_HUGEPAGE); // as weights are held
  std::vector<double> seconds(passes);
  std::vector<uint64_t> sums(static_cast<size_t>(threads) * 8); // 64 bytes apart: no shared cache line
  std::barrier together(threads);
  auto worker = [&](int64_t index) {
    auto *words = reinterpret_cast<uint64_t *>(static_cast<char *>(region) + size_t(index) * perThread);
    size_t count = perThread / sizeof(uint64_t);
    std::fill(words, words + count, uint64_t(index) + 1); // each thread touches its own pages first
    for (int pass = 0; pass < passes; ++pass) {
      together.arrive_and_wait();
      auto start = std::chrono::steady_clock::now();
      uint64_t sum = 0;
      for (size_t i = 0; i < count; ++i)
        sum += words[i];
      sums[size_t(index) * 8] += sum;
      together.arrive_and_wait();
      if (index == 0)
        seconds[size_t(pass)] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
  };
  std::vector<std::thread> team;
  for (int64_t i = 1; i < threads; ++i)
    team.emplace_back(worker, i);
  worker(0);
  for (std::thread &thread : team)
    thread.join();
  munmap(region, bytes);
  volatile uint64_t keep = 0; // the sums are used, so the reads stay
  for (uint64_t sum : sums)
    keep = keep + sum;
  return double(bytes) / *std::min_element(seconds.begin(), seconds.end());
}

} // namespace heddle::tool

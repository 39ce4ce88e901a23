//===- NpyLogprobs.cpp - npy_logprobs: log-probabilities of rows of logits, written apart from the engine --------------===//
//
//   npy_logprobs FILE.npy FIRST COUNT K
//
// docs/arithmetic.md, "Sampling", as plainly as it can be written: only exp and log are the runtime's (runtime/math/Functions.h),
// for there is no other exp. One line per row: K times `id:log-probability`, best first, as hexadecimal floats.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/math/Functions.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

struct Part {
  float max, sum;
};

static Part chunk(const float *x, size_t count) {
  float max = *std::max_element(x, x + count), partial[16] = {};
  for (size_t i = 0; i < count; ++i)
    partial[i % 16] = partial[i % 16] + heddle::math::exp(x[i] - max);
  for (int step : {8, 4, 2, 1})
    for (int j = 0; j < step; ++j)
      partial[j] = partial[j] + partial[j + step];
  return {max, partial[0]};
}

static Part whole(const std::vector<float> &row) {
  Part all = chunk(row.data(), std::min<size_t>(1024, row.size()));
  for (size_t begin = 1024; begin < row.size(); begin += 1024) {
    Part next = chunk(&row[begin], std::min<size_t>(1024, row.size() - begin));
    float max = std::max(all.max, next.max);
    float added = next.sum * heddle::math::exp(next.max - max);
    all = {max, std::fma(all.sum, heddle::math::exp(all.max - max), added)};
  }
  return all;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: npy_logprobs FILE.npy FIRST COUNT K\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  unsigned char head[10] = {};
  file.read(reinterpret_cast<char *>(head), sizeof head);
  size_t length = size_t(head[8]) | size_t(head[9]) << 8;
  std::string header(length, ' ');
  file.read(header.data(), std::streamsize(length));
  size_t comma = header.find(", ", header.find("'shape': ("));
  if (!file || comma == std::string::npos) {
    std::fprintf(stderr, "npy_logprobs: %s is no matrix\n", argv[1]);
    return 1;
  }
  size_t columns = std::strtoull(header.c_str() + comma + 2, nullptr, 10), first = std::strtoull(argv[2], nullptr, 10);
  size_t count = std::strtoull(argv[3], nullptr, 10), best = std::min(columns, size_t(std::strtoull(argv[4], nullptr, 10)));
  file.seekg(std::streamoff(sizeof head + length + 4 * first * columns));
  std::vector<float> row(columns);
  std::vector<int> ids(columns);
  for (size_t i = 0; i < count; ++i) {
    if (!file.read(reinterpret_cast<char *>(row.data()), std::streamsize(4 * columns))) {
      std::fprintf(stderr, "npy_logprobs: %s has no row %zu\n", argv[1], first + i);
      return 1;
    }
    Part all = whole(row);
    float log = static_cast<float>(heddle::math::log(static_cast<double>(all.sum)));
    std::iota(ids.begin(), ids.end(), 0);
    std::partial_sort(ids.begin(), ids.begin() + std::ptrdiff_t(best), ids.end(), [&](int a, int b) {
      return row[size_t(a)] > row[size_t(b)] || (row[size_t(a)] == row[size_t(b)] && a < b);
    });
    for (size_t k = 0; k < best; ++k)
      std::printf("%d:%a ", ids[k], static_cast<double>((row[size_t(ids[k])] - all.max) - log));
    std::printf("\n");
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

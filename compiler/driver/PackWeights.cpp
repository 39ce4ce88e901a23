//===- PackWeights.cpp - writes weights.bin --------------------------------------------------------------------------===//
#include "compiler/driver/PackWeights.h"
#include "compiler/graph/ModelSource.h"
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

using namespace heddle;

namespace {
constexpr int64_t kGroupsPerTask = 64; // a task's row groups are packed into one buffer and written at once

struct Task {
  const WeightEntry *weight;
  const GgufTensor *tensor;
  int64_t first, last; // row groups
};

void run(const Task &task, PlanWriter &writer, std::vector<std::byte> &buffer) {
  const WeightEntry &w = *task.weight;
  if (!w.packed)
    return writer.writeWeight(w.offset, task.tensor->data.first(w.bytes));
  int64_t groupBytes = traits(w.format).groupBytes(w.columns);
  buffer.resize((task.last - task.first) * groupBytes);
  for (int64_t group = task.first; group < task.last; ++group) {
    const std::byte *rows[kGroupRows];
    for (int64_t i = 0; i < kGroupRows; ++i) {
      int64_t row = group * kGroupRows + i;
      rows[i] = row < w.rows ? task.tensor->row(row) : nullptr;
    }
    packRowGroup(w.format, rows, w.columns, buffer.data() + (group - task.first) * groupBytes);
  }
  writer.writeWeight(w.offset + task.first * groupBytes, buffer, groupBytes);
}
} // namespace

void heddle::packWeights(const GgufFile &file, Manifest &manifest, PlanWriter &writer, int threads,
                         const std::function<void(double)> &progress) {
  std::vector<Task> tasks;
  for (WeightEntry &w : manifest.weights) {
    const GgufTensor &tensor = file.tensor(w.name);
    if (tensor.format != w.format || tensor.rows() != w.rows || tensor.columns() != w.columns)
      throw CompileError(file.fileName() + ": tensor " + w.name +
                         " differs from the stage's declaration: the stage belongs to another model");
    int64_t groups = (w.rows + kGroupRows - 1) / kGroupRows;
    w.bytes = w.packed ? groups * traits(w.format).groupBytes(w.columns) : w.columns * sizeof(float);
    w.offset = writer.reserveWeight(w.bytes);
    for (int64_t first = 0; first < (w.packed ? groups : 1); first += kGroupsPerTask)
      tasks.push_back({&w, &tensor, first, std::min(first + kGroupsPerTask, groups)});
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr error;
  auto work = [&](bool reports) {
    std::vector<std::byte> buffer;
    try {
      for (size_t i; (i = next.fetch_add(1)) < tasks.size();) {
        run(tasks[i], writer, buffer);
        if (reports && progress)
          progress(static_cast<double>(i + 1) / tasks.size());
      }
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error)
        error = std::current_exception();
      next = tasks.size();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i)
      helpers.emplace_back(work, false);
    work(true);
  }
  if (error)
    std::rethrow_exception(error);
}

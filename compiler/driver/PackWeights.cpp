//===- PackWeights.cpp - writes weights.bin --------------------------------------------------------------------------===//
#include "compiler/driver/PackWeights.h"
#include "compiler/checkpoints/WeightExpression.h"
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

using namespace heddle;

namespace {
constexpr int64_t kGroupsPerTask = 64; // a task's row groups are packed into one buffer and written at once

struct Task {
  const WeightEntry *weight;
  WeightPointer source;
  int64_t first, last; // row groups
};

struct Buffers {
  std::vector<std::byte> packed, rows;
};

/// The 16 rows of a group, or as many as there are: in the file, or computed into `buffer`.
void findRows(const WeightExpression &source, int64_t first, int64_t count, std::vector<std::byte> &buffer,
              const std::byte *rows[kGroupRows]) {
  std::fill_n(rows, kGroupRows, nullptr);
  bool inPlace = true;
  for (int64_t i = 0; i < count && inPlace; ++i)
    inPlace = (rows[i] = source.inPlace(first + i));
  if (inPlace)
    return;
  buffer.resize(static_cast<size_t>(count * source.rowBytes()));
  source.read(first, count, buffer.data());
  for (int64_t i = 0; i < count; ++i)
    rows[i] = buffer.data() + i * source.rowBytes();
}

void run(const Task &task, PlanWriter &writer, Buffers &buffers) {
  const WeightEntry &w = *task.weight;
  if (!w.packed) {
    buffers.rows.resize(w.bytes);
    task.source->read(0, 1, buffers.rows.data());
    return writer.writeWeight(w.offset, buffers.rows);
  }
  int64_t groupBytes = traits(w.format).groupBytes(w.columns);
  buffers.packed.resize((task.last - task.first) * groupBytes);
  for (int64_t group = task.first; group < task.last; ++group) {
    const std::byte *rows[kGroupRows];
    const int64_t first = group * kGroupRows;
    findRows(*task.source, first, std::min(kGroupRows, w.rows - first), buffers.rows, rows);
    packRowGroup(w.format, rows, w.columns, buffers.packed.data() + (group - task.first) * groupBytes);
  }
  writer.writeWeight(w.offset + task.first * groupBytes, buffers.packed, groupBytes);
}

/// Errors of a value name the weight when they do not name a tensor.
void runNamed(const Task &task, const Checkpoint &checkpoint, PlanWriter &writer, Buffers &buffers) {
  try {
    run(task, writer, buffers);
  } catch (const CompileError &error) {
    const std::string what = error.what();
    throw CompileError(what.starts_with("row ") ? checkpoint.name() + ": weight " + task.weight->name + ": " + what : what);
  }
}
} // namespace

void heddle::packWeights(const Checkpoint &checkpoint, const std::map<std::string, std::string> &expressions, Manifest &manifest,
                         PlanWriter &writer, int threads, const std::function<void(double)> &progress) {
  std::vector<Task> tasks;
  for (WeightEntry &w : manifest.weights) {
    auto text = expressions.find(w.name);
    WeightPointer source =
        parseWeight(text == expressions.end() || text->second.empty() ? weightName(w.name) : text->second, checkpoint);
    if (source->format() != w.format || source->rows() != w.rows || source->columns() != w.columns)
      throw CompileError(checkpoint.name() + ": weight " + w.name +
                         " differs from the stage's declaration: the stage belongs to another model");
    int64_t groups = (w.rows + kGroupRows - 1) / kGroupRows;
    w.bytes = w.packed ? groups * traits(w.format).groupBytes(w.columns) : w.columns * sizeof(float);
    w.offset = writer.reserveWeight(w.bytes);
    for (int64_t first = 0; first < (w.packed ? groups : 1); first += kGroupsPerTask)
      tasks.push_back({&w, source, first, std::min(first + kGroupsPerTask, groups)});
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr error;
  auto work = [&](bool reports) {
    Buffers buffers;
    try {
      for (size_t i; (i = next.fetch_add(1)) < tasks.size();) {
        runNamed(tasks[i], checkpoint, writer, buffers);
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

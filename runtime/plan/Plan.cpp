//===- Plan.cpp - opens a plan and cuts its weights into shares --------------------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "runtime/plan/Checksum.h"
#include "runtime/plan/Files.h"
#include "runtime/plan/ManifestJson.h"
#include <algorithm>
#include <cassert>
#include <span>

namespace heddle {
namespace {

constexpr uint64_t kLargestManifest = 64 << 20;

/// Looks only: a pipe or a device in a file's place must not be opened.
uint64_t sizeOf(const std::filesystem::path &path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found)
    throw PlanError(path.string() + ": is missing: compile the model again");
  if (!error && status.type() != fs::file_type::regular)
    throw PlanError(path.string() + ": is no regular file, as those of a plan are: compile the model again");
  const uint64_t size = error ? 0 : fs::file_size(path, error);
  if (error)
    throw PlanError(path.string() + ": cannot be read: " + error.message());
  return size;
}

void checkSize(const std::filesystem::path &path, uint64_t bytes) {
  if (const uint64_t size = sizeOf(path); size != bytes)
    throw PlanError(path.string() + ": has " + std::to_string(size) + " bytes, its manifest says " + std::to_string(bytes) +
                    ": compile the model again");
}

} // namespace

std::string_view kvTypeName(KvType type) { return type == KvType::Q8 ? "q8" : "f16"; }

std::optional<KvType> kvTypeByName(std::string_view name) {
  for (KvType type : {KvType::F16, KvType::Q8})
    if (kvTypeName(type) == name)
      return type;
  return std::nullopt;
}

std::string_view shareName(ShareKind kind) {
  switch (kind) {
  case ShareKind::Whole:
    return "whole";
  case ShareKind::Heads:
    return "heads";
  case ShareKind::KvHeads:
    return "kv_heads";
  case ShareKind::Rows:
    return "rows";
  }
  return "?";
}

std::string_view rowsName(RowsOf rows) {
  switch (rows) {
  case RowsOf::Tokens:
    return "tokens";
  case RowsOf::Wanted:
    return "wanted";
  case RowsOf::Sequences:
    return "sequences";
  }
  return "?";
}

std::string_view accessName(Access access) {
  return access == Access::Read ? "read" : access == Access::Write ? "write" : "update";
}

const Entry *logitsEntry(const Manifest &manifest) {
  for (const Entry &entry : manifest.entries)
    if (entry.outputs.size() == 1 && entry.outputs[0].rows == RowsOf::Wanted && entry.outputs[0].columns == manifest.vocabulary)
      return &entry;
  return nullptr;
}

Share rowShare(const WeightEntry &weight, int64_t rank, int64_t ranks) {
  assert(rank >= 0 && rank < ranks);
  const int64_t rows = weight.rows / weight.experts;
  if (weight.share == ShareKind::Whole)
    return {0, rows};
  const int64_t count = (rows + weight.unitRows - 1) / weight.unitRows;
  Share units = weight.share == ShareKind::KvHeads ? kvShare(share(count * weight.group, rank, ranks), weight.group)
                                                   : share(count, rank, ranks);
  return {std::min(units.begin * weight.unitRows, rows), std::min(units.end * weight.unitRows, rows)};
}

Plan Plan::open(const std::filesystem::path &directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(directory, error))
    throw PlanError(directory.string() + ": is no plan directory: name one, or compile a model with 'heddle compile'");
  Plan plan;
  plan.directory_ = fs::canonical(directory, error);
  if (error)
    throw PlanError(directory.string() + ": cannot open: " + error.message());
  if (!fs::exists(directory / "manifest.json", error))
    throw PlanError(directory.string() +
                    ": is no plan (it has no manifest.json): name one, or compile a model with 'heddle compile'");

  const fs::path manifest = plan.file("manifest.json");
  sizeOf(manifest);
  ParsedManifest parsed = manifestFromJson(files::readText(manifest, kLargestManifest), manifest.string());
  plan.manifest_ = std::move(parsed.manifest);
  checkSize(plan.file("weights.bin"), parsed.weightsBytes);
  for (const PlanFile &file : plan.manifest_.files)
    checkSize(plan.file(file.name), file.bytes);
  return plan;
}

const Manifest &Plan::manifest() const { return manifest_; }
const std::filesystem::path &Plan::directory() const { return directory_; }

std::filesystem::path Plan::file(std::string_view relative) const {
  namespace fs = std::filesystem;
  const fs::path path(relative);
  auto refuse = [&]() { return PlanError(directory_.string() + ": a name leaves the plan: do not use this plan"); };
  if (path.empty() || path.is_absolute() || relative.find('\0') != std::string_view::npos)
    throw refuse();
  for (const fs::path &part : path)
    if (part == "..")
      throw refuse();
  // A link inside the plan must not lead out of it either.
  std::error_code error;
  const fs::path real = fs::weakly_canonical(directory_ / path, error);
  auto [inside, end] = std::mismatch(directory_.begin(), directory_.end(), real.begin(), real.end());
  if (error || inside != directory_.end())
    throw refuse();
  return directory_ / path;
}

static const PlanFile *findFile(const Manifest &manifest, std::string_view relative) {
  auto found = std::ranges::find(manifest.files, relative, &PlanFile::name);
  return found == manifest.files.end() ? nullptr : &*found;
}

bool Plan::has(std::string_view relative) const { return findFile(manifest_, relative); }

std::string Plan::read(std::string_view relative) const {
  const std::filesystem::path path = file(relative);
  const PlanFile *listed = findFile(manifest_, relative);
  if (!listed)
    throw PlanError(path.string() + ": is no file of this plan: compile the model again");
  checkSize(path, listed->bytes); // again: it may have changed since it was opened
  std::string text = files::readText(path, listed->bytes);
  if (checksumText(checksum(std::as_bytes(std::span(text)))) != listed->checksum)
    throw PlanError(path.string() + ": is damaged, its bytes are not those that the manifest knows: compile the model again");
  return text;
}

std::filesystem::path Plan::checkedFile(std::string_view relative) const {
  read(relative);
  return file(relative);
}

} // namespace heddle

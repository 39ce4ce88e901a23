//===- Plan.cpp - opens a plan and cuts its weights into shares --------------------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "runtime/plan/Files.h"
#include "runtime/plan/ManifestJson.h"
#include <algorithm>
#include <cassert>
#include <fcntl.h>

namespace heddle {
namespace {

constexpr uint64_t kLargestManifest = 64 << 20;

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

Share rowShare(const WeightEntry &weight, const PagedState &kv, int64_t rank, int64_t ranks) {
  assert(rank >= 0 && rank < ranks);
  if (weight.share == ShareKind::Whole)
    return {0, weight.rows};
  Share units;
  if (weight.share == ShareKind::Rows)
    units = share((weight.rows + weight.unitRows - 1) / weight.unitRows, rank, ranks);
  else
    units = share(kv.heads, rank, ranks);
  if (weight.share == ShareKind::KvHeads)
    units = kvShare(units, kv.heads / kv.kvHeads);
  return {std::min(units.begin * weight.unitRows, weight.rows), std::min(units.end * weight.unitRows, weight.rows)};
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
  ParsedManifest parsed = manifestFromJson(files::readText(manifest, kLargestManifest), manifest.string());
  plan.manifest_ = std::move(parsed.manifest);
  const fs::path weights = plan.file("weights.bin");
  const uint64_t size = files::File(weights, O_RDONLY | O_NONBLOCK, "open").size();
  if (size != parsed.weightsBytes)
    throw PlanError(weights.string() + ": has " + std::to_string(size) + " bytes, its manifest says " +
                    std::to_string(parsed.weightsBytes) + ": compile the model again");
  for (const std::string &target : plan.manifest_.targets)
    files::File(plan.file("code/" + target + ".so"), O_RDONLY | O_NONBLOCK, "open").size();
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

} // namespace heddle

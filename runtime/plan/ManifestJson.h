//===- ManifestJson.h - manifest.json to Manifest and back ------------------------------------------------------------===//
//
// Internal to runtime/plan. Reading checks everything that can be checked without the other files: types, ranges, shapes against
// formats, shares against heads, offsets against `weightsBytes`. The text ends with a checksum of itself, "check": the SHA-256 of
// everything before the comma in front of it.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"

namespace heddle {

inline constexpr int64_t kManifestVersion = 6;
inline constexpr uint64_t kWeightAlignment = 64;

std::string manifestToJson(const Manifest &manifest, uint64_t weightsBytes);

struct ParsedManifest {
  Manifest manifest;
  uint64_t weightsBytes; // the size that weights.bin must have
};
/// `where` begins every error. Throws PlanError.
ParsedManifest manifestFromJson(std::string_view json, const std::string &where);

/// Bytes that a weight has in weights.bin; nullopt when they overflow. Rows and columns must be positive and fit the format.
std::optional<uint64_t> weightBytes(const WeightEntry &weight);

} // namespace heddle

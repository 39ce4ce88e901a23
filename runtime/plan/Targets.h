//===- Targets.h - the kinds of CPU that code is compiled for, and what each needs ----------------------------------===//
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// Best first. x86-64-v3 and v4 are the levels of the x86-64 psABI (AVX2 and AVX-512); with `+vnni` there are integer dot
/// products of the same width besides: AVX-VNNI on v3, AVX512-VNNI on v4.
constexpr std::array<const char *, 4> kTargets = {"x86-64-v4+vnni", "x86-64-v4", "x86-64-v3+vnni", "x86-64-v3"};

/// "x86-64-v4+vnni, x86-64-v4, … or x86-64-v3", for messages.
std::string targetChoices();

/// CPU features that one of kTargets needs and this CPU, or its operating system, lacks; empty if it can run here.
std::vector<std::string> missingForTarget(std::string_view target);

/// Those of kTargets that can run here, best first. Empty on a CPU older than x86-64-v3.
std::vector<std::string> hostTargets();

} // namespace heddle

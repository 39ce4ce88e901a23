//===- Targets.cpp - what each target needs, and whether this CPU has it ---------------------------------------------===//
#include "runtime/plan/Targets.h"

namespace heddle {

std::string targetChoices() {
  std::string text;
  for (size_t i = 0; i < kTargets.size(); ++i)
    text += (i == 0 ? "" : i + 1 < kTargets.size() ? ", " : " or ") + std::string(kTargets[i]);
  return text;
}

std::vector<std::string> missingForTarget(std::string_view target) {
  bool v4 = target.starts_with("x86-64-v4"), vnni = target.ends_with("+vnni");
  std::vector<std::string> missing;
  auto need = [&](const char *name, bool present) {
    if (!present)
      missing.push_back(name);
  };
  __builtin_cpu_init(); // its answers include what the operating system saves (XGETBV)
  need("avx2", __builtin_cpu_supports("avx2"));
  need("fma", __builtin_cpu_supports("fma"));
  need("f16c", __builtin_cpu_supports("f16c"));
  need("bmi", __builtin_cpu_supports("bmi"));
  need("bmi2", __builtin_cpu_supports("bmi2"));
  need("lzcnt", __builtin_cpu_supports("lzcnt"));
  need("movbe", __builtin_cpu_supports("movbe"));
  if (v4) {
    need("avx512f", __builtin_cpu_supports("avx512f"));
    need("avx512bw", __builtin_cpu_supports("avx512bw"));
    need("avx512cd", __builtin_cpu_supports("avx512cd"));
    need("avx512dq", __builtin_cpu_supports("avx512dq"));
    need("avx512vl", __builtin_cpu_supports("avx512vl"));
  }
  if (v4 && vnni)
    need("avx512vnni", __builtin_cpu_supports("avx512vnni"));
  else if (vnni)
    need("avxvnni", __builtin_cpu_supports("avxvnni"));
  return missing;
}

std::vector<std::string> hostTargets() {
  std::vector<std::string> targets;
  for (const char *target : kTargets)
    if (missingForTarget(target).empty())
      targets.push_back(target);
  return targets;
}

} // namespace heddle

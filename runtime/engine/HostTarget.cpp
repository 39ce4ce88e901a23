//===- HostTarget.cpp - which compiled code this host can run --------------------------------------------------------===//
#include "runtime/engine/HostTarget.h"
#include <algorithm>
#include <stdexcept>

namespace heddle {

static std::string join(std::span<const std::string> names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::string chooseTarget(std::span<const std::string> available, std::span<const std::string> hosts, const std::string &wanted,
                         const std::string &plan) {
  auto holds = [](std::span<const std::string> list, const std::string &name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  if (hosts.empty())
    throw std::runtime_error("this CPU is older than x86-64-v3 (AVX2, FMA, F16C): Heddle cannot run on it");
  if (!wanted.empty() && !holds(hosts, wanted))
    throw std::runtime_error("this CPU cannot run target " + wanted + "; it can run: " + join(hosts));
  for (const std::string &target : hosts)
    if ((wanted.empty() || wanted == target) && holds(available, target))
      return target;
  std::string missing = wanted.empty() ? hosts[0] : wanted;
  throw std::runtime_error(plan + " has code for " + join(available) + ", not for " + missing +
                           " of this CPU; add it by `heddle compile " + plan + " --target " + missing + "`");
}

} // namespace heddle

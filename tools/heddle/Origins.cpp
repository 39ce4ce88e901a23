//===- Origins.cpp - what the lines of a plan's stages came from --------------------------------------------------------===//
#include "tools/heddle/Origins.h"
#include "runtime/plan/OriginsFile.h"
#include "tools/heddle/Command.h"
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace heddle::tool {
namespace {
constexpr size_t kShownLines = 20;  // of a function in a trace
constexpr size_t kWidestLabel = 60; // of the column before the text

std::vector<std::string_view> linesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string join(const std::vector<std::string> &parts, const char *between) {
  std::string all;
  for (const std::string &part : parts)
    all += (all.empty() ? "" : between) + part;
  return all;
}

/// {3, 4, 5, 9} as "3-5,9".
std::string asRanges(const std::set<int64_t> &numbers) {
  std::string text;
  for (auto it = numbers.begin(); it != numbers.end();) {
    const int64_t first = *it;
    int64_t last = first;
    while (++it != numbers.end() && *it == last + 1)
      last = *it;
    text += (text.empty() ? "" : ",") + std::to_string(first) + (last > first ? "-" + std::to_string(last) : "");
  }
  return text;
}

std::string textOf(const Plan &plan, std::string_view stage) {
  return plan.read(stageFile(plan.directory(), stage).lexically_relative(plan.directory()).string());
}
} // namespace

Origins::Origins(const Plan &plan) : plan_(plan) {
  if (!plan.has(kOriginsFile))
    throw Failure(plan.directory().string() + ": the plan does not say where its ops came from; compile the model again");
  try {
    const nlohmann::json file = nlohmann::json::parse(plan.read(kOriginsFile));
    first_ = file.at("first").get<std::string>();
    for (const auto &origin : file.at("origins"))
      origins_.push_back({origin.at(0).get<int64_t>(), origin.at(1).get<std::string>(), origin.at(2).get<std::string>()});
    for (const auto &[stage, runs] : file.at("stages").items())
      for (const auto &run : runs) {
        stages_[stage].push_back({run.at(0).get<size_t>(), run.at(1).get<size_t>(), run.at(2).get<Numbers>()});
        if (std::ranges::any_of(stages_[stage].back().origins, [&](size_t number) { return number >= origins_.size(); }))
          throw Failure(plan.file(kOriginsFile).string() + ": names an op that it does not list; compile the model again");
      }
  } catch (const nlohmann::json::exception &error) {
    throw Failure(plan.file(kOriginsFile).string() + ": " + error.what() + "; compile the model again");
  }
}

std::vector<Origins::Numbers> Origins::byLine(std::string_view stage, std::string_view text) const {
  std::vector<Numbers> lines(linesOf(text).size() + 1);
  if (stage != "llvm" && stage != "asm") {
    if (auto runs = stages_.find(stage); runs != stages_.end())
      for (const Run &run : runs->second)
        for (size_t line = run.first; line - run.first < run.lines && line < lines.size(); ++line)
          lines[line] = run.origins;
    return lines;
  }
  const std::string loops = textOf(plan_, "loops");
  const std::vector<Numbers> known = byLine("loops", loops);
  std::map<std::string, size_t> headers;
  for (const FunctionLines &function : functionsOf(loops, "loops"))
    headers[function.name] = function.first;
  for (const FunctionLines &function : functionsOf(text, stage))
    if (auto header = headers.find(function.name); header != headers.end())
      for (size_t line = function.first; line <= function.last; ++line)
        lines[line] = known[header->second];
  return lines;
}

std::string Origins::label(const Numbers &numbers) const {
  if (numbers.empty())
    return "";
  std::vector<std::string> roles, layers;
  std::set<int64_t> lines;
  auto addOnce = [](std::vector<std::string> &list, const std::string &one) {
    if (!one.empty() && std::ranges::find(list, one) == list.end())
      list.push_back(one);
  };
  auto isThere = [&](const std::string &role) {
    return std::ranges::any_of(numbers, [&](size_t number) { return origins_[number].role == role; });
  };
  for (size_t number : numbers) {
    const Origin &origin = origins_[number];
    const size_t dot = origin.role.rfind('.'); // what was done to a role's result goes without saying
    if (dot == std::string::npos || !isThere(origin.role.substr(0, dot)))
      addOnce(roles, origin.role);
    addOnce(layers, origin.layers);
    lines.insert(origin.line);
  }
  return (layers.empty() ? "-" : join(layers, ",")) + "/" + join(roles, "+") + "/" + asRanges(lines);
}

std::string Origins::annotated(std::string_view stage, std::string_view text) const {
  return annotated(stage, text, 1, linesOf(text).size());
}

std::string Origins::annotated(std::string_view stage, std::string_view text, size_t first, size_t last) const {
  const std::vector<std::string_view> lines = linesOf(text);
  const std::vector<Numbers> known = byLine(stage, text);
  std::map<Numbers, std::string> labels;
  size_t width = 0;
  for (size_t line = first; line <= last; ++line) {
    auto [found, fresh] = labels.try_emplace(known[line]);
    if (fresh)
      found->second = label(known[line]);
    width = std::max(width, std::min(found->second.size(), kWidestLabel));
  }
  std::string out;
  for (size_t line = first; line <= last; ++line) {
    std::string text = labels[known[line]];
    text.resize(std::max(text.size(), width), ' ');
    out += text + " | " + std::string(lines[line - 1]) + "\n";
  }
  return out;
}

std::string Origins::trace(const std::string &role) const {
  std::set<size_t> wanted;
  std::set<std::string> roles;
  for (size_t number = 0; number < origins_.size(); ++number) {
    roles.insert(origins_[number].role);
    if (origins_[number].role == role)
      wanted.insert(number);
  }
  if (wanted.empty())
    throw Failure("stage " + first_ + " has no op of role '" + role + "'; it has: " + join({roles.begin(), roles.end()}, ", "));
  std::string out;
  for (std::string_view stage : kStages) {
    if (stage != "llvm" && stage != "asm" && !stages_.contains(stage))
      continue; // before the one that compilation went on from
    const std::string text = textOf(plan_, stage);
    const std::vector<std::string_view> lines = linesOf(text);
    const std::vector<Numbers> known = byLine(stage, text);
    const std::vector<FunctionLines> functions = functionsOf(text, stage);
    auto isWanted = [&](size_t number) { return wanted.contains(number); };
    std::string last = " "; // no function's name
    size_t shown = 0, left = 0;
    auto finish = [&] {
      if (left)
        out += "          … " + std::to_string(left) + " more: heddle inspect MODEL --stage " + std::string(stage) +
               (last.empty() ? "" : " --function " + last) + "\n";
      shown = left = 0;
    };
    out += std::string(stage) + "\n";
    auto function = functions.begin();
    for (size_t line = 1; line < known.size(); ++line) {
      if (std::ranges::none_of(known[line], isWanted))
        continue;
      while (function != functions.end() && function->last < line)
        ++function;
      const std::string name = function != functions.end() && function->first <= line ? function->name : "";
      if (name != last) {
        finish();
        out += name.empty() ? "" : "  " + name + "\n";
        last = name;
      }
      if (++shown > kShownLines) {
        ++left;
        continue;
      }
      std::string number = std::to_string(line);
      number.insert(0, number.size() < 8 ? 8 - number.size() : 0, ' ');
      const std::string_view whole = lines[line - 1];
      out += number + "  " + std::string(whole.substr(std::min(whole.find_first_not_of(" \t"), whole.size()))) + "\n";
    }
    finish();
  }
  return out;
}

} // namespace heddle::tool

//===- List.cpp - heddle list and heddle rm: models and cached plans -----------------------------------------------------===//
#include "runtime/plan/PlanCache.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Paths.h"
#include "tools/heddle/Progress.h"
#include "tools/heddle/hub/HubStore.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace heddle::tool {
namespace fs = std::filesystem;
namespace {

struct Model {
  std::string name;
  fs::path path;
  uint64_t bytes;
  int64_t used;
  std::string kind = "model"; // or "file", of the hub
  std::optional<HubModel> hub = {};
};

Model fromHub(const HubModel &model) {
  return {model.name.text(), model.path, model.bytes, model.used, model.isModel ? "model" : "file", model};
}

uint64_t bytesBelow(const fs::path &folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (std::error_code ignored; at->is_regular_file(ignored))
      bytes += at->file_size(ignored);
  return bytes;
}

/// When a file of a folder was read last.
int64_t lastUse(const fs::path &folder) {
  int64_t used = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (struct stat info; ::stat(at->path().c_str(), &info) == 0)
      used = std::max<int64_t>(used, info.st_atim.tv_sec);
  return used;
}

std::vector<Model> pulledModels() {
  std::vector<Model> models;
  std::error_code error;
  for (fs::directory_iterator at(modelsDirectory(), error), end; !error && at != end; at.increment(error)) {
    const fs::directory_entry &entry = *at;
    struct stat info;
    if (entry.path().extension() == ".gguf" && !entry.path().filename().string().starts_with(".") &&
        ::stat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
      models.push_back({entry.path().stem().string(), entry.path(), uint64_t(info.st_size), info.st_atim.tv_sec});
  }
  for (const KnownModel &known : knownModels())
    if (const fs::path folder = pulledPath(known.name); known.isFolder() && fs::is_directory(folder, error))
      models.push_back({std::string(known.name), folder, bytesBelow(folder), lastUse(folder)});
  for (const HubModel &model : hubModels())
    models.push_back(fromHub(model));
  std::sort(models.begin(), models.end(), [](auto &a, auto &b) { return a.name < b.name; });
  return models;
}

std::string ago(int64_t used) {
  int64_t seconds = std::max<int64_t>(0, ::time(nullptr) - used);
  auto some = [](int64_t count, const char *unit) {
    return std::to_string(count) + " " + unit + (count == 1 ? "" : "s") + " ago";
  };
  if (seconds < 120)
    return "just now";
  if (seconds < 7200)
    return some(seconds / 60, "minute");
  if (seconds < 2 * 86400)
    return some(seconds / 3600, "hour");
  return some(seconds / 86400, "day");
}

std::string utc(int64_t seconds) {
  time_t time = seconds;
  tm parts{};
  gmtime_r(&time, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Enough of a key to name a plan.
std::string shortKey(const CachedPlan &plan) { return plan.key.substr(0, 12); }

std::string state(const PlanCache &cache, const CachedPlan &plan, const std::string &build) {
  if (!plan.manifest)
    return "unreadable";
  if (plan.manifest->compilerHash == build)
    return "usable";
  return cache.canBeFound(plan, build) ? "of another build" : "of a build that is gone";
}

/// The hash of this build's compiler.
std::string thisBuild(const PlanCache &cache) {
  std::error_code error;
  return fs::exists(compilerLibrary(), error) ? cache.contentHash(compilerLibrary()) : "none";
}

int list(bool json) {
  PlanCache cache;
  const std::string build = thisBuild(cache);
  nlohmann::ordered_json report = nlohmann::ordered_json::array();
  std::vector<std::array<std::string, 5>> rows = {{"NAME", "KIND", "SIZE", "LAST USED", ""}};
  for (const Model &model : pulledModels()) {
    rows.push_back({model.name, model.kind, formatBytes(double(model.bytes)), ago(model.used), ""});
    report.push_back({{"name", model.name},
                      {"kind", model.kind},
                      {"path", model.path.string()},
                      {"bytes", model.bytes},
                      {"last_used", utc(model.used)}});
  }
  for (const CachedPlan &plan : cache.plans()) {
    const std::string what = state(cache, plan, build), name = plan.manifest ? plan.manifest->name : "";
    std::string targets;
    for (size_t i = 0; plan.manifest && i < plan.manifest->targets.size(); ++i)
      targets += (i ? ", " : "") + plan.manifest->targets[i];
    const std::string type =
        plan.manifest && !plan.manifest->states.empty() ? std::string(kvTypeName(plan.manifest->states[0].type)) : "";
    rows.push_back({name.empty() ? "?" : name, "plan", formatBytes(double(plan.bytes)), ago(plan.used),
                    shortKey(plan) + "  " + (targets.empty() ? "" : targets + "  " + type + "  ") + what});
    report.push_back({{"name", name},
                      {"kind", "plan"},
                      {"path", plan.path.string()},
                      {"bytes", plan.bytes},
                      {"last_used", utc(plan.used)},
                      {"key", plan.key},
                      {"targets", plan.manifest ? plan.manifest->targets : std::vector<std::string>()},
                      {"kv_type", type},
                      {"state", what},
                      {"usable", what == "usable"}});
  }
  if (json) {
    std::cout << report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return 0;
  }
  std::array<size_t, 4> widths{};
  for (const auto &row : rows)
    for (size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  for (const auto &row : rows) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i)
      line += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
    line += row[4];
    std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
  }
  return 0;
}

struct RemoveOptions {
  std::vector<std::string> names;
  bool plans = false, unused = false;
};

/// Plans are called as the file or folder that they were compiled from. Another model's may be called the same: then they stay.
bool isPlanOf(const CachedPlan &plan, const HubModel &model, const std::vector<Model> &pulled) {
  auto called = [&](const fs::path &path) {
    return plan.manifest->name == path.stem() || plan.manifest->name == path.filename();
  };
  return plan.manifest && called(model.path) &&
         std::ranges::count_if(pulled, [&](const Model &other) { return called(other.path); }) == 1;
}

int removeThem(const RemoveOptions &options) {
  PlanCache cache;
  std::vector<Model> models;
  std::vector<HubName> unfinished;
  std::vector<CachedPlan> plans;
  const std::vector<Model> pulled = pulledModels();
  const std::vector<CachedPlan> cached = cache.plans();
  // All names are looked up before anything goes.
  for (const std::string &name : options.names) {
    std::optional<HubModel> ofHub;
    if (isHubName(name))
      ofHub = findHubModel(parseHubName(name));
    else if (name.find('/') != std::string::npos)
      throw Failure("'" + name +
                    "' is a path; rm removes pulled models and cached plans only, by the names that heddle list shows");
    bool found = false;
    if (ofHub && !options.plans) {
      models.push_back(fromHub(*ofHub));
      found = true;
    }
    if (std::error_code error; isHubName(name) && !options.plans && fs::exists(hubPartialOf(parseHubName(name)), error)) {
      unfinished.push_back(parseHubName(name));
      found = true;
    }
    for (const Model &model : pulled)
      if (!isHubName(name) && model.name == name && !options.plans) {
        models.push_back(model);
        found = true;
      }
    for (const CachedPlan &plan : cached) {
      bool named = plan.manifest && (plan.manifest->name == name || (ofHub && isPlanOf(plan, *ofHub, pulled)));
      if (named || (name.size() >= 8 && plan.key.starts_with(name))) {
        plans.push_back(plan);
        found = true;
      }
    }
    if (!found)
      throw Failure("there is no " + std::string(options.plans ? "cached plan" : "model or cached plan") + " '" + name +
                    "'; heddle list names them");
  }
  for (const Model &model : models) {
    if (model.hub)
      removeHubModel(*model.hub);
    else if (std::error_code error; fs::remove_all(model.path, error), error)
      throw Failure(model.path.string() + " cannot be removed: " + error.message());
    std::cout << "removed " << model.kind << " " << model.name << ", " << formatBytes(double(model.bytes)) << "\n";
  }
  for (const HubName &name : unfinished)
    if (uint64_t freed = removeHubPartial(name))
      std::cout << "removed what an unfinished pull of " << name.with("").text() << " left, " << formatBytes(double(freed))
                << "\n";
  for (const CachedPlan &plan : plans)
    if (uint64_t freed = cache.remove(plan))
      std::cout << "removed plan " << shortKey(plan) << (plan.manifest ? " of " + plan.manifest->name : "") << ", "
                << formatBytes(double(freed)) << "\n";
  if (options.unused)
    std::cout << "removed plans that no build can use, " << formatBytes(double(cache.prune(0, thisBuild(cache)))) << "\n";
  return 0;
}

} // namespace

std::vector<std::string> pulledNames() {
  std::vector<std::string> names;
  for (const Model &model : pulledModels())
    names.push_back(model.name);
  return names;
}

void addList(CLI::App &app, Action &action) {
  auto json = std::make_shared<bool>(false);
  CLI::App *command = app.add_subcommand("list", "List the pulled models and the cached plans: sizes, and when last used");
  command->add_flag("--json", *json, "Print one JSON array");
  command->callback([json, &action] { action = [json] { return list(*json); }; });
}

void addRemove(CLI::App &app, Action &action) {
  auto options = std::make_shared<RemoveOptions>();
  CLI::App *command = app.add_subcommand("rm", "Remove pulled models with their cached plans, and say what that frees");
  command->add_option("NAME", options->names, "Names as heddle list shows them, or the first letters of a plan's key")
      ->type_name("");
  command->add_flag("--plans", options->plans, "Only the cached plans of that name; the model stays");
  command->add_flag("--unused", options->unused, "Also every cached plan that no build can use any more");
  command->callback([options, &action] {
    if (options->names.empty() && !options->unused)
      throw UsageError("give a NAME, or --unused; heddle list names what is there");
    if (std::any_of(options->names.begin(), options->names.end(), [](auto &name) { return name.empty(); }))
      throw UsageError("a NAME is empty; heddle list names what is there");
    action = [options] { return removeThem(*options); };
  });
}

} // namespace heddle::tool

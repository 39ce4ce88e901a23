//===- Rules.cpp - what a file may say without being read -----------------------------------------------------------===//
#include "compiler/checkpoints/Rules.h"
#include <algorithm>
#include <array>

namespace heddle {
namespace {

/// Whether `text` is `pattern`, whose `*` stand for any text and a first `@` for `root`. Patterns have one `*` at most besides
/// one at an end, so that the time does not explode with a hostile name.
bool fits(std::string_view pattern, std::string_view text, std::string_view root) {
  if (pattern.starts_with('@'))
    return text.starts_with(root) && fits(pattern.substr(1), text.substr(root.size()), root);
  size_t star = pattern.find('*');
  if (star == std::string_view::npos)
    return pattern == text;
  if (!text.starts_with(pattern.substr(0, star)))
    return false;
  if (star + 1 == pattern.size())
    return true;
  for (size_t at = star; at <= text.size(); ++at)
    if (fits(pattern.substr(star + 1), text.substr(at), root))
      return true;
  return false;
}

bool isOneOf(std::string_view list, std::string_view value) {
  while (!list.empty()) {
    size_t end = list.find('|');
    if (list.substr(0, end) == value)
      return true;
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
  return false;
}

/// In a folder, what may stand beside the text model's values may also stand above them.
const Rule *ruleFor(const Checkpoint &checkpoint, std::string_view name, std::string_view root, std::span<const Rule> own,
                    std::span<const Rule> general) {
  const bool above = checkpoint.kind() == Checkpoint::Kind::Folder;
  for (std::span<const Rule> rules : {own, general})
    for (const Rule &rule : rules)
      if (fits(rule.name, name, root) || (above && fits(rule.name, name, "")))
        return &rule;
  return nullptr;
}

[[noreturn]] void refuse(const std::string &what, std::string_view why, std::string_view family) {
  std::string reason(why);
  if (reason.empty())
    reason = "this is not known here for architecture " + std::string(family) +
             ", and without it answers may be wrong: use another file, or a newer Heddle";
  else if (reason.find(':') == std::string::npos)
    reason += ": use a model without it";
  throw CompileError(what + ": " + reason);
}

std::string plain(const std::string &text) {
  std::string shown = quotedForError(text);
  return shown.substr(1, shown.size() - 2);
}

/// JSON's null: Python reads it as false, and of a key that nothing is known of it says that there is none. An activation
/// function of null is a fault like any other.
bool passesNull(const Rule &rule) {
  return rule.why.empty() || std::ranges::any_of(std::array{"null", "false", "0", "[]"},
                                                 [&](std::string_view value) { return isOneOf(rule.harmless, value); });
}

void checkSetting(const Checkpoint &checkpoint, const FamilyRules &family, const std::string &key, bool unknownToo) {
  const Rule *rule = ruleFor(checkpoint, key, family.root, family.settings, checkpoint.settingRules());
  if (!rule || rule->harmless == "*" || (!unknownToo && rule->why.empty()))
    return;
  std::optional<Setting> setting = checkpoint.setting(key);
  if (!setting || isOneOf(rule->harmless, shownSetting(*setting)) || (setting->isNull() && passesNull(*rule)))
    return;
  const bool text = setting->as<std::string>();
  refuse(checkpoint.shownKey(plain(key)) + " is " + (text ? quotedForError(*setting->as<std::string>()) : shownSetting(*setting)),
         rule->why, family.family);
}

void checkSettings(const Checkpoint &checkpoint, const FamilyRules &family, bool ofTokenizer, bool unknownToo) {
  for (const std::string &key : checkpoint.unreadSettings())
    if (checkpoint.ofTokenizer(key) == ofTokenizer)
      checkSetting(checkpoint, family, key, unknownToo);
}

void checkTensors(const Checkpoint &checkpoint, const FamilyRules &family, bool unknownToo) {
  for (const std::string &name : checkpoint.unreadTensors()) {
    const Rule *rule = ruleFor(checkpoint, name, family.root, family.tensors, checkpoint.tensorRules());
    if (rule && rule->why.empty() && !unknownToo) // a family reads such, and has not been asked yet
      continue;
    if (rule ? rule->harmless != "*" : unknownToo)
      refuse(checkpoint.shownTensor(plain(name)), rule ? rule->why : "", family.family);
  }
}

} // namespace

void refuseUnsupported(const Checkpoint &checkpoint, const FamilyRules &family) {
  checkSettings(checkpoint, family, /*ofTokenizer=*/false, /*unknownToo=*/false);
  checkTensors(checkpoint, family, /*unknownToo=*/false);
}

void refuseUnread(const Checkpoint &checkpoint, const FamilyRules &family) {
  checkSettings(checkpoint, family, /*ofTokenizer=*/false, /*unknownToo=*/true);
  checkTensors(checkpoint, family, /*unknownToo=*/true);
}

void refuseUnreadTokenizer(const Checkpoint &checkpoint, const FamilyRules &family) {
  checkSettings(checkpoint, family, /*ofTokenizer=*/true, /*unknownToo=*/true);
}

} // namespace heddle

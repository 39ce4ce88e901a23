//===- Conversation.cpp - what was said in a chat ------------------------------------------------------------------------===//
#include "tools/heddle/chat/Conversation.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Npy.h"
#include "tools/heddle/Options.h"
#include <nlohmann/json.hpp>

namespace heddle::tool {
namespace fs = std::filesystem;
std::vector<ChatMessage> Conversation::messages(size_t first, const std::string *next) const {
  std::vector<ChatMessage> all;
  if (!system.empty())
    all.push_back({"system", system});
  for (size_t i = first; i < turns.size(); ++i) {
    all.push_back({"user", turns[i].user});
    all.push_back({"assistant", turns[i].assistant});
  }
  if (next)
    all.push_back({"user", *next});
  return all;
}

void Conversation::save(const fs::path &file, const std::string &model) const {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const ChatMessage &message : messages())
    list.push_back({{"role", message.role}, {"content", message.content}});
  const std::string text =
      Json{{"model", model}, {"messages", std::move(list)}}.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";

  OutputFile out(file);
  out.write(text.data(), text.size());
  out.finish();
}

void Conversation::load(const fs::path &file) {
  using Json = nlohmann::json;
  const std::string text = readTextFile(file);
  auto fail = [&](const std::string &what) { throw Failure(file.string() + " " + what + "; /save writes what can be read"); };
  Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && parsed.contains("messages"))
    parsed = Json(parsed["messages"]);
  if (!parsed.is_array())
    fail("holds no messages");
  Conversation loaded;
  bool asked = false;
  for (size_t i = 0; i < parsed.size(); ++i) {
    const Json &message = parsed[i];
    auto field = [&](const char *name) {
      if (!message.is_object() || !message.contains(name) || !message[name].is_string())
        fail("has no text '" + std::string(name) + "' in message " + std::to_string(i + 1));
      return message[name].get<std::string>();
    };
    const std::string role = field("role"), content = field("content");
    if (role == "system" && i == 0)
      loaded.system = content;
    else if (role == "user" && !asked)
      loaded.turns.push_back({content, {}});
    else if (role == "assistant" && asked)
      loaded.turns.back().assistant = content;
    else
      fail("has a message " + std::to_string(i + 1) + " of '" + role + "' where " + (asked ? "assistant" : "user") + " is next");
    asked = role == "user";
  }
  if (asked)
    fail("ends with a turn that has no answer");
  *this = std::move(loaded);
}

} // namespace heddle::tool

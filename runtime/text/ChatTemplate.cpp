//===- ChatTemplate.cpp - a model's own chat template ----------------------------------------------------------------===//
#include "runtime/text/Foreign.h"
#include "runtime/text/Tokenizer.h"
#include <nlohmann/json.hpp>

namespace heddle {
using namespace text;
namespace {

std::string toJson(std::span<const ChatMessage> messages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ChatMessage &message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  try {
    return list.dump();
  } catch (const nlohmann::json::type_error &) { // dump refuses invalid UTF-8
    throw TextError("a chat message is not valid UTF-8; send UTF-8");
  }
}

} // namespace

ChatTemplate::ChatTemplate(std::string_view source, std::string_view bosToken, std::string_view eosToken) {
  heddle_template *handle = nullptr;
  check(heddle_template_create(source.data(), source.size(), bosToken.data(), bosToken.size(), eosToken.data(), eosToken.size(),
                               &handle));
  handle_.reset(handle, [](void *chat) { heddle_template_free(static_cast<heddle_template *>(chat)); });
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, bool addGenerationPrompt) const {
  const std::string json = toJson(messages);
  Bytes text;
  check(heddle_template_render(static_cast<heddle_template *>(handle_.get()), json.data(), json.size(), addGenerationPrompt,
                               &text.data, &text.size));
  return text.copy();
}

std::vector<int32_t> ChatTemplate::encode(const Tokenizer &tokenizer, std::span<const ChatMessage> messages,
                                          bool addGenerationPrompt, bool parseSpecial) const {
  const std::string json = toJson(messages);
  Ids ids;
  check(heddle_template_encode(static_cast<heddle_template *>(handle_.get()), static_cast<heddle_tokenizer *>(tokenizer.handle_),
                               json.data(), json.size(), addGenerationPrompt, parseSpecial, &ids.data, &ids.count));
  return std::vector<int32_t>(ids.data, ids.data + ids.count);
}

} // namespace heddle

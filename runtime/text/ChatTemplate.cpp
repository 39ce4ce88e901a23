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

ChatTemplate::ChatTemplate(std::string source, std::string bosToken, std::string eosToken)
    : source_(std::move(source)), bos_(std::move(bosToken)), eos_(std::move(eosToken)) {
  check(heddle_template_check(source_.data(), source_.size()));
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, bool addGenerationPrompt) const {
  const std::string json = toJson(messages);
  Bytes text;
  check(heddle_template_render(source_.data(), source_.size(), json.data(), json.size(), bos_.data(), bos_.size(), eos_.data(),
                               eos_.size(), addGenerationPrompt, &text.data, &text.size));
  return text.copy();
}

} // namespace heddle

//===- ServedModel.cpp ---------------------------------------------------------------------------------------------===//
#include "services/frontend/ServedModel.h"
#include "runtime/text/Utf8.h"
#include <stdexcept>

namespace heddle {

TextTooLong::TextTooLong(size_t bytes, int64_t tokens)
    : std::runtime_error("has " + std::to_string(bytes) + " bytes, at least " + std::to_string(tokens) + " tokens") {}

ServedModel ServedModel::open(const std::filesystem::path &directory, const std::string &name) {
  Plan plan = Plan::open(directory);
  auto tokenizer = Tokenizer::open(plan.checkedFile("tokenizer.json"));
  Manifest manifest = plan.manifest();
  if (!name.empty())
    manifest.name = repairedUtf8(name);
  return {std::move(manifest), std::move(tokenizer),
          plan.has("chat_template.jinja") ? plan.read("chat_template.jinja") : std::string()};
}

ServedModel::ServedModel(Manifest manifest, std::shared_ptr<const Tokenizer> tokenizer, std::string chatTemplate)
    : manifest_(std::move(manifest)), tokenizer_(std::move(tokenizer)) {
  const auto text = [&](int64_t id) { return id < 0 ? "" : tokenizer_->tokenText(static_cast<int32_t>(id)); };
  try {
    if (chatTemplate.empty())
      whyNoChat_ = "model " + manifest_.name + " has no chat template";
    else
      chat_.emplace(chatTemplate, text(manifest_.bos), text(manifest_.eos));
  } catch (const TextError &error) {
    brokenTemplate_ = true;
    whyNoChat_ = error.what();
  }
}

SamplingParams ServedModel::chatSampling() const {
  const GenerationSettings &own = manifest_.generation;
  SamplingParams out;
  out.temperature = own.temperature.value_or(0.8);
  out.topK = own.topK.value_or(40);
  out.topP = own.topP.value_or(0.95);
  out.minP = own.minP.value_or(0.05);
  out.repeatPenalty = own.repeatPenalty.value_or(1);
  return out;
}

void ServedModel::checkSize(std::string_view text, int64_t most) const {
  if (static_cast<int64_t>(text.size()) <= most)
    return; // a bound is at most the number of bytes
  if (int64_t atLeast = tokenizer_->leastTokens(text); atLeast > most)
    throw TextTooLong(text.size(), atLeast);
}

void ServedModel::checkPrompt(const std::string &text, bool raw, int64_t most) const {
  if (raw || (!chat_ && !brokenTemplate_)) // a template may leave out what it likes
    checkSize(text, most);
}

std::vector<int32_t> ServedModel::encodePrompt(const std::string &text, bool raw, int64_t most) const {
  if (!raw && (chat_ || brokenTemplate_)) {
    ChatMessage turn{"user", text};
    return encodeChat({&turn, 1}, /*parseSpecial=*/false, most);
  }
  checkSize(text, most);
  std::vector<int32_t> ids = tokenizer_->encode(text, /*parseSpecial=*/true);
  return raw ? ids : withBegin(std::move(ids));
}

std::vector<int32_t> ServedModel::encodeChat(std::span<const ChatMessage> messages, bool parseSpecial, int64_t most) const {
  if (brokenTemplate_)
    throw TextError(whyNoChat_ + "; send a prompt as it is (raw)");
  if (!chat_)
    throw std::invalid_argument(whyNoChat_ + "; send a prompt instead");
  size_t bytes = 0;
  for (const ChatMessage &message : messages)
    bytes += message.content.size();
  if (static_cast<int64_t>(bytes) > most) // else no look at the prompt is worth its rendering
    checkSize(chat_->render(messages, /*addGenerationPrompt=*/true), most);
  return withBegin(chat_->encode(*tokenizer_, messages, /*addGenerationPrompt=*/true, parseSpecial));
}

/// Many templates write the token themselves, so it is added only where it is missing.
std::vector<int32_t> ServedModel::withBegin(std::vector<int32_t> ids) const {
  if (manifest_.addBos && manifest_.bos >= 0 && (ids.empty() || ids.front() != manifest_.bos))
    ids.insert(ids.begin(), static_cast<int32_t>(manifest_.bos));
  return ids;
}

} // namespace heddle

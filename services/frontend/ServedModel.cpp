//===- ServedModel.cpp ---------------------------------------------------------------------------------------------===//
#include "services/frontend/ServedModel.h"
#include "runtime/text/Utf8.h"
#include <stdexcept>

namespace heddle {
namespace {

std::string tokenText(const Tokenizer &tokenizer, int64_t id) {
  if (id < 0)
    return {};
  int32_t ids[] = {static_cast<int32_t>(id)};
  return tokenizer.decode(ids, /*skipSpecial=*/false);
}

} // namespace

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
  if (!chatTemplate.empty())
    chat_.emplace(std::move(chatTemplate), tokenText(*tokenizer_, manifest_.bos), tokenText(*tokenizer_, manifest_.eos));
}

void ServedModel::checkSize(const std::string &text, int64_t most) const {
  if (static_cast<int64_t>(text.size()) <= most)
    return; // a bound is at most the number of bytes
  if (int64_t atLeast = tokenizer_->leastTokens(text); atLeast > most)
    throw TextTooLong(text.size(), atLeast);
}

void ServedModel::checkPrompt(const std::string &text, bool raw, int64_t most) const {
  if (raw || !chat_) // a template may leave out what it likes
    checkSize(text, most);
}

std::vector<int32_t> ServedModel::encode(const std::string &text, int64_t most) const {
  checkSize(text, most);
  return tokenizer_->encode(text, /*parseSpecial=*/true);
}

std::vector<int32_t> ServedModel::encodePrompt(const std::string &text, bool raw, int64_t most) const {
  if (raw)
    return encode(text, most);
  if (!chat_)
    return withBegin(encode(text, most));
  ChatMessage turn{"user", text};
  return encodeChat({&turn, 1}, most);
}

std::vector<int32_t> ServedModel::encodeChat(std::span<const ChatMessage> messages, int64_t most) const {
  if (!chat_)
    throw std::invalid_argument("model " + manifest_.name + " has no chat template; send a prompt instead");
  return withBegin(encode(chat_->render(messages, /*addGenerationPrompt=*/true), most));
}

/// Many templates write the token themselves, so it is added only where it is missing.
std::vector<int32_t> ServedModel::withBegin(std::vector<int32_t> ids) const {
  if (manifest_.addBos && manifest_.bos >= 0 && (ids.empty() || ids.front() != manifest_.bos))
    ids.insert(ids.begin(), static_cast<int32_t>(manifest_.bos));
  return ids;
}

} // namespace heddle

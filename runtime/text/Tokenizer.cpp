//===- Tokenizer.cpp - text to token ids and back --------------------------------------------------------------------===//
#include "runtime/text/Tokenizer.h"
#include "runtime/text/Foreign.h"
#include "runtime/text/Utf8.h"
#include <fstream>
#include <malloc.h>

namespace heddle {
using namespace text;
namespace {

heddle_tokenizer *of(void *handle) { return static_cast<heddle_tokenizer *>(handle); }

} // namespace

std::shared_ptr<const Tokenizer> Tokenizer::fromJson(std::string_view json) {
  std::shared_ptr<Tokenizer> tokenizer(new Tokenizer);
  heddle_tokenizer *handle = nullptr;
  check(heddle_tokenizer_create(json.data(), json.size(), &handle));
  tokenizer->handle_ = handle;
  return tokenizer;
}

std::shared_ptr<const Tokenizer> Tokenizer::open(const std::filesystem::path &file, std::string_view next) {
  std::shared_ptr<const Tokenizer> tokenizer;
  try {
    std::error_code error; // also where it is a folder
    std::string json(std::filesystem::is_regular_file(file, error) ? std::filesystem::file_size(file, error) : 0, '\0');
    std::ifstream in(file, std::ios::binary);
    if (error || json.empty() || !in.read(json.data(), static_cast<std::streamsize>(json.size())))
      throw TextError("cannot be read");
    tokenizer = fromJson(json);
  } catch (const TextError &error) {
    throw TextError(file.string() + ": " + error.what() + "; " + std::string(next));
  }
  malloc_trim(0); // what reading took besides goes back to the system, several times the tables' own size
  return tokenizer;
}

Tokenizer::~Tokenizer() { heddle_tokenizer_free(of(handle_)); }

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool parseSpecial) const {
  Ids ids;
  check(heddle_tokenizer_encode(of(handle_), text.data(), text.size(), parseSpecial, &ids.data, &ids.count));
  return std::vector<int32_t>(ids.data, ids.data + ids.count);
}

EncodedText Tokenizer::encodeWhole(std::string_view text, std::optional<std::string_view> second) const {
  Ids numbers;
  check(heddle_tokenizer_encode_whole(of(handle_), text.data(), text.size(),
                                      second ? second->data() ? second->data() : "" : nullptr, second ? second->size() : 0,
                                      &numbers.data, &numbers.count));
  EncodedText encoded;
  std::vector<int32_t> *const lists[] = {&encoded.ids, &encoded.types, &encoded.part, &encoded.begin, &encoded.end};
  for (size_t i = 0; i < numbers.count; ++i)
    lists[i % 5]->push_back(numbers.data[i]);
  return encoded;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  Bytes text;
  check(heddle_tokenizer_decode(of(handle_), ids.data(), ids.size(), skipSpecial, &text.data, &text.size));
  return text.copy();
}

std::string Tokenizer::tokenText(int32_t id) const {
  Bytes text;
  check(heddle_tokenizer_token_text(of(handle_), id, &text.data, &text.size));
  return text.copy();
}

bool Tokenizer::isHidden(int32_t id) const { return heddle_tokenizer_is_hidden(of(handle_), id); }

std::string Tokenizer::decodeNext(int32_t previous, int32_t id) const {
  Bytes bytes;
  check(heddle_tokenizer_decode_next(of(handle_), previous, id, &bytes.data, &bytes.size));
  return bytes.copy();
}

int64_t Tokenizer::vocabularySize() const { return int64_t(heddle_tokenizer_vocabulary_size(of(handle_))); }

int64_t Tokenizer::leastTokens(std::string_view text) const {
  size_t count = 0;
  check(heddle_tokenizer_least_tokens(of(handle_), text.data(), text.size(), &count));
  return int64_t(count);
}

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}

std::string StreamDecoder::push(int32_t id) {
  const std::string bytes = tokenizer_->decodeNext(previous_, id);
  if (bytes.empty())
    return {};
  previous_ = id;
  pending_ += bytes;
  std::string text;
  pending_.erase(0, appendWholeCharacters(pending_, text));
  return text;
}

std::string StreamDecoder::flush() {
  // What is pending is the beginning of one character: one replacement stands for it.
  std::string text = pending_.empty() ? "" : "\xEF\xBF\xBD";
  pending_.clear();
  previous_ = -1;
  return text;
}

} // namespace heddle

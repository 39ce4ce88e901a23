//===- TokenText.cpp -----------------------------------------------------------------------------------------------===//
#include "services/frontend/TokenText.h"
#include "runtime/text/Utf8.h"

namespace heddle {

TokenText tokenText(const Tokenizer &tokenizer, int32_t id) {
  std::string bytes = tokenizer.decodeNext(-1, id);
  if (bytes.empty())
    bytes = tokenizer.tokenText(id); // one that is hidden in answers
  TokenText out{repairedUtf8(bytes), {}};
  if (out.text != bytes)
    out.bytes = std::move(bytes);
  return out;
}

} // namespace heddle

//===- TokenText.cpp -----------------------------------------------------------------------------------------------===//
#include "services/frontend/TokenText.h"
#include "runtime/text/Utf8.h"

namespace heddle {

TokenText tokenText(const Tokenizer &tokenizer, int32_t id) {
  std::string bytes = tokenizer.decodeNext(-1, id); // as the continuation of a text: decode() would take a leading space away
  if (bytes.empty())
    bytes = tokenizer.decode({&id, 1}, /*skipSpecial=*/false);
  TokenText out{repairedUtf8(bytes), {}};
  if (out.text != bytes)
    out.bytes = std::move(bytes);
  return out;
}

} // namespace heddle

//===- Foreign.h - errors and memory of the Rust side, for the files of this folder ----------------------------------===//
#pragma once
#include "heddle_text.h"
#include "runtime/text/TextError.h"
#include <string>

namespace heddle::text {

/// Throws the message that an entry of heddle_text.h returned, if it did.
inline void check(char *error) {
  if (!error)
    return;
  const std::string message = error;
  heddle_text_free_error(error);
  throw TextError(message);
}

/// Bytes that Rust gave out; frees them, also when copying them throws.
struct Bytes {
  uint8_t *data = nullptr;
  size_t size = 0;
  Bytes() = default;
  Bytes(const Bytes &) = delete;
  ~Bytes() { heddle_text_free_bytes(data, size); }
  std::string copy() const { return std::string(reinterpret_cast<const char *>(data), size); }
};

/// The same for token ids.
struct Ids {
  int32_t *data = nullptr;
  size_t count = 0;
  Ids() = default;
  Ids(const Ids &) = delete;
  ~Ids() { heddle_text_free_ids(data, count); }
};

} // namespace heddle::text

//===- ContentHash.cpp - SHA-256 of texts and files ---------------------------------------------------------------------===//
#include "runtime/plan/ContentHash.h"
#include "runtime/plan/Files.h"
#include "runtime/plan/Plan.h"
#include <algorithm>
#include <fcntl.h>
#include <openssl/evp.h>
#include <vector>

namespace heddle {

struct Sha256::Context {
  EVP_MD_CTX *state = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(state); }
};

namespace {
void check(bool good) {
  if (!good)
    throw PlanError("libcrypto: SHA-256 is not available: check the OpenSSL installation");
}
} // namespace

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  check(context_->state && EVP_DigestInit_ex(context_->state, EVP_sha256(), nullptr));
}
Sha256::~Sha256() = default;

Sha256 &Sha256::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_->state, bytes.data(), bytes.size()));
  return *this;
}

Sha256 &Sha256::update(std::string_view text) { return update(std::as_bytes(std::span(text))); }

Sha256 &Sha256::field(std::string_view text) { return update(std::to_string(text.size()) + ":").update(text); }

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  check(EVP_DigestFinal_ex(context_->state, digest, &length));
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

std::string hashFile(const std::filesystem::path &path) {
  files::File file(path, O_RDONLY | O_NONBLOCK, "open");
  std::vector<std::byte> buffer(1 << 20);
  Sha256 hash;
  const uint64_t size = file.size();
  for (uint64_t at = 0; at < size;) {
    auto part = std::span(buffer).first(std::min<uint64_t>(buffer.size(), size - at));
    file.readAt(at, part);
    hash.update(part);
    at += part.size();
  }
  if (file.size() != size)
    throw PlanError(path.string() + ": changes while it is read: wait until it is complete");
  return hash.hex();
}

} // namespace heddle

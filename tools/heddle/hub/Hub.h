//===- Hub.h - what the Hugging Face hub says of a repository --------------------------------------------------------------===//
//
// HF_ENDPOINT names another hub; the token is that of the hub's own tools: HF_TOKEN, else the file that HF_TOKEN_PATH names, else
// "token" in HF_HOME or ~/.cache/huggingface.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/hub/Http.h"
#include "tools/heddle/hub/HubName.h"
#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace heddle::tool {

/// A file of a repository. The hub knows large ones (LFS) by the SHA-256 of their bytes, the others as git does: by the SHA-1 of
/// "blob SIZE\0" and the bytes. A mirror may know neither.
struct HubFile {
  std::string path;
  std::optional<uint64_t> size;
  std::string sha256, gitSha1; // lower-case digits; empty: not known
  bool hasHash() const { return !sha256.empty() || !gitSha1.empty(); }
};

struct HubListing {
  std::string commit;         // what the revision stands for now
  std::vector<HubFile> files; // by path
  const HubFile *find(const std::string &path) const;
  std::vector<std::string> paths() const;
};

/// HF_HUB_OFFLINE is set to something true.
bool hubIsOffline();
/// A hash in the form that the hub writes: `digits` hexadecimal ones, turned to lower case; else empty.
std::string hashOrNothing(std::string text, size_t digits);

/// One thread. Everything throws Failure with one line that says what to do.
class Hub {
public:
  Hub();
  /// The files of a repository at its revision. Throws where a name is one that no git repository can hold.
  HubListing list(const HubName &name);
  std::string urlOf(const HubName &name, const std::string &commit, const std::string &path) const;
  /// What an answer other than 200 and 206 to a request for the model means to a user; `path` empty: for its list of files.
  [[noreturn]] void refuse(const HubName &name, const HttpAnswer &answer, const std::string &path = {});
  Http &http() { return http_; }

private:
  std::vector<HubFile> tree(const HubName &name, const std::string &commit, bool needed);
  [[noreturn]] void refuseMissing(const HubName &name, const HttpAnswer &answer);
  /// For advice only: whatever goes wrong, there is none.
  std::vector<std::string> revisions(const HubName &name);
  std::vector<std::string> repositories(const std::string &organisation);

  Http http_;
};

} // namespace heddle::tool

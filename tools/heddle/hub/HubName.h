//===- HubName.h - hf:ORG/NAME[@REVISION][:FILE] --------------------------------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace heddle::tool {

constexpr std::string_view kHubPrefix = "hf:";

/// A model of the Hugging Face hub as a command line names it.
struct HubName {
  std::string organisation, name;
  std::string revision = "main"; // a branch, a tag, a commit or refs/pr/N
  std::string file;              // a file of the repository or a quantisation such as Q4_K_M; empty: what the repository is

  std::string repository() const { return organisation + "/" + name; }
  /// As it is typed, shortest: "main" is left out.
  std::string text() const;
  HubName with(std::string otherFile) const;
};

inline bool isHubName(std::string_view text) { return text.starts_with(kHubPrefix); }
/// Throws UsageError with the form that is expected.
HubName parseHubName(const std::string &text);

/// A relative path that can be written below a folder of ours as it stands: plain components, none of them "." or "..", no
/// backslashes and no control characters. Names of a server's files are hostile until this holds.
bool isPlainPath(std::string_view path);

/// Those of `names` that `wanted` may have meant, the nearest first, at most three.
std::vector<std::string> nearNames(const std::string &wanted, const std::vector<std::string> &names);
/// "; did you mean A, B or C?" of them, empty without any.
std::string didYouMean(const std::string &wanted, const std::vector<std::string> &names);

} // namespace heddle::tool

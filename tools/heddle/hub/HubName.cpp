//===- HubName.cpp - hf:ORG/NAME[@REVISION][:FILE] ------------------------------------------------------------------------===//
#include "tools/heddle/hub/HubName.h"
#include "tools/heddle/Command.h"
#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

namespace heddle::tool {
namespace {

constexpr size_t kLongestName = 96, kLongestComponent = 255, kLongestPath = 1024;

bool isWord(std::string_view text) {
  auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= kLongestName && std::ranges::all_of(text, allowed) && text[0] != '.' && text[0] != '-' &&
         text.back() != '.' && text.find("..") == text.npos;
}

/// What git allows in the name of a reference, as far as it matters for a URL and a folder.
bool isRevision(std::string_view text) {
  return isPlainPath(text) && text[0] != '-' && text.find("..") == text.npos && text.find_first_of(" ~^:?*[@%") == text.npos;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return text;
}

/// Levenshtein's distance: single insertions, deletions and changes.
size_t distance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j)
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])}));
  }
  return row.back();
}

} // namespace

bool isPlainPath(std::string_view path) {
  if (path.empty() || path.size() > kLongestPath || path.back() == '/')
    return false;
  if (std::ranges::any_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; }))
    return false;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > kLongestComponent)
      return false;
    begin = end + 1;
  }
  return true;
}

std::string HubName::text() const {
  return std::string(kHubPrefix) + repository() + (revision == "main" ? "" : "@" + revision) + (file.empty() ? "" : ":" + file);
}

HubName HubName::with(std::string otherFile) const {
  HubName other = *this;
  other.file = std::move(otherFile);
  return other;
}

HubName parseHubName(const std::string &text) {
  auto wrong = [&](const std::string &what) {
    return UsageError("'" + text + "': " + what + "; a model of the hub is hf:ORG/NAME[@REVISION][:FILE]");
  };
  HubName name;
  std::string_view rest = std::string_view(text).substr(kHubPrefix.size());
  if (size_t colon = rest.find(':'); colon != rest.npos) { // no reference of git holds one
    name.file = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!isPlainPath(name.file))
      throw wrong("'" + name.file + "' is no name of a file in a repository");
  }
  if (size_t at = rest.find('@'); at != rest.npos) {
    name.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!isRevision(name.revision))
      throw wrong("'" + name.revision + "' is no branch, tag or commit");
  }
  size_t slash = rest.find('/');
  if (slash == rest.npos)
    throw wrong("there is no / between the organisation and the name");
  name.organisation = rest.substr(0, slash), name.name = rest.substr(slash + 1);
  for (const std::string &part : {name.organisation, name.name})
    if (!isWord(part))
      throw wrong("'" + part + "' is no name of an organisation or a repository");
  return name;
}

std::vector<std::string> nearNames(const std::string &wanted, const std::vector<std::string> &names) {
  std::vector<std::pair<size_t, std::string>> found;
  const std::string low = lower(wanted.substr(0, kLongestPath));
  for (const std::string &name : names) {
    if (name.size() > kLongestPath)
      continue;
    const std::string other = lower(name);
    const bool inside = low.size() >= 3 && (other.find(low) != other.npos || low.find(other) != low.npos);
    const size_t far = distance(low, other);
    if (inside || far <= std::max<size_t>(2, low.size() / 3))
      found.emplace_back(inside ? 0 : far, name);
  }
  std::ranges::sort(found);
  std::vector<std::string> nearest;
  for (size_t i = 0; i < std::min<size_t>(3, found.size()); ++i)
    nearest.push_back(found[i].second);
  return nearest;
}

std::string didYouMean(const std::string &wanted, const std::vector<std::string> &names) {
  std::string text;
  const auto nearest = nearNames(wanted, names);
  for (size_t i = 0; i < nearest.size(); ++i)
    text += (i == 0 ? "; did you mean " : i + 1 < nearest.size() ? ", " : " or ") + nearest[i];
  return text.empty() ? "" : text + "?";
}

} // namespace heddle::tool

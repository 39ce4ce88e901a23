//===- Hub.cpp - what the Hugging Face hub says of a repository ------------------------------------------------------------===//
#include "tools/heddle/hub/Hub.h"
#include "tools/heddle/Command.h"
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace heddle::tool {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
constexpr uint64_t kLargestFile = uint64_t(1) << 50;
constexpr size_t kLargeRepository = 50000; // from here on the hub cuts the list of siblings
constexpr int kMostPages = 10000;

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string endpoint() {
  std::string text = variable("HF_ENDPOINT");
  while (text.ends_with('/'))
    text.pop_back();
  return text.empty() ? "https://huggingface.co" : text;
}

std::string trimmed(std::string text) {
  auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && space(static_cast<unsigned char>(text.back())))
    text.pop_back();
  text.erase(0, size_t(std::ranges::find_if_not(text, space) - text.begin()));
  return text;
}

fs::path tokenFile() {
  if (auto path = variable("HF_TOKEN_PATH"); !path.empty())
    return path;
  if (auto home = variable("HF_HOME"); !home.empty())
    return fs::path(home) / "token";
  if (auto cache = variable("XDG_CACHE_HOME"); cache.starts_with('/'))
    if (std::error_code error; fs::exists(fs::path(cache) / "huggingface" / "token", error))
      return fs::path(cache) / "huggingface" / "token";
  return fs::path(variable("HOME")) / ".cache" / "huggingface" / "token";
}

std::string token() {
  std::string text = trimmed(variable("HF_TOKEN")), from = "HF_TOKEN";
  if (text.empty()) {
    from = tokenFile().string();
    std::ifstream file(from);
    std::getline(file, text); // no file, no token
    text = trimmed(text);
  }
  // Anything else would be another header of the request.
  if (!std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; }) || text.size() > 4096)
    throw Failure(from + " holds no token: there are spaces or strange characters in it; copy it again from the hub's settings");
  return text;
}

std::string textAt(const json &object, const char *key) {
  auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<uint64_t> sizeAt(const json &object, const char *key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_number_unsigned() || object[key] > kLargestFile)
    return {};
  return object[key].get<uint64_t>();
}

/// The hub's two forms of a file: {rfilename, size, blobId, lfs: {sha256}} among siblings, {path, size, oid, lfs: {oid}} in a
/// tree.
HubFile fileOf(const json &entry, const char *path, const char *sha1, const char *sha256) {
  HubFile file{textAt(entry, path), sizeAt(entry, "size"), {}, {}};
  if (entry.contains("lfs") && entry["lfs"].is_object()) { // its SHA-1 is that of a pointer to the file
    const json &large = entry["lfs"];
    file.sha256 = hashOrNothing(textAt(large, sha256), 64);
    file.size = file.size ? file.size : sizeAt(large, "size");
  } else {
    file.gitSha1 = hashOrNothing(textAt(entry, sha1), 40);
  }
  return file;
}

json parsed(const HttpAnswer &answer) {
  json value = json::parse(answer.body, nullptr, false);
  if (value.is_discarded())
    throw Failure(hostOf(answer.url) + " answers " + answer.url +
                  " with something that is no JSON; see HF_ENDPOINT and your proxy");
  return value;
}

/// The URL of rel="next" in a Link header.
std::string nextPage(const std::string &link) {
  for (size_t begin = link.find('<'); begin != link.npos; begin = link.find('<', begin + 1)) {
    size_t end = link.find('>', begin), comma = std::min(link.find(',', end), link.size());
    if (end == link.npos)
      break;
    if (link.substr(end, comma - end).find("rel=\"next\"") != std::string::npos)
      return link.substr(begin + 1, end - begin - 1);
  }
  return {};
}

/// Git holds no such path, so a server that lists it means harm.
void requirePossible(const HubName &name, const std::string &path) {
  const std::string around = "/" + path + "/";
  auto holds = [&](const char *part) { return around.find(part) != around.npos; };
  if (path.find('\0') != path.npos || holds("//") || holds("/./") || holds("/../"))
    throw Failure("the hub lists '" + std::string(path.c_str()) + "' among the files of " + name.repository() +
                  ", which is no path in a repository; nothing of it was fetched");
}

} // namespace

std::string hashOrNothing(std::string text, size_t digits) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  const bool good = text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
  return good ? text : "";
}

const HubFile *HubListing::find(const std::string &path) const {
  auto found = std::ranges::lower_bound(files, path, {}, &HubFile::path);
  return found != files.end() && found->path == path ? &*found : nullptr;
}

std::vector<std::string> HubListing::paths() const {
  std::vector<std::string> all;
  for (const HubFile &file : files)
    all.push_back(file.path);
  return all;
}

bool hubIsOffline() {
  std::string value = variable("HF_HUB_OFFLINE");
  std::ranges::transform(value, value.begin(), [](unsigned char c) { return char(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

Hub::Hub() : http_(tool::endpoint(), token()) {}

std::string Hub::urlOf(const HubName &name, const std::string &commit, const std::string &path) const {
  return http_.endpoint() + "/" + name.repository() + "/resolve/" + urlEncoded(commit) + "/" + urlEncoded(path, true);
}

HubListing Hub::list(const HubName &name) {
  const std::string base = http_.endpoint() + "/api/models/" + name.repository();
  HttpAnswer answer = http_.getPatiently(base + "/revision/" + urlEncoded(name.revision) + "?blobs=true");
  if (answer.status != 200)
    refuse(name, answer);
  const json about = parsed(answer);
  HubListing listing;
  listing.commit = hashOrNothing(textAt(about, "sha"), 40);
  if (listing.commit.empty())
    listing.commit = name.revision;
  bool whole = about.is_object() && about.contains("siblings") && about["siblings"].is_array() && !about["siblings"].empty();
  if (whole)
    for (const json &entry : about["siblings"])
      listing.files.push_back(fileOf(entry, "rfilename", "blobId", "sha256"));
  // A mirror may know no sizes here, and of many files the list is cut.
  whole = whole && listing.files.size() < kLargeRepository;
  if (!whole || !std::ranges::all_of(listing.files, [](const HubFile &file) { return file.size.has_value(); }))
    if (auto files = tree(name, listing.commit, !whole); !files.empty())
      listing.files = std::move(files);
  for (const HubFile &file : listing.files)
    requirePossible(name, file.path);
  std::ranges::sort(listing.files, {}, &HubFile::path);
  return listing;
}

std::vector<HubFile> Hub::tree(const HubName &name, const std::string &commit, bool needed) {
  std::vector<HubFile> files;
  std::set<std::string> seen;
  std::string url = http_.endpoint() + "/api/models/" + name.repository() + "/tree/" + urlEncoded(commit) + "?recursive=true";
  for (int pages = 0; !url.empty(); ++pages) {
    if (pages >= kMostPages || !seen.insert(url).second)
      throw Failure(hostOf(url) + " lists the files of " + name.repository() + " without an end");
    HttpAnswer answer = http_.getPatiently(url);
    if (answer.status != 200) {
      if (!needed)
        return {};
      refuse(name, answer);
    }
    const json page = parsed(answer);
    if (!page.is_array() && !needed)
      return {};
    if (!page.is_array())
      throw Failure(hostOf(url) + " gives no list of the files of " + name.repository() + "; see HF_ENDPOINT");
    for (const json &entry : page)
      if (textAt(entry, "type") != "directory")
        files.push_back(fileOf(entry, "path", "oid", "oid"));
    url = nextPage(answer.header("link"));
    if (url.starts_with("/"))
      url = http_.endpoint() + url;
    if (!url.empty() && !http_.isOurs(url))
      throw Failure(http_.endpoint() + " goes on with its list of files at " + url +
                    ", which is another server; see HF_ENDPOINT");
  }
  return files;
}

void Hub::refuse(const HubName &name, const HttpAnswer &answer, const std::string &path) {
  const std::string page = http_.endpoint() + "/" + name.repository(), code = answer.header("x-error-code");
  const std::string said = answer.header("x-error-message"), status = std::to_string(answer.status);
  if (!http_.isOurs(answer.url))
    throw Failure(hostOf(answer.url) + ", where the hub keeps " + (path.empty() ? name.repository() : path) + ", answers " +
                  status + "; try again later");
  if (code == "GatedRepo" || (answer.status == 403 && code.empty() && said.empty()))
    throw Failure(name.repository() + " is gated: accept its licence at " + page +
                  (http_.hasToken() ? " with the account of your token (and let that token read gated repositories)"
                                    : " and set HF_TOKEN to a token of your account"));
  if (answer.status == 401 || answer.status == 403) {
    if (http_.hasToken())
      throw Failure("the hub refuses your token for " + name.repository() + " (" + status + (said.empty() ? "" : ", " + said) +
                    "): see that HF_TOKEN is right and may read it, and that " + page + " is there");
    if (code == "RepoNotFound" || code.empty()) // without a token the hub does not say which
      throw Failure("there is no repository " + name.repository() + " at " + http_.endpoint() + ", or it is private" +
                    didYouMean(name.repository(), repositories(name.organisation)) + "; see the spelling, or set HF_TOKEN");
    throw Failure("the hub does not give " + name.repository() + " (" + status + (said.empty() ? "" : ", " + said) +
                  "): set HF_TOKEN");
  }
  if (answer.status == 404 && path.empty())
    refuseMissing(name, answer);
  if (answer.status == 404)
    throw Failure(name.repository() + " has no file " + path + " at " + name.revision + "; see " + page + "/tree/" +
                  name.revision);
  throw Failure(hostOf(answer.url) + " answers " + status + " for " + (path.empty() ? name.repository() : path) +
                (said.empty() ? "" : ": " + said) + "; see " + page);
}

void Hub::refuseMissing(const HubName &name, const HttpAnswer &answer) {
  const std::string code = answer.header("x-error-code");
  bool repository = code == "RepoNotFound";
  if (code.empty()) // a mirror may not say what is missing
    repository = http_.getPatiently(http_.endpoint() + "/api/models/" + name.repository()).status != 200;
  if (repository)
    throw Failure("there is no repository " + name.repository() + " at " + http_.endpoint() +
                  didYouMean(name.repository(), repositories(name.organisation)));
  throw Failure(name.repository() + " has no branch, tag or commit " + name.revision +
                didYouMean(name.revision, revisions(name)));
}

std::vector<std::string> Hub::revisions(const HubName &name) {
  std::vector<std::string> names;
  try {
    HttpAnswer answer = http_.get(http_.endpoint() + "/api/models/" + name.repository() + "/refs");
    const json refs = answer.status == 200 ? parsed(answer) : json();
    for (const char *kind : {"branches", "tags"})
      if (refs.is_object() && refs.contains(kind) && refs[kind].is_array())
        for (const json &entry : refs[kind])
          names.push_back(textAt(entry, "name"));
  } catch (const std::runtime_error &) {
  }
  std::erase(names, "");
  return names;
}

std::vector<std::string> Hub::repositories(const std::string &organisation) {
  std::vector<std::string> names;
  try {
    HttpAnswer answer = http_.get(http_.endpoint() + "/api/models?author=" + urlEncoded(organisation) + "&limit=1000");
    const json models = answer.status == 200 ? parsed(answer) : json();
    if (models.is_array())
      for (const json &entry : models)
        names.push_back(textAt(entry, "id"));
  } catch (const std::runtime_error &) {
  }
  std::erase(names, "");
  return names;
}

} // namespace heddle::tool

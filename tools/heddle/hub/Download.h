//===- Download.h - one file of the hub, resumed and checked --------------------------------------------------------------===//
#pragma once
#include "tools/heddle/hub/Hub.h"
#include <filesystem>
#include <functional>

namespace heddle::tool {

/// What a file is to be called while it comes: its hash, else a hash of what is known of it. So a partial file of other content
/// is never gone on with.
std::string partialName(const HubFile &file);

/// Whether the bytes of `path` are those of `file`, as far as the hub says what those are. Reads all of it; `tick` gets the bytes
/// read since its last call, and may throw.
bool hasContent(const std::filesystem::path &path, const HubFile &file, const std::function<void(uint64_t)> &tick = {});

struct DownloadRequest {
  std::string url, called; // how errors call it
  std::filesystem::path partial;
  std::function<void(int64_t bytes)> progress; // more of the file is here, or less when it begins anew
};

/// Fetches `file` into `request.partial`, from where it ends if it is there already, with attempts again after broken
/// connections; then checks the hash and syncs it. The ETag of what was begun lies beside it in NAME.etag, and goes with it as
/// If-Range. What turns out wrong is thrown away, what is only unfinished stays. Where the list of files has no size or hash, the
/// answer's headers may. Returns whether there was a hash to check. Throws Failure; `refuse` has to throw for an answer of the
/// hub that is no file.
bool download(Http &http, HubFile file, const DownloadRequest &request, const std::function<void(const HttpAnswer &)> &refuse);

} // namespace heddle::tool

//===- HubPull.h - heddle pull hf:ORG/NAME[@REVISION][:FILE] ---------------------------------------------------------------===//
#pragma once
#include <string>

namespace heddle::tool {

/// Fetches what `text` names, as far as it is not here yet, and prints where it lies. Returns the exit status. Throws UsageError,
/// Failure, Interrupted.
int pullFromHub(const std::string &text);

} // namespace heddle::tool

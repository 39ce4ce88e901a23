//===- LocalSession.h - one rank, its engine in this process ------------------------------------------------------------===//
#pragma once
#include "tools/heddle/Session.h"

namespace heddle::tool {

std::unique_ptr<Session> openLocalSession(const std::filesystem::path &plan, const RankOptions &ranks,
                                          const MemoryOptions &memory, std::shared_ptr<const Tokenizer> tokenizer);

} // namespace heddle::tool

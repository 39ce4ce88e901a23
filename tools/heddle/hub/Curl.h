//===- Curl.h - libcurl, opened when something is fetched -----------------------------------------------------------------===//
//
// It brings thirty libraries along: loading them takes longer than all else that a command does before it reads a plan, and only
// pulling a model needs them.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <curl/curl.h>

namespace heddle::tool {

/// libcurl's functions without their prefix.
struct Curl {
#define HEDDLE_CURL(X)                                                                                                           \
  X(easy_cleanup)                                                                                                                \
  X(easy_getinfo)                                                                                                                \
  X(easy_init)                                                                                                                   \
  X(easy_perform)                                                                                                                \
  X(easy_setopt)                                                                                                                 \
  X(easy_strerror)                                                                                                               \
  X(free)                                                                                                                        \
  X(getdate)                                                                                                                     \
  X(global_init)                                                                                                                 \
  X(slist_append)                                                                                                                \
  X(slist_free_all)                                                                                                              \
  X(url)                                                                                                                         \
  X(url_cleanup)                                                                                                                 \
  X(url_get)                                                                                                                     \
  X(url_set)
#define HEDDLE_FUNCTION(name) decltype(&curl_##name) name = nullptr;
  HEDDLE_CURL(HEDDLE_FUNCTION)
#undef HEDDLE_FUNCTION
};

/// Opened by the first call, and started. Throws Failure where there is none.
const Curl &curl();

} // namespace heddle::tool

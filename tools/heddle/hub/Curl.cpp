//===- Curl.cpp - libcurl, opened when something is fetched ---------------------------------------------------------------===//
#include "tools/heddle/hub/Curl.h"
#include "tools/heddle/Command.h"
#include <dlfcn.h>

namespace heddle::tool {

static Curl openCurl() {
  void *library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  Curl found;
  bool whole = library;
#define HEDDLE_FIND(name)                                                                                                        \
  found.name = library ? reinterpret_cast<decltype(&curl_##name)>(::dlsym(library, "curl_" #name)) : nullptr;                    \
  whole = whole && found.name;
  HEDDLE_CURL(HEDDLE_FIND)
#undef HEDDLE_FIND
  if (!whole || found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    throw Failure("libcurl cannot be started, which fetches models; see that libcurl4 is installed as tools/setup does it");
  return found;
}

const Curl &curl() {
  static const Curl opened = openCurl();
  return opened;
}

} // namespace heddle::tool

//===- WriteTinyGguf.cpp - write_tiny_gguf: a random GGUF of any shape, from the shell --------------------------------===//
//
//   write_tiny_gguf OUT.gguf [KEY=VALUE…]
//
// Keys are the fields of TinyConfig: architecture width layers heads kv_heads head_dim feed_forward vocabulary context window
// seed bos eos (numbers but for the first), weights=FORMAT for all matrices and ROLE=FORMAT or TENSOR=FORMAT for some.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tests/support/TinyModel.h"
#include <cstdio>
#include <exception>

using namespace heddle;

int main(int argc, char **argv) {
  try {
    if (argc < 2)
      throw std::invalid_argument("usage: write_tiny_gguf OUT.gguf [KEY=VALUE...]");
    test::TinyConfig config;
    config.eos = 299; // else greedy answers of random models end at once
    const std::map<std::string, int64_t *> numbers = {{"width", &config.width},
                                                      {"layers", &config.layers},
                                                      {"heads", &config.heads},
                                                      {"kv_heads", &config.kvHeads},
                                                      {"head_dim", &config.headDim},
                                                      {"feed_forward", &config.feedForward},
                                                      {"vocabulary", &config.vocabulary},
                                                      {"context", &config.context},
                                                      {"window", &config.window},
                                                      {"bos", &config.bos},
                                                      {"eos", &config.eos}};
    for (int i = 2; i < argc; ++i) {
      std::string word = argv[i];
      size_t equals = word.find('=');
      if (equals == std::string::npos)
        throw std::invalid_argument("'" + word + "' is not KEY=VALUE");
      std::string key = word.substr(0, equals), value = word.substr(equals + 1);
      auto format = [&] {
        auto found = formatByName(value);
        if (!found)
          throw std::invalid_argument("no weight format is called '" + value + "'");
        return *found;
      };
      if (auto number = numbers.find(key); number != numbers.end())
        *number->second = std::stoll(value);
      else if (key == "seed")
        config.seed = std::stoull(value);
      else if (key == "architecture")
        config.architecture = value;
      else if (key == "weights")
        config.weights = format();
      else
        config.formats[key] = format();
    }
    test::writeGguf(test::makeTinyModel(config), argv[1]);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "write_tiny_gguf: %s\n", error.what());
    return 1;
  }
}

//===- StageFuzz.cpp - edited stages: refused in one line, or compiled -------------------------------------------------===//
//
//   stage_fuzz [SECONDS [SEED]]      default: 10 seconds from seed 1; build it with a sanitizer for what does not crash by itself
//
// Takes the stages of tiny models, edits their text as people and accidents would (numbers, names and types exchanged, lines
// lost, doubled or swapped, bytes changed), and goes on from there. Whatever comes of it must be code or a refusal of one line.
// The seed of each case is printed when it ends otherwise, and before it is tried where STAGE_FUZZ_VERBOSE is set, for crashes.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Compile.h"
#include "tests/support/TinyModel.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <regex>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;
namespace fs = std::filesystem;

namespace {

using Random = std::mt19937_64;
size_t below(Random &random, size_t n) { return static_cast<size_t>(random() % n); }

struct Token {
  size_t at, size;
  int kind; // of word: a number, a name of a value or symbol, another word
};

std::vector<Token> tokensOf(const std::string &text) {
  static const std::regex pattern(R"((-?\d[\d.eE+-]*)|([%@!#][\w.$-]+)|([A-Za-z_]\w*))");
  std::vector<Token> tokens;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
    tokens.push_back({static_cast<size_t>(it->position()), static_cast<size_t>(it->length()),
                      (*it)[1].matched   ? 0
                      : (*it)[2].matched ? 1
                                         : 2});
  return tokens;
}

void exchangeToken(std::string &text, Random &random) {
  std::vector<Token> tokens = tokensOf(text);
  if (tokens.empty())
    return;
  const Token &one = tokens[below(random, tokens.size())];
  static const char *const numbers[] = {
      "0", "1", "-1", "2", "7", "16", "32", "40", "64", "4096", "2147483648", "9223372036854775807", "1.0e-38", "1.0e+38"};
  std::string with;
  if (one.kind == 0 && random() % 2) {
    with = numbers[below(random, std::size(numbers))];
  } else {
    const Token *other = &one;
    for (int tries = 0; tries < 50 && (other == &one || other->kind != one.kind); ++tries)
      other = &tokens[below(random, tokens.size())];
    with = text.substr(other->at, other->size);
  }
  text.replace(one.at, one.size, with);
}

void editLines(std::string &text, Random &random) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  if (lines.size() < 3)
    return;
  size_t a = 1 + below(random, lines.size() - 1), b = 1 + below(random, lines.size() - 1); // the first line names the stage
  switch (random() % 3) {
  case 0:
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(a));
    break;
  case 1:
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(b), lines[a]);
    break;
  default:
    std::swap(lines[a], lines[b]);
  }
  text.clear();
  for (const std::string &line : lines)
    text += line;
}

void editByte(std::string &text, Random &random) {
  size_t first = text.find('\n') + 1;
  text[first + below(random, text.size() - first)] = static_cast<char>(random() % 4 ? 32 + random() % 95 : random());
}

std::string edited(std::string text, Random &random) {
  for (size_t edits = 1 + below(random, 3); edits; --edits)
    switch (random() % 8) {
    case 0:
    case 1:
      editLines(text, random);
      break;
    case 2:
      editByte(text, random);
      break;
    default:
      exchangeToken(text, random);
    }
  return text;
}

TinyConfig llama() {
  TinyConfig c;
  c.width = 64, c.heads = 4, c.kvHeads = 2, c.headDim = 16, c.feedForward = 96, c.vocabulary = 300;
  c.formats = {{"attn_q", Format::Q4_0}, {"ffn_down", Format::F16}};
  return c;
}
TinyConfig gemma() {
  TinyConfig c = llama();
  c.architecture = "gemma3", c.headDim = 32, c.window = 48, c.weights = Format::Q8_0;
  return c;
}
TinyConfig oss() {
  TinyConfig c = gemma();
  c.architecture = "gpt-oss", c.experts = 4;
  c.formats = {{"ffn_gate_inp", Format::F32}, {"ffn_down_exps", Format::F16}};
  return c;
}

} // namespace

int main(int argc, char **argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 10;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::string folder = (fs::temp_directory_path() / "heddle-stage-fuzz-XXXXXX").string();
  if (!mkdtemp(folder.data()))
    return std::perror("stage_fuzz: a temporary folder"), 1;
  struct Stages {
    fs::path model;
    std::vector<std::string> texts;
  };
  std::vector<Stages> models;
  for (const TinyConfig &config : {llama(), gemma(), oss()}) {
    Stages &m = models.emplace_back();
    m.model = fs::path(folder) / (config.architecture + ".gguf");
    writeGguf(makeTinyModel(config), m.model);
    CompileOptions options;
    options.model = m.model;
    for (const char *stage : {"graph", "fused", "sharded", "planned", "kernels", "loops"})
      m.texts.push_back(emitStage(options, stage));
  }

  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  int64_t tried = 0, compiled = 0, wrong = 0;
  for (; std::chrono::steady_clock::now() < end; ++seed, ++tried) {
    Random random(seed);
    const Stages &m = models[below(random, models.size())];
    const size_t stage = below(random, m.texts.size());
    const std::string text = edited(m.texts[stage], random);
    CompileOptions options;
    options.model = m.model;
    options.fromStage = fs::path(folder) / "edited.mlir";
    std::ofstream(options.fromStage) << text;
    if (const char *keep = std::getenv("STAGE_FUZZ_KEEP"))
      std::ofstream(keep) << text;
    if (std::getenv("STAGE_FUZZ_VERBOSE"))
      std::cerr << "seed " << seed << ", stage " << stage << std::endl;
    try {
      emitStage(options, random() % 8 ? "loops" : "llvm");
      ++compiled;
    } catch (const CompileError &error) {
      std::string what = error.what();
      if (what.empty() || what.find('\n') != std::string::npos) {
        ++wrong;
        std::cerr << "seed " << seed << ": a refusal that is no line: " << what << "\n";
      }
    } catch (const std::exception &error) {
      ++wrong;
      std::cerr << "seed " << seed << ": not refused as such: " << error.what() << "\n";
    }
  }
  fs::remove_all(folder);
  std::cout << tried << " edited stages: " << compiled << " compiled, " << tried - compiled - wrong << " refused, " << wrong
            << " wrong\n";
  return wrong != 0;
}

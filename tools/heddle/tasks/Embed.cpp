//===- Embed.cpp - heddle embed: texts as vectors ---------------------------------------------------------------------------===//
#include "tools/heddle/Command.h"
#include "tools/heddle/tasks/TaskModel.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>

namespace heddle::tool {
namespace {

struct EmbedOptions {
  std::string model;
  TextOptions texts;
  RankOptions ranks;
  bool json = false;
};

using Vector = std::vector<float>;

/// {"embedding": […]}, each number with as many digits as give the same f32 again.
std::string jsonOf(std::span<const float> vector) {
  std::string line = "{\"embedding\": [";
  for (size_t i = 0; i < vector.size(); ++i) {
    char digits[32];
    line += i ? ", " : "";
    line.append(digits, std::to_chars(digits, digits + sizeof digits, vector[i]).ptr);
  }
  return line + "]}\n";
}

double cosine(const Vector &a, const Vector &b) {
  double product = 0, squaresA = 0, squaresB = 0;
  for (size_t i = 0; i < a.size(); ++i)
    product += double(a[i]) * b[i], squaresA += double(a[i]) * a[i], squaresB += double(b[i]) * b[i];
  return product / std::sqrt(std::max(squaresA * squaresB, 1e-300));
}

/// At most `most` characters of a line of text.
std::string shortened(const std::string &text, size_t most) {
  size_t characters = 0, at = 0;
  for (; at < text.size(); ++at)
    if ((text[at] & 0xc0) != 0x80 && characters++ == most)
      return printable(text.substr(0, at)) + "…";
  return printable(text);
}

/// Each text with the beginning of its vector and, of a few texts, how alike each two are: the cosine of the angle between them.
void show(const std::vector<GivenText> &texts, const std::vector<Vector> &vectors) {
  constexpr size_t kNumbers = 6, kMostCompared = 12, kCharacters = 48;
  char number[32];
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string line = std::to_string(i + 1) + "  [";
    for (size_t n = 0; n < std::min(kNumbers, vectors[i].size()); ++n) {
      std::snprintf(number, sizeof number, "%s%.4f", n ? ", " : "", vectors[i][n]);
      line += number;
    }
    std::cout << line << ", … " << vectors[i].size() << " numbers]  " << shortened(texts[i].text, kCharacters) << "\n";
  }
  if (texts.size() < 2 || texts.size() > kMostCompared)
    return;
  std::cout << "\nhow alike (cosine)\n   ";
  for (size_t j = 0; j < texts.size(); ++j) {
    std::snprintf(number, sizeof number, "%7zu", j + 1);
    std::cout << number;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    std::snprintf(number, sizeof number, "\n%3zu", i + 1);
    std::cout << number;
    for (size_t j = 0; j < texts.size(); ++j) {
      std::snprintf(number, sizeof number, "%7.3f", cosine(vectors[i], vectors[j]));
      std::cout << number;
    }
  }
  std::cout << "\n";
}

int embed(const EmbedOptions &options) {
  const std::vector<GivenText> texts = readTexts(options.texts);
  TaskModel model(options.model, options.ranks, "embed");
  std::vector<EncodedText> encoded;
  for (const GivenText &text : texts)
    encoded.push_back(model.encode(text, options.texts.truncate));
  std::vector<Vector> vectors(texts.size());
  model.forEach(encoded, [&](size_t i, std::span<const float> row) {
    if (!std::ranges::all_of(row, [](float x) { return std::isfinite(x); }))
      throw Failure("the vector of " + texts[i].name + " holds a number that is not finite; the model's weights may be broken");
    if (options.json)
      std::cout << jsonOf(row);
    else
      vectors[i].assign(row.begin(), row.end());
  });
  if (!options.json)
    show(texts, vectors);
  return 0;
}

} // namespace

void addEmbed(CLI::App &app, Action &action) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App *command = app.add_subcommand("embed", "Texts as vectors, whose angles say how alike they are");
  addModelOption(*command, options->model);
  addTextOptions(*command, options->texts);
  addRankOptions(*command, options->ranks);
  addTargetOption(*command, options->ranks.target);
  addQuantizeOption(*command, options->ranks.quantize);
  command->add_flag("--json", options->json, "Print an object for each text: {\"embedding\": […]}");
  command->callback([options, &action] { action = [options] { return embed(*options); }; });
}

} // namespace heddle::tool

//===- Rotation.cpp - how positions turn: RoPE and what stretches it ------------------------------------------------===//
//
// GGUF files hold Llama 3's and LongRoPE's factors as tensors, folders as rules and lists; YaRN is a rule in both. All end as one
// factor for each pair, by which its frequency is divided, and one by which cos and sin are multiplied.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Decoder.h"
#include <algorithm>
#include <cmath>

using namespace heddle;

constexpr double kLeast = 1e-6, kMost = 1e6; // of factors
constexpr const char *kFactor = "rope.scaling.factor", *kOriginal = "rope.scaling.original_context_length",
                     *kMagnitude = "rope.scaling.attn_factor";

static std::vector<double> checked(const ModelSource &m, const std::string &shown, const std::vector<double> &values,
                                   int64_t pairs) {
  if (static_cast<int64_t>(values.size()) != pairs)
    throw CompileError(shown + " needs one factor for each of the " + std::to_string(pairs) +
                       " rotated pairs of a head: " + m.again());
  for (double value : values)
    if (!(value >= kLeast && value <= kMost))
      throw CompileError(shown + " holds a factor outside of 1e-6 to 1e6: " + m.again());
  return values;
}

/// Factors that arrive as a tensor; empty where there is none.
static std::vector<double> storedFactors(const ModelSource &m, std::string_view tensor, int64_t pairs) {
  auto info = m.tensor(tensor);
  if (!info)
    return {};
  int64_t count = 1;
  for (int64_t dim : info->shape)
    count *= dim;
  if (count != pairs) // before reading them: a wrong file may have many
    return checked(m, m.shownTensor(tensor), {}, pairs);
  std::vector<float> values = m.vectorValues(tensor);
  return checked(m, m.shownTensor(tensor), {values.begin(), values.end()}, pairs);
}

static std::vector<double> listedFactors(const ModelSource &m, std::string_view key, int64_t pairs) {
  auto values = m.numbers(key);
  if (!values)
    m.refuse(key, "is missing: " + m.again());
  std::vector<double> rounded; // as GGUF files hold them
  for (double value : *values)
    rounded.push_back(static_cast<float>(value));
  return checked(m, m.checkpoint().shownKey(m.called(key)), rounded, pairs);
}

static double needed(const ModelSource &m, const char *key, double low, double high) {
  auto value = m.numberWithin(key, low, high);
  if (!value)
    m.refuse(key, "is missing: " + m.again());
  return *value;
}

/// The context that a model was trained for before it was stretched: that of the file where it names no other.
static double originalContext(const ModelSource &m) {
  return m.numberWithin(kOriginal, 1, 1 << 27).value_or(*m.number("context_length"));
}

/// Slow pairs turn `factor` times slower, fast ones as they did, those between in proportion (Llama Team, arXiv:2407.21783, as
/// its authors' code has it).
static std::vector<double> llama3Factors(const ModelSource &m, double base, int64_t dims) {
  const double factor = needed(m, kFactor, kLeast, kMost), low = needed(m, "rope.scaling.low_freq_factor", kLeast, kMost);
  const double high = needed(m, "rope.scaling.high_freq_factor", kLeast, kMost), context = needed(m, kOriginal, 1, 1 << 27);
  if (!(low < high))
    m.refuse("rope.scaling.low_freq_factor", "is not below " + m.called("rope.scaling.high_freq_factor") + ": " + m.again());
  std::vector<double> factors;
  for (int64_t pair = 0; pair < dims / 2; ++pair) {
    const double length =
        2 * M_PI * std::pow(base, 2.0 * static_cast<double>(pair) / static_cast<double>(dims)); // of a full turn
    const double part = (context / length - low) / (high - low);
    const double here = length < context / high ? 1 : length > context / low ? factor : 1 / ((1 - part) / factor + part);
    factors.push_back(static_cast<float>(here)); // as GGUF files hold it
  }
  return factors;
}

/// 0.1 · m · ln(factor) + 1, and 1 for what is not stretched.
static double yarnMagnitude(double factor, double m = 1) { return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1; }

/// YaRN (Peng et al., arXiv:2309.00071): pairs that turn more than beta_fast times within the original context stay, those below
/// beta_slow turn `factor` times slower, a ramp over the pairs' numbers lies between. llama.cpp rounds its ends outwards,
/// transformers does unless `truncate` is false.
static void stretchByYarn(const ModelSource &m, int64_t dims, Rotation &r) {
  const bool folder = m.checkpoint().kind() == Checkpoint::Kind::Folder;
  const double original = originalContext(m), size = static_cast<double>(dims);
  const double factor = m.numberWithin(kFactor, kLeast, kMost).value_or(*m.number("context_length") / original);
  const double fast = m.numberWithin("rope.scaling.yarn_beta_fast", kLeast, kMost).value_or(32);
  const double slow = m.numberWithin("rope.scaling.yarn_beta_slow", kLeast, kMost).value_or(1);
  auto pairThatTurns = [&](double times) { return size * std::log(original / (times * 2 * M_PI)) / (2 * std::log(r.base)); };
  double low = pairThatTurns(fast), high = pairThatTurns(slow);
  if (!folder || m.flag("rope.scaling.truncate").value_or(true))
    low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, size - 1);
  if (!std::isfinite(low) || !std::isfinite(high))
    m.refuse("rope.freq_base", "is no base for YaRN: " + m.again());
  r.factors.resize(static_cast<size_t>(dims / 2), 1);
  for (int64_t pair = 0; pair < dims / 2; ++pair) {
    const double kept = 1 - std::clamp((static_cast<double>(pair) - low) / std::max(high - low, 1e-3), 0.0, 1.0);
    r.factors[static_cast<size_t>(pair)] /= (1 - kept) / factor + kept;
  }
  const auto given = m.numberWithin(kMagnitude, kLeast, kMost);
  if (!folder) {
    m.numberWithin("rope.scaling.yarn_ext_factor", 1, 1); // how much of YaRN: all of it
    r.magnitude =
        yarnMagnitude(factor) * given.value_or(1) * m.numberWithin("rope.scaling.yarn_attn_factor", kLeast, kMost).value_or(1);
    return;
  }
  const auto scale = m.numberWithin("rope.scaling.mscale", 0, kMost),
             all = m.numberWithin("rope.scaling.mscale_all_dim", 0, kMost);
  const bool both = scale.value_or(0) != 0 && all.value_or(0) != 0;
  r.magnitude = given ? *given : both ? yarnMagnitude(factor, *scale) / yarnMagnitude(factor, *all) : yarnMagnitude(factor);
}

/// LongRoPE (Ding et al., arXiv:2402.13753): one list of factors up to the original context and one beyond.
static void stretchByLongRope(const ModelSource &m, int64_t pairs, Rotation &r) {
  r.original = static_cast<int64_t>(originalContext(m));
  const double factor = *m.number("context_length") / static_cast<double>(r.original);
  double usual = 1;
  if (m.checkpoint().kind() == Checkpoint::Kind::Folder) {
    r.factors = listedFactors(m, "rope.scaling.short_factor", pairs);
    r.longFactors = listedFactors(m, "rope.scaling.long_factor", pairs);
    if (factor > 1)
      usual = static_cast<float>(
          std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(r.original)))); // as GGUF files hold it
  } else {
    r.factors = storedFactors(m, "rope_factors_short.weight", pairs);
    r.longFactors = storedFactors(m, "rope_factors_long.weight", pairs);
    if (r.factors.empty() || r.longFactors.empty())
      throw CompileError(m.shownTensor(r.factors.empty() ? "rope_factors_short.weight" : "rope_factors_long.weight") +
                         " is missing: the file is incomplete, convert or download it again");
  }
  r.magnitude = m.numberWithin(kMagnitude, kLeast, kMost).value_or(usual);
}

Rotation heddle::readRotation(const ModelSource &m, const Decoder &d, std::string_view key, double otherwise,
                              RopeScaling scaling) {
  Rotation r{.base = m.numberWithin(key, 1, 1e300).value_or(otherwise), .factors = {}};
  const int64_t pairs = d.rotated / 2;
  if (scaling != RopeScaling::None) {
    const bool folder = m.checkpoint().kind() == Checkpoint::Kind::Folder, any = scaling == RopeScaling::Factors;
    std::string type = m.text("rope.scaling.type").value_or("");
    if (type == "su" ||
        (any && (folder ? m.numbers("rope.scaling.long_factor").has_value() : m.tensor("rope_factors_long.weight").has_value())))
      type = "longrope"; // files do not name it, and old folders name it otherwise
    if (any && !folder && type != "longrope")
      r.factors = storedFactors(m, "rope_freqs.weight", pairs);
    const auto scale = m.numberWithin(kFactor, kLeast, kMost);
    m.number(kOriginal); // only other kinds compute with it
    if (type.empty() || type == "linear")
      r.linearScale = scale.value_or(1);
    else if (type == "llama3" && any && folder)
      r.factors = llama3Factors(m, r.base, d.rotated);
    else if (type == "yarn" && any)
      stretchByYarn(m, d.rotated, r);
    else if (type == "longrope" && any)
      stretchByLongRope(m, pairs, r);
    else if (type != "none" && type != "default" && (type != "llama3" || r.factors.empty()))
      throw CompileError(m.checkpoint().shownKey(m.called("rope.scaling.type")) + ": RoPE scaling " + quotedForError(type) +
                         " is not supported (" + (any ? "linear, llama3, yarn or longrope" : "linear") +
                         "): use a model without it");
  }
  double least = kMost;
  for (const std::vector<double> *factors : {&r.factors, &r.longFactors})
    for (double factor : *factors)
      least = std::min(least, factor);
  if (r.factors.empty())
    least = std::min(least, 1.0);
  if (*m.number("context_length") / (r.linearScale * least) >= 1073741824.0) // 2^30, where sines end (docs/arithmetic.md)
    m.refuse("context_length", "turns positions too far for this RoPE scaling: " + m.again());
  return r;
}

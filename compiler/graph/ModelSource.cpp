//===- ModelSource.cpp - a checkpoint by the names of its family ----------------------------------------------------===//
#include "compiler/graph/ModelSource.h"
#include "runtime/quant/Encode.h"
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <functional>

namespace heddle {
namespace {

constexpr std::string_view kModel = "model.", kBlock = "blk.", kLayers = "block_count";

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.7g", value);
  return text;
}

std::optional<double> asNumber(const Setting &setting) {
  if (const int64_t *integer = setting.as<int64_t>())
    return static_cast<double>(*integer);
  if (const double *number = setting.as<double>())
    return *number;
  return std::nullopt;
}

/// 1 and 1.0 are the same.
bool agree(const Setting &a, const Setting &b) {
  auto x = asNumber(a), y = asNumber(b);
  return x && y ? *x == *y : shownSetting(a) == shownSetting(b);
}

std::string typed(const Setting &setting) {
  return setting.as<std::string>() ? quotedForError(*setting.as<std::string>()) : shownSetting(setting);
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

const WeightName *findWeight(const std::vector<WeightName> &weights, std::string_view name) {
  auto found = std::ranges::find(weights, name, &WeightName::name);
  return found == weights.end() ? nullptr : &*found;
}

/// A tensor that is there if all of its experts' are.
std::string ofFirstExpert(const std::string &tensor) { return replaced(tensor, "#", "0"); }

} // namespace

ModelSource::ModelSource(const Checkpoint &checkpoint, const Family &family, std::optional<Format> quantize)
    : checkpoint_(checkpoint), family_(family), quantize_(quantize) {
  if (isGguf()) {
    root_ = std::string(family.name) + ".";
    return;
  }
  auto type = std::ranges::find(family.modelTypes, checkpoint.architecture(), &ModelType::name);
  if (type == family.modelTypes.end())
    throw CompileError(checkpoint.shownKey("model_type") + " is no " + family.name);
  type_ = &*type;
  root_ = type->root;
  place_ = family.places.front();
  if (const WeightName *table = findWeight(family.weights, "token_embd"))
    for (std::string_view place : family.places)
      if (std::string name = std::string(place) + std::string(table->folder.substr(kModel.size())) + ".weight";
          checkpoint.tensor(name)) {
        place_ = place;
        break;
      }
}

std::string ModelSource::title() const {
  const std::filesystem::path path(name());
  std::filesystem::path last = path.filename().empty() ? path.parent_path().filename() : path.filename();
  return (isGguf() ? last.stem() : last).string() + (quantize_ ? " " + std::string(traits(*quantize_).name) : "");
}

const ValueName *ModelSource::declared(std::string_view key) const {
  if (type_)
    if (auto found = std::ranges::find(type_->values, key, &ValueName::name); found != type_->values.end())
      return &*found;
  auto found = std::ranges::find(family_.values, key, &ValueName::name);
  return found == family_.values.end() ? nullptr : &*found;
}

std::vector<std::string> ModelSource::spellings(std::string_view key) const {
  const ValueName *known = declared(key);
  std::vector<std::string> all;
  if (isGguf() && (!known || known->gguf.empty()))
    all.push_back(root_ + std::string(key));
  else if (known)
    for (std::string_view spelling : isGguf() ? known->gguf : known->folder)
      all.push_back(root_ + std::string(spelling));
  return all;
}

std::optional<Setting> ModelSource::value(std::string_view key) const {
  std::optional<Setting> found;
  std::string from;
  bool said = false;
  for (const std::string &spelling : spellings(key)) {
    std::optional<Setting> here = checkpoint_.setting(spelling);
    said |= here.has_value();
    if (!here || here->isNull())
      continue;
    if (found && !agree(*found, *here))
      throw CompileError(checkpoint_.shownKey(spelling) + " contradicts " + from + ": " + again());
    if (!found)
      found = std::move(here), from = spelling;
  }
  if (const ValueName *known = declared(key); !said && !isGguf() && known && !known->otherwise.isNull())
    return known->otherwise;
  return found;
}

std::string ModelSource::called(std::string_view key) const {
  const std::vector<std::string> all = spellings(key);
  for (const std::string &spelling : all)
    if (checkpoint_.setting(spelling))
      return spelling;
  return all.empty() ? std::string(key) : all.front();
}

void ModelSource::refuse(std::string_view key, const std::string &what) const {
  throw CompileError(checkpoint_.shownKey(called(key)) + " " + what);
}

std::optional<int64_t> ModelSource::integer(std::string_view key) const {
  std::optional<Setting> found = value(key);
  if (!found)
    return std::nullopt;
  if (const Setting::List *each = found->as<Setting::List>(); each && isGguf() && key != kLayers) { // of each layer
    if (each->empty() || static_cast<int64_t>(each->size()) != integer(kLayers))
      refuse(key, "is a list of " + std::to_string(each->size()) + ", which is not the number of layers: " + again());
    if (std::ranges::adjacent_find(*each, std::not_fn(agree)) != each->end())
      refuse(key, "differs from layer to layer, which is not supported: use a model whose layers are alike");
    found = Setting(each->front());
  }
  if (const int64_t *integer = found->as<int64_t>())
    return *integer;
  refuse(key, "is " + typed(*found) + ", no whole number: " + again());
}

std::optional<double> ModelSource::number(std::string_view key) const {
  std::optional<Setting> found = value(key);
  if (!found)
    return std::nullopt;
  if (auto number = asNumber(*found))
    return number;
  refuse(key, "is " + typed(*found) + ", no number: " + again());
}

std::optional<std::string> ModelSource::text(std::string_view key) const {
  std::optional<Setting> found = value(key);
  if (!found)
    return std::nullopt;
  if (const std::string *text = found->as<std::string>())
    return *text;
  refuse(key, "is " + typed(*found) + ", no text: " + again());
}

std::optional<bool> ModelSource::flag(std::string_view key) const {
  std::optional<Setting> found = value(key);
  if (!found)
    return std::nullopt;
  if (const bool *flag = found->as<bool>())
    return *flag;
  refuse(key, "is " + typed(*found) + ", neither true nor false: " + again());
}

std::optional<std::vector<bool>> ModelSource::flags(std::string_view key) const {
  std::optional<Setting> found = value(key);
  if (!found || !found->as<Setting::List>())
    return std::nullopt;
  std::vector<bool> flags;
  for (const Setting &entry : *found->as<Setting::List>()) {
    const std::string *kind = entry.as<std::string>();
    if (const bool *flag = entry.as<bool>())
      flags.push_back(*flag);
    else if (const int64_t *integer = entry.as<int64_t>())
      flags.push_back(*integer != 0);
    else if (kind && (*kind == "sliding_attention" || *kind == "full_attention"))
      flags.push_back(*kind == "sliding_attention");
    else
      refuse(key, "holds " + typed(entry) + ", which no layer here can be: " + again());
  }
  return flags;
}

std::optional<Setting::List> ModelSource::list(std::string_view key) const {
  std::optional<Setting> found = value(key);
  if (!found)
    return std::nullopt;
  if (const Setting::List *list = found->as<Setting::List>())
    return *list;
  refuse(key, "is " + typed(*found) + ", no list: " + again());
}

std::optional<std::vector<std::string>> ModelSource::texts(std::string_view key) const {
  const std::optional<Setting::List> entries = list(key);
  if (!entries)
    return std::nullopt;
  std::vector<std::string> texts;
  for (const Setting &entry : *entries) {
    const std::string *text = entry.as<std::string>();
    if (!text)
      refuse(key, "holds " + typed(entry) + ", no text: " + again());
    texts.push_back(*text);
  }
  return texts;
}

std::optional<std::vector<double>> ModelSource::numbers(std::string_view key) const {
  const std::optional<Setting::List> entries = list(key);
  if (!entries)
    return std::nullopt;
  std::vector<double> numbers;
  for (const Setting &entry : *entries) {
    auto number = asNumber(entry);
    if (!number)
      refuse(key, "holds " + typed(entry) + ", no number: " + again());
    numbers.push_back(*number);
  }
  return numbers;
}

/// What the family says of one of its names, "blk.3.attn_q.weight": how its weight is called (all that are spelt so, the first
/// counts that a folder has), where its layer stands in folders, and whether it is the bias.
ModelSource::Named ModelSource::named(std::string_view name) const {
  const size_t dot = name.rfind('.'); // before "weight" or "bias"
  std::string_view role = name.substr(0, dot), ending = dot == std::string_view::npos ? "" : name.substr(dot);
  Named found;
  found.ending = ending;
  const std::vector<WeightName> *weights = &family_.weights;
  if (role.starts_with(kBlock)) {
    role.remove_prefix(kBlock.size());
    const size_t end = role.find('.');
    if (end == std::string_view::npos)
      return found;
    found.place = replaced(std::string(family_.layers), "*", role.substr(0, end));
    weights = &family_.blockWeights, role = role.substr(end + 1);
  }
  for (const WeightName &weight : *weights)
    if (weight.name == role && (!found.weight || (!isGguf() && !checkpoint_.has(ofFirstExpert(folderName(found))))))
      found.weight = &weight;
  return found;
}

std::string ModelSource::folderName(const Named &named) const {
  const bool bias = named.ending == ".bias";
  std::string whole =
      named.place + std::string(bias && !named.weight->biasFolder.empty() ? named.weight->biasFolder : named.weight->folder);
  if (!(bias ? !named.weight->biasFolder.empty() : named.weight->exact))
    whole += named.ending;
  return whole.starts_with(kModel) ? place_ + whole.substr(kModel.size()) : whole;
}

/// The tensor of a folder for one of the family's names, and how it becomes that; empty where folders have none.
std::string ModelSource::storedName(std::string_view name, std::string_view *how) const {
  const Named found = named(name);
  if (!found.weight)
    return "";
  *how = found.ending == ".bias" && !found.weight->bias.empty() ? found.weight->bias : found.weight->how;
  return folderName(found);
}

/// `how` with the tensor's name for $ and numbers for values in braces.
std::string ModelSource::expression(std::string_view how, const std::string &tensor) const {
  std::string out;
  for (size_t at = 0; at < how.size(); ++at) {
    if (how[at] == '$') {
      out += weightName(tensor);
    } else if (how[at] == '{') {
      const size_t end = how.find('}', at);
      std::string_view keys = how.substr(at + 1, end - at - 1);
      std::optional<int64_t> number;
      while (!number && !keys.empty()) {
        number = integer(keys.substr(0, keys.find('|')));
        keys = keys.find('|') == std::string_view::npos ? "" : keys.substr(keys.find('|') + 1);
      }
      out += std::to_string(number.value_or(0));
      at = end;
    } else {
      out += how[at];
    }
  }
  return out;
}

std::optional<TensorInfo> ModelSource::tensor(std::string_view name) const {
  std::string from;
  if (!isGguf()) {
    std::string_view how;
    const std::string stored = storedName(name, &how);
    if (stored.empty() || !checkpoint_.has(ofFirstExpert(stored)))
      return std::nullopt;
    from = expression(how, stored);
  } else if (!checkpoint_.tensor(name)) {
    return std::nullopt;
  }
  WeightPointer weight = parseWeight(from.empty() ? weightName(name) : from, checkpoint_);
  auto convert = [&](Format format) {
    from = std::string(traits(format).name) + "(" + (from.empty() ? weightName(name) : from) + ")";
    weight = parseWeight(from, checkpoint_);
  };
  const bool vector = std::ranges::count_if(weight->shape(), [](int64_t dim) { return dim != 1; }) <= 1;
  const Named known = named(name);
  if (weight->shape().size() == 1 || (vector && weight->rows() == 1) || known.ending == ".bias") {
    if (weight->format() != Format::F32)
      convert(Format::F32);
  } else if (quantize_ && !(known.weight && known.weight->keep) && weight->format() != *quantize_ &&
             weight->columns() % traits(*quantize_).blockElements == 0) {
    convert(*quantize_);
  }
  return TensorInfo{weight->format(), weight->shape(), from};
}

std::vector<float> ModelSource::vectorValues(std::string_view tensorName) const {
  std::optional<TensorInfo> info = tensor(tensorName);
  WeightPointer weight = parseWeight(info && !info->from.empty() ? info->from : weightName(tensorName), checkpoint_);
  std::vector<float> values(static_cast<size_t>(weight->rows() * weight->columns()));
  weight->readFloats(0, weight->rows(), values.data());
  return values;
}

int64_t ModelSource::vocabularySize() const {
  const int64_t tokens = checkpoint_.tokenCount();
  if (isGguf())
    return tokens;
  const int64_t rows = requiredInteger("vocab_size", 1, INT32_MAX);
  // Tables have rows that no token uses, to be of a round size: of models in the wild at most one in forty.
  if (tokens > rows || (rows - tokens) * 16 > rows)
    refuse("vocab_size", "is " + std::to_string(rows) + " where tokenizer.json has " + std::to_string(tokens) +
                             " tokens: the files are not of one model, download them again");
  return rows;
}

int64_t ModelSource::positions() const { return integer("context_length").value_or(2048) - family_.firstPosition; }

bool ModelSource::tiedHead() const {
  if (isGguf())
    return !checkpoint_.tensor("output.weight");
  if (!flag("tie_word_embeddings").value_or(false))
    return false;
  std::string_view how;
  const std::string table = storedName("token_embd.weight", &how);
  for (const std::string &name : {storedName("output.weight", &how), std::string("language_model.lm_head.weight")})
    if (auto head = checkpoint_.tensor(name), copied = checkpoint_.tensor(table);
        head && copied &&
        (head->format != copied->format || head->shape != copied->shape || !std::ranges::equal(head->bytes, copied->bytes)))
      refuse("tie_word_embeddings",
             "is true, but " + name + " is no copy of " + table +
                 ", and readers differ in which of the two counts: set it to false, or remove that tensor");
  return true;
}

std::string ModelSource::shownTensor(std::string_view name) const {
  std::string_view how;
  std::string stored = isGguf() ? std::string(name) : storedName(name, &how);
  return checkpoint_.shownTensor(stored.empty() ? std::string(name) : stored);
}

std::string ModelSource::inItsWords(std::string_view text) const {
  std::string out(text);
  if (isGguf())
    return out;
  std::vector<const ValueName *> known;
  for (const ValueName &value : family_.values)
    if (!value.folder.empty())
      known.push_back(&value);
  std::ranges::sort(known, std::ranges::greater(),
                    [](const ValueName *value) { return value->name.size(); }); // the longest fits first
  for (const ValueName *value : known)
    out = replaced(out, value->name, value->folder.front());
  return out;
}

int64_t ModelSource::requiredInteger(std::string_view key, int64_t low, int64_t high) const {
  auto value = integerWithin(key, low, high);
  if (!value)
    refuse(key, "is missing: " + again());
  return *value;
}

std::optional<int64_t> ModelSource::integerWithin(std::string_view key, int64_t low, int64_t high) const {
  auto value = integer(key);
  if (value && (*value < low || *value > high))
    refuse(key, "is " + std::to_string(*value) + "; it must be in " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

std::optional<double> ModelSource::numberWithin(std::string_view key, double low, double high) const {
  auto value = number(key);
  if (value && !(*value >= low && *value <= high))
    refuse(key, "is " + shown(*value) + "; it must be in " + shown(low) + " to " + shown(high));
  return value;
}

} // namespace heddle

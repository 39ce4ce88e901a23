// libFuzzer over what model folders hold: any bytes as config.json, tokenizer.json or a .safetensors file are read or refused by
// a CompileError, and everything that was read can be used. The first byte chooses the file.
#include "compiler/checkpoints/WeightExpression.h"
#include "compiler/checkpoints/folder/Json.h"
#include "compiler/checkpoints/folder/Safetensors.h"
#include "compiler/checkpoints/folder/TokenizerJson.h"
#include "runtime/quant/Finite.h"

using namespace heddle;

static void readTensors(std::span<const std::byte> bytes) {
  SafetensorsFile file = SafetensorsFile::parse(bytes, "fuzz");
  uint64_t sum = 0;
  for (const SafetensorsTensor &tensor : file.tensors()) {
    for (std::byte byte : tensor.bytes)
      sum += static_cast<uint64_t>(byte);
    if (tensor.format)
      sum += allFinite(*tensor.format, tensor.bytes.data(),
                       static_cast<int64_t>(tensor.bytes.size()) / traits(*tensor.format).blockBytes);
    sum += file.find(tensor.name) == &tensor;
  }
  volatile uint64_t keep = sum;
  (void)keep;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  const std::string text(reinterpret_cast<const char *>(data + 1), size - 1);
  try {
    switch (data[0] % 3) {
    case 0:
      readTensors({reinterpret_cast<const std::byte *>(data + 1), size - 1});
      break;
    case 1:
      for (const auto &[key, value] : flattenedJson(parseJsonObject(text, "fuzz")))
        shownSetting(value);
      break;
    default:
      readTokenizerJson(text, "fuzz", {"a"});
    }
  } catch (const CompileError &) {
  }
  return 0;
}

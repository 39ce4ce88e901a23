// libFuzzer over the GGUF reader: any bytes parse or throw GgufError, and everything that parsed can be read.
#include "compiler/checkpoints/gguf/GgufFile.h"

using namespace heddle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    GgufFile file = GgufFile::parse({reinterpret_cast<const std::byte *>(data), size}, "fuzz");
    uint64_t sum = 0;
    for (std::string_view key : file.keys()) {
      const GgufValue &value = *file.findValue(key);
      try { // getters may refuse the type, nothing else
        if (value.type == GgufType::Array)
          sum += value.element == GgufType::String ? file.strings(key).size() : file.numbers(key).size();
        else
          sum += value.type == GgufType::String ? file.string(key).size() : static_cast<uint64_t>(file.has(key));
      } catch (const GgufError &) {
      }
    }
    for (const GgufTensor &tensor : file.tensors()) {
      std::vector<double> row(tensor.columns() < 4096 ? tensor.columns() : 0);
      if (!row.empty())
        dequantizeRow(tensor.format, tensor.row(tensor.rows() - 1), tensor.columns(), row.data());
      sum += file.tensor(tensor.name).data.size() + static_cast<uint64_t>(tensor.data.back());
    }
    volatile uint64_t keep = sum;
    (void)keep;
  } catch (const GgufError &) {
  }
  return 0;
}

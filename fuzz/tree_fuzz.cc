// Any bytes as one document of YAML or JSON.
#include <cstddef>
#include <cstdint>

#include "model/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  graymesh::model::try_tree({reinterpret_cast<const char*>(data), size});
  return 0;
}

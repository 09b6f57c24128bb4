// Any bytes as a file of objects, and as a MeshConfig.
#include <cstddef>
#include <cstdint>

#include "model/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  graymesh::model::try_read({reinterpret_cast<const char*>(data), size});
  return 0;
}

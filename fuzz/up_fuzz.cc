// The state files of `graymesh up`: what is read of up.json is written and read again as the same,
// and no name in it leads out of the folder that it is below.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cli/up_state.h"

namespace {

using namespace graymesh::cli;

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto record = read_record(text)) {
    check(record->block >= 0 && record->block <= blocks);
    for (const UpFile& file : record->files)
      check(file.copy.find('/') == std::string::npos && file.copy != "..");
    const auto again = read_record(text_of(*record));
    check(again.has_value() && *again == *record);
  } else {
    check(!record.error().message.empty());
  }
  if (const auto addresses = read_addresses(text))
    check(!addresses->xds.empty() && !addresses->api.empty());
  return 0;
}

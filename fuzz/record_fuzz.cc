// Files of the record: whatever they hold, they are read to an end, and entries that are read are
// written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "control/record/delta.h"
#include "control/record/entries.h"
#include "control/record/replay.h"
#include "control/record/segment.h"
#include "control/record/tracker.h"

// The first byte chooses how far inside one begins: at the file, at its entries, at a delta.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace graymesh::record;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    auto reader = SegmentReader::of(std::string(rest));
    if (!reader) return 0;
    Contents contents;
    Tracker tracker("web-0.shop");
    tracker.begin(contents, INT64_MAX);
    (void)replay(*reader, contents, [&](const Entry& entry) { tracker.take(contents, entry); });
  } else if (data[0] % 3 == 1) {
    const auto entries = decode(rest);
    if (!entries) return 0;
    Contents contents;
    Tracker tracker("web-0.shop");
    tracker.begin(contents, INT64_MAX);
    for (const Entry& entry : *entries) {
      if (contents.take(entry)) tracker.take(contents, entry);
    }
    const auto again = decode(encode(*entries));
    if (!again || encode(*again) != encode(*entries)) std::abort();
  } else {
    const std::string_view old_text = rest.substr(0, rest.size() / 2),
                           delta = rest.substr(rest.size() / 2);
    (void)apply_delta(old_text, delta, 1 << 16);
    const auto made = apply_delta(old_text, make_delta(old_text, delta), 1 << 20);
    if (!made || *made != delta) std::abort();
  }
  return 0;
}

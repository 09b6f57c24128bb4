// Responses from any control plane to the load client: bytes of a stream, read at once and in
// pieces, must give the same, and end somewhere.
//
// The first byte chooses the protocol, the second the length of the pieces.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bench/ads/proxy.h"

namespace {

using namespace graymesh::ads;

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool delta = (data[0] & 1) != 0;
  const std::size_t piece = 1 + data[1];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Node node{.id = "sidecar~10.0.0.1~a.b~b.svc", .wire = {}};
  Texts texts;
  Watch watch;
  watch.begin(0, 2);
  Proxy whole(node, delta, texts, watch), parts(node, delta, texts, watch);
  whole.connected();
  parts.connected();
  const bool good = whole.hear(bytes, 1);
  bool good_in_parts = true;
  for (std::size_t at = 0; at < bytes.size() && good_in_parts; at += piece)
    good_in_parts = parts.hear(bytes.substr(at, piece), 1);
  check(good == good_in_parts);
  if (!good) return 0;
  for (std::size_t i = 0; i < type_count; ++i) {
    const Counts &a = whole.counts()[i], &b = parts.counts()[i];
    check(a.messages == b.messages && a.resources == b.resources && a.removed == b.removed &&
          a.acks == b.acks && a.resent == b.resent && a.emptied == b.emptied);
  }
  check(whole.outbox() == parts.outbox());
  whole.look(20'000'000'000);
  check(!whole.warming());
  return 0;
}

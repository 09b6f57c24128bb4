// Requests from strangers: bytes to requests to a Session with a fixed mesh.
//
// The first byte chooses the protocol. Then come steps: a byte that says what happens before the
// message (low bits: nothing, another Config, 20 s pass, ACK of all in flight; the highest: its
// node is read), a length of two bytes, and so many bytes. In the end the proxy ACKs everything,
// and must then hold what the Config says.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "control/xds/fake_proxy.h"
#include "control/xds/message.h"

namespace {

using namespace graymesh;
using namespace graymesh::xds;

void check(bool holds) {
  if (!holds) std::abort();
}

// One response in flight per type, no more resources than a part may have, no nonce twice.
void drain(Session& session, Now now) {
  for (int sent = 0; auto response = session.next(now); ++sent) {
    check(sent < 64);
    check(!response->nonce.empty());
    check(!session.delta() || response->resources.size() <= 4);
    (void)encode_head(*response, session.delta());
  }
  for (const auto& status : session.types()) check(status.acked + status.nacked <= status.sent);
  (void)session.acked();
  (void)session.refusals();
  (void)session.snapshot();
}

void ack_all(FakeProxy& proxy) {
  for (const auto type : resource::all_types) {
    if (const auto& flight = proxy.session().channel(type).flight())
      (void)proxy.answers(type, std::string(flight->nonce), std::nullopt);
  }
}

std::map<std::string, std::string> held(const DeltaRequest& request) {
  std::map<std::string, std::string> held;
  for (std::size_t i = 0; i < request.held.size(); ++i)
    held[std::string(request.held[i])] = request.versions[i];
  return held;
}

bool same(const RequestHead& one, const RequestHead& other) {
  return one.type_url == other.type_url && one.nonce == other.nonce && one.error == other.error &&
         one.node.has_value() == other.node.has_value() &&
         (!one.node || one.node->id == other.node->id);
}

// What we read off the wire is what protobuf's classes read.
void compare(std::string_view bytes, bool want_node) {
  const auto delta = decode_delta(bytes, want_node);
  const auto delta_measure = decode_delta_by_classes(bytes, want_node);
  check(delta.has_value() == delta_measure.has_value());
  if (delta) {
    check(same(*delta, *delta_measure) && held(*delta) == held(*delta_measure) &&
          std::ranges::equal(delta->subscribe, delta_measure->subscribe) &&
          std::ranges::equal(delta->unsubscribe, delta_measure->unsubscribe));
  }
  const auto sotw = decode_sotw(bytes, want_node);
  const auto sotw_measure = decode_sotw_by_classes(bytes, want_node);
  check(sotw.has_value() == sotw_measure.has_value());
  if (sotw) {
    check(same(*sotw, *sotw_measure) && sotw->version == sotw_measure->version &&
          std::ranges::equal(sotw->names, sotw_measure->names));
  }
}

template <typename Request>
bool hear(FakeProxy& proxy, Result<Request> request) {
  return !request || proxy.session().hear(*std::move(request), proxy.now()).has_value();
}

void check_end(const FakeProxy& proxy) {
  const auto whole = [&](resource::Type type, std::string_view wanted) {
    if (!proxy.session().channel(type).wildcard() ||
        !proxy.session().channel(type).refusals().empty())
      return;
    check(proxy.status(type).state == TypeStatus::State::synced);
    check(proxy.holds(type) == wanted);
  };
  whole(resource::Type::cluster, "a=1 b=1 c=1 d=1 e=1 f=1");
  whole(resource::Type::endpoints, "a=1 b=1 c=1");
  whole(resource::Type::listener, "l=1");
  whole(resource::Type::route, "r=1 s=1");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  FakeProxy proxy(input[0] & 1 ? FakeProxy::sotw : FakeProxy::delta,
                  {.chunk_resources_max = 4, .names_max = 64});
  input.remove_prefix(1);
  const ConfigText one = {.clusters = {"a=1", "b=1", "c=1", "d=1", "e=1", "f=1"},
                          .endpoints = {"a=1", "b=1", "c=1"},
                          .listeners = {"l=1"},
                          .routes = {"r=1", "s=1"},
                          .snapshot = 1,
                          .hosts = {"r/x=1", "r/y=1", "s/x=1"}};
  const ConfigText other = {.clusters = {"a=2", "b=1", "g=1"},
                            .endpoints = {"a=1", "b=2", "g=1"},
                            .listeners = {"l=2", "m=1"},
                            .routes = {"r=2"},
                            .snapshot = 2,
                            .hosts = {"r/x=2", "r/z=1"}};
  bool flip = false;
  while (input.size() >= 3) {
    const auto what = static_cast<std::uint8_t>(input[0]);
    const std::size_t length = static_cast<std::uint8_t>(input[1]) |
                               static_cast<std::size_t>(static_cast<std::uint8_t>(input[2])) << 8;
    input.remove_prefix(3);
    const auto bytes = input.substr(0, length);
    input.remove_prefix(bytes.size());
    if ((what & 3) == 1) (void)proxy.runs((flip = !flip) ? one : other);
    if ((what & 3) == 2) proxy.clock.advance(std::chrono::seconds(20));
    if ((what & 3) == 3) ack_all(proxy);
    const bool want_node = (what & 0x80) != 0;
    compare(bytes, want_node);
    auto same =
        proxy.session().delta() ? std::nullopt : decode_same(bytes, proxy.session().names_hashes());
    const bool goes_on = proxy.session().delta() ? hear(proxy, decode_delta(bytes, want_node))
                         : same                  ? hear(proxy, Result(*std::move(same)))
                                                 : hear(proxy, decode_sotw(bytes, want_node));
    if (!goes_on) return 0;  // the server would end the stream
    drain(proxy.session(), proxy.now());
  }
  (void)proxy.runs(one);
  proxy.clock.advance(std::chrono::seconds(20));
  (void)proxy.settles();
  proxy.clock.advance(std::chrono::seconds(20));
  (void)proxy.settles();
  check_end(proxy);
  return 0;
}

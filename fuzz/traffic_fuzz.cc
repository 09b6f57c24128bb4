// Logged requests from strangers: bytes to a Reader to a Table that knows one lane and two
// applications.
//
// The input is a row of messages, each after its length in two bytes; the first one's highest bit
// of length says that it comes behind a proper first message. Whatever they say, a report holds
// only what is known.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/traffic/traffic.h"
#include "envoy/service/accesslog/v3/als.pb.h"

namespace {

using namespace graymesh;
using namespace graymesh::traffic;

void check(bool holds) {
  if (!holds) std::abort();
}

std::string first_message() {
  envoy::service::accesslog::v3::StreamAccessLogsMessage message;
  message.mutable_identifier()->set_log_name("graymesh.outbound");
  auto& node = *message.mutable_identifier()->mutable_node();
  node.set_id("sidecar~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["NAMESPACE"].set_string_value("fe-pre");
  auto& labels = *fields["LABELS"].mutable_struct_value()->mutable_fields();
  labels["app"].set_string_value("web");
  return message.SerializeAsString();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  FakeClock clock;
  Table table(clock);
  table.know({.lanes = {{"fe-pre", "a"}}, .applications = {{"fe-pre", "web"}, {"fe-pre", "cart"}}});
  Reader reader("canarytag");
  if (input.size() >= 2 && (data[1] & 0x80) != 0) check(reader.read(first_message()).has_value());
  while (input.size() >= 2) {
    const std::size_t length =
        static_cast<std::uint8_t>(input[0]) | static_cast<std::size_t>(input[1] & 0x7f) << 8;
    input.remove_prefix(2);
    const auto bytes = input.substr(0, length);
    input.remove_prefix(bytes.size());
    const auto requests = reader.read(bytes);
    if (!requests) return 0;  // the stream would end
    table.record(reader.teller(), *requests);
    clock.advance(std::chrono::minutes(7));
  }
  const Report report = table.report({"fe-pre", "a"});
  for (const auto& [who, passed] : report.passed) {
    check(who.application == "web" || who.application == "cart");
    for (const auto& [service, counts] : passed.calls)
      check(service == "web.fe-pre" || service == "cart.fe-pre");
  }
  return 0;
}

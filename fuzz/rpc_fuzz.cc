// A connection's bytes from strangers: to a Session whose reactors answer as ours do. Whatever
// comes, what is said back and what is held are bounded, and every call that began is done in the
// end.
//
// The first byte chooses how the bytes are cut, the second whether they begin with the preface and
// SETTINGS, which a fuzzer would be long in finding.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "control/rpc/session.h"

namespace {

using namespace graymesh;
using namespace graymesh::rpc;

void check(bool holds) {
  if (!holds) std::abort();
}

// Says every message twice, and counts.
class Echo final : public Reactor {
 public:
  Echo(CallPtr call, int& open) : call_(std::move(call)), open_(open) {
    ++open_;
    call_->read();
  }
  void on_message(std::string bytes) override {
    check(bytes.size() <= 4096);
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    call_->write({.head = *owner, .body = {*owner, owner}});
  }
  void on_end() override { call_->finish({}, {{"said", "all"}}); }
  void on_written() override { call_->read(); }
  void on_done(const Status&) override { --open_; }

 private:
  const CallPtr call_;
  int& open_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string bytes;
  if ((data[1] & 1) != 0)
    bytes = std::string(NGHTTP2_CLIENT_MAGIC) + std::string("\0\0\0\4\0\0\0\0\0", 9);
  const std::size_t piece = 1 + std::size_t{data[0]} * data[0];
  bytes.append(reinterpret_cast<const char*>(data) + 2, size - 2);

  int open = 0;
  Options options{.message_bytes_max = 4096, .incoming_bytes_max = 8192, .calls_max = 4};
  options.methods["/e"] = [&](const CallPtr& call) { return std::make_shared<Echo>(call, open); };
  const auto mailbox = std::make_shared<Mailbox>();
  Steady now{};
  std::size_t said = 0;
  {
    Session session(options, mailbox, std::make_shared<Peer>("fuzz"));
    Mailbox::Mail mail;
    const auto turn = [&] {
      Output output;
      for (bool more = true; more;) {
        more = mailbox->take(mail, false);
        for (Ask& ask : mail.asks) session.perform_for(ask, now);
        mail.asks.clear();
        session.produce(output);
        more = session.sent() || more;
      }
      said += output.take().size();
    };
    for (std::string_view rest = bytes; !rest.empty() && !session.over();) {
      const auto next = rest.substr(0, piece);
      rest.remove_prefix(next.size());
      session.hear(next, now += std::chrono::milliseconds(1));
      turn();
      check(open <= 4);
      check(!session.floods());
    }
    session.look(now += std::chrono::hours(1));
    session.go_away();
    turn();
  }
  mailbox->shut();
  check(open == 0);
  // At most what it was sent twice, and a frame for each frame.
  check(said <= 1000 + 40 * bytes.size());
  return 0;
}

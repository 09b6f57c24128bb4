// A socket with its Session: reads what came, writes what is to be said, and watches whether the
// peer is still there.
//
// Silence is what the kernel says (TCP_INFO), not what was read: a busy machine must not look like
// a dead peer. Who has said nothing for a while is pinged, and when some looks in a row find that
// nothing has come since, the connection ends.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/descriptor.h"
#include "control/rpc/output.h"
#include "control/rpc/session.h"

namespace graymesh::rpc {

class Connection {
 public:
  // `socket` is connected and doesn't block.
  Connection(const Options& options, std::shared_ptr<Mailbox> mailbox, Descriptor socket,
             Steady now);

  int socket() const { return socket_.get(); }
  Session& session() { return session_; }

  // Reads what there is, into `buffer` and on: some at a time, so that others have their turn.
  // `ends`: the peer has ended its side, and all that it sent before is to be read. True: there may
  // be more.
  bool read(std::span<char> buffer, bool ends, Steady now);
  // Sends what is to be said; `scratch` is empty before and after. True: reactors were told that
  // something is written, and may have more to say.
  bool flush(Output& scratch);
  // To be done twice a second. There may be something to flush then.
  void look(Steady now);

  bool stuck() const { return left_ != nullptr; }  // the socket takes no more for now
  bool over() const { return over_; }
  void end() { over_ = true; }

  // The loop's: it is to flush, it is to read() on.
  bool dirty = false, again = false;

 private:
  void look_for_silence(Steady now);

  const Options& options_;
  const Descriptor socket_;
  const std::shared_ptr<Peer> peer_;
  Session session_;
  std::unique_ptr<Output> left_;  // that the socket did not take
  bool ends_ = false, over_ = false;

  const Steady since_;
  Steady heard_;            // something was read
  bool pinged_ = false;     // since then
  std::uint64_t came_ = 0;  // bytes, until the last look
  int silent_looks_ = 0, looks_ = 0;
};

}  // namespace graymesh::rpc

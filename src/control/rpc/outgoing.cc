// The part of Session that sends: messages of calls, and how they end.
//
// nghttp2 decides which stream's turn it is and how much its windows take; the bytes themselves it
// does not see (NGHTTP2_DATA_FLAG_NO_COPY), they go from the message into the Output.
#include <algorithm>
#include <array>
#include <utility>

#include "control/rpc/session.h"

namespace graymesh::rpc {
namespace {

nghttp2_nv header(std::string_view name, std::string_view value) {
  // nghttp2 takes pointers to non-const, and copies.
  const auto bytes = [](std::string_view it) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(it.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view part_of(std::string_view bytes, std::size_t from, std::size_t to) {
  from = std::min(from, bytes.size());
  return bytes.substr(from, std::min(to, bytes.size()) - from);
}

}  // namespace

void Session::write(Exchange& exchange, Message message) {
  if (exchange.end || exchange.writing) return;
  exchange.prefix = prefix_of(message.size());
  exchange.out = std::move(message);
  exchange.out_at = 0;
  exchange.writing = true;
  if (std::exchange(exchange.begun, true)) {
    (void)nghttp2_session_resume_data(http_, exchange.stream);  // an error: it was not waiting
    return;
  }
  const std::array headers = {header(":status", "200"), header("content-type", "application/grpc"),
                              header("grpc-accept-encoding", "identity")};
  nghttp2_data_provider body{};
  body.read_callback = on_body;
  (void)nghttp2_submit_response(http_, exchange.stream, headers.data(), headers.size(), &body);
}

void Session::finish(Exchange& exchange, Status status, Metadata trailers, int http_status) {
  if (exchange.end) return;
  exchange.told = status;
  exchange.end = Ask::Finish{std::move(status), std::move(trailers)};
  exchange.progress = now_;
  if (exchange.begun)
    (void)nghttp2_session_resume_data(http_, exchange.stream);
  else
    answer(exchange, http_status);
}

// "Trailers-Only" of PROTOCOL-HTTP2: nothing but the end.
void Session::answer(Exchange& exchange, int http_status) {
  const std::string code = std::to_string(http_status);
  std::array<std::string, 2> texts;
  Nv headers = {header(":status", code), header("content-type", "application/grpc"),
                header("grpc-accept-encoding", "identity")};
  add_end(headers, *exchange.end, texts);
  (void)nghttp2_submit_response(http_, exchange.stream, headers.data(), headers.size(), nullptr);
}

// `texts` keeps what the headers point to.
void Session::add_end(Nv& headers, const Ask::Finish& end, std::array<std::string, 2>& texts) {
  texts[0] = std::to_string(end.status ? 0 : static_cast<int>(end.status.error().code));
  headers.push_back(header("grpc-status", texts[0]));
  if (!end.status) {
    texts[1] = percent_encoded(end.status.error().message);
    headers.push_back(header("grpc-message", texts[1]));
  }
  for (const auto& [name, value] : end.trailers) headers.push_back(header(name, value));
}

// The reactor hears of it at once: who does not read holds up the frame that says so.
void Session::cancel(Exchange& exchange, std::uint32_t code) {
  const std::int32_t stream = exchange.stream;
  if (!exchange.end) exchange.told = Error{Code::cancelled, "cut off"};
  (void)nghttp2_submit_rst_stream(http_, NGHTTP2_FLAG_NONE, stream, code);
  forget(stream);
  grant_next();
}

void Session::produce(Output& output) {
  if (dead_) return;
  output_ = &output;
  if (nghttp2_session_send(http_) != 0) dead_ = true;
  output_ = nullptr;
}

bool Session::sent() {
  if (written_.empty()) return false;
  for (const auto& call : written_) {
    if (call->exchange_ != nullptr) call->exchange_->reactor->on_written();
  }
  written_.clear();
  return true;
}

ssize_t Session::take_out(Exchange& exchange, std::size_t bytes_max, std::uint32_t& flags) {
  if (exchange.writing) {
    flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    const std::size_t left = prefix_bytes + exchange.out.size() - exchange.out_at;
    return static_cast<ssize_t>(std::min(bytes_max, left));
  }
  if (!exchange.end) return NGHTTP2_ERR_DEFERRED;
  Nv trailers;
  std::array<std::string, 2> texts;
  add_end(trailers, *exchange.end, texts);
  flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
  if (nghttp2_submit_trailer(http_, exchange.stream, trailers.data(), trailers.size()) != 0)
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return 0;
}

void Session::put_out(Exchange& exchange, std::size_t bytes) {
  Message& message = exchange.out;
  const std::size_t from = exchange.out_at, to = from + bytes;
  const std::size_t body_at = prefix_bytes + message.head.size();
  output_->add(part_of({exchange.prefix.data(), prefix_bytes}, from, to));
  if (to > prefix_bytes) {
    output_->add(
        part_of(message.head, std::max(from, prefix_bytes) - prefix_bytes, to - prefix_bytes));
  }
  if (to > body_at) {
    output_->add(Slice{part_of(message.body.bytes, std::max(from, body_at) - body_at, to - body_at),
                       message.body.owner});
  }
  exchange.out_at = to;
  if (to < body_at + message.body.bytes.size()) return;
  exchange.out = {};
  exchange.writing = false;
  if (exchange.reactor) written_.push_back(exchange.call);
}

ssize_t Session::on_body(nghttp2_session*, std::int32_t stream, std::uint8_t*, std::size_t size,
                         std::uint32_t* flags, nghttp2_data_source*, void* self) {
  Session& it = *static_cast<Session*>(self);
  Exchange* exchange = it.find(stream);
  // It was cut off, and the frame that says so goes first.
  if (exchange == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return it.take_out(*exchange, size, *flags);
}

int Session::on_send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                          std::size_t size, nghttp2_data_source*, void* self) {
  constexpr std::size_t frame_head_bytes = 9;  // RFC 9113 4.1
  Session& it = *static_cast<Session*>(self);
  it.output_->add(std::string_view(reinterpret_cast<const char*>(head), frame_head_bytes));
  if (Exchange* exchange = it.find(frame->hd.stream_id)) it.put_out(*exchange, size);
  return 0;
}

ssize_t Session::on_send(nghttp2_session*, const std::uint8_t* data, std::size_t size, int,
                         void* self) {
  static_cast<Session*>(self)->output_->add(
      std::string_view(reinterpret_cast<const char*>(data), size));
  return static_cast<ssize_t>(size);
}

// RFC 9113 8.1: a server that has answered in full, and wants no more of the request, says so by
// RST_STREAM with NO_ERROR.
int Session::on_frame_sent(nghttp2_session* http, const nghttp2_frame* frame, void*) {
  if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
    return 0;
  if (nghttp2_session_get_stream_remote_close(http, frame->hd.stream_id) == 0) {
    (void)nghttp2_submit_rst_stream(http, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  }
  return 0;
}

}  // namespace graymesh::rpc

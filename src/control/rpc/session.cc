#include "control/rpc/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace graymesh::rpc {
namespace {

constexpr std::int32_t connection_window = 1 << 20;

// Streams that ended with an error, by the client's will or by its fault: so many at once, and so
// many a second. Opening and resetting streams costs us more than it costs the client
// (CVE-2023-44487).
constexpr double resets_max = 200, resets_per_second = 20;
// Frames that wait for a client which reads nothing: more than any that reads will see.
constexpr std::size_t frames_max = 1000;

Session& of(void* self) { return *static_cast<Session*>(self); }

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

Session::Session(const Options& options, std::shared_ptr<Mailbox> mailbox,
                 std::shared_ptr<const Peer> peer)
    : options_(options), mailbox_(std::move(mailbox)), peer_(std::move(peer)) {
  start();
  settle();
}

void Session::start() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* http_options = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&http_options) != 0) {
    nghttp2_session_callbacks_del(callbacks);
    dead_ = true;
    return;
  }
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
  nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
  nghttp2_option_set_no_auto_window_update(http_options, 1);
  nghttp2_option_set_no_closed_streams(http_options, 1);  // kept for priorities, which nobody uses
  nghttp2_option_set_max_outbound_ack(http_options, frames_max);
  dead_ = nghttp2_session_server_new2(&http_, callbacks, this, http_options) != 0;
  nghttp2_option_del(http_options);
  nghttp2_session_callbacks_del(callbacks);
}

void Session::settle() {
  if (dead_) return;
  const std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.calls_max},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_bytes_max}};
  (void)nghttp2_submit_settings(http_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  (void)nghttp2_session_set_local_window_size(http_, NGHTTP2_FLAG_NONE, 0, connection_window);
}

Session::~Session() {
  // Reactors call nothing of ours from on_done(), only what posts.
  while (!exchanges_.empty()) {
    Exchange& exchange = *exchanges_.begin()->second;
    if (!exchange.end) exchange.told = lost_;
    forget(exchange.stream);
  }
  nghttp2_session_del(http_);
}

void Session::hear(std::string_view bytes, Steady now) {
  if (dead_) return;
  now_ = now;
  const auto used = nghttp2_session_mem_recv(
      http_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (used < 0) dead_ = true;  // what may be said of a fault is said by GOAWAY, which is no error
}

bool Session::over() const {
  return dead_ || (nghttp2_session_want_read(http_) == 0 && nghttp2_session_want_write(http_) == 0);
}

bool Session::wants_write() const { return !dead_ && nghttp2_session_want_write(http_) != 0; }

bool Session::floods() const {
  return !dead_ && nghttp2_session_get_outbound_queue_size(http_) > frames_max;
}

void Session::ping() {
  if (!dead_) (void)nghttp2_submit_ping(http_, NGHTTP2_FLAG_NONE, nullptr);
}

void Session::go_away() {
  if (dead_) return;
  (void)nghttp2_submit_goaway(http_, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(http_), NGHTTP2_NO_ERROR,
                              nullptr, 0);
}

Exchange* Session::find(std::int32_t stream) {
  if (newest_ != nullptr && newest_->stream == stream) return newest_;
  const auto found = exchanges_.find(stream);
  if (found == exchanges_.end()) return nullptr;
  return newest_ = found->second.get();
}

void Session::perform(Exchange& exchange, Ask& ask, Steady now) {
  now_ = now;
  if (auto* message = std::get_if<Message>(&ask.what)) {
    write(exchange, std::move(*message));
  } else if (auto* end = std::get_if<Ask::Finish>(&ask.what)) {
    finish(exchange, std::move(end->status), std::move(end->trailers));
  } else if (std::holds_alternative<Ask::Cancel>(ask.what)) {
    cancel(exchange, NGHTTP2_CANCEL);
  } else if (!exchange.reading) {
    exchange.reading = true;
    exchange.progress = now;
    advance(exchange);
  }
}

void Session::open(Exchange& exchange, Steady now) {
  const auto refusal = refusal_of(exchange.headers);
  if (refusal) return finish(exchange, refusal->error, {}, refusal->http_status);
  const auto method = options_.methods.find(exchange.headers.path);
  if (method == options_.methods.end()) {
    return finish(exchange,
                  Error{Code::unimplemented, "nothing here is called " + exchange.headers.path});
  }
  if (!exchange.headers.timeout.empty()) {
    exchange.deadline = now + *parse_timeout(exchange.headers.timeout);
    deadline_ = std::min(deadline_.value_or(*exchange.deadline), *exchange.deadline);
  }
  exchange.call = std::make_shared<Call>(exchange.headers.path, peer_, mailbox_, &exchange);
  exchange.reactor = method->second(exchange.call);
}

// The stream is closed, or is to be.
void Session::forget(std::int32_t stream) {
  const auto found = exchanges_.find(stream);
  if (found == exchanges_.end()) return;
  const auto exchange = std::move(found->second);
  exchanges_.erase(found);
  if (newest_ == exchange.get()) newest_ = nullptr;
  incoming_ -= exchange->granted;
  std::erase(waiting_, stream);
  if (exchange->call) exchange->call->exchange_ = nullptr;
  if (exchange->reactor) exchange->reactor->on_done(exchange->told);
}

void Session::count_reset() {
  const std::chrono::duration<double> since = now_ - reset_at_;
  resets_ = std::max(0.0, resets_ - since.count() * resets_per_second) + 1;
  reset_at_ = now_;
  if (resets_ > resets_max)
    (void)nghttp2_session_terminate_session(http_, NGHTTP2_ENHANCE_YOUR_CALM);
}

void Session::look(Steady now) {
  now_ = now;
  deadline_.reset();
  std::vector<std::int32_t> stuck;
  for (auto& [stream, exchange] : exchanges_) {
    const bool late = exchange->deadline && *exchange->deadline <= now;
    if (late && !exchange->end && !exchange->writing) {
      finish(*exchange, Error{Code::deadline_exceeded, "grpc-timeout is over"});
    } else if (late && !exchange->end) {
      stuck.push_back(stream);
    } else if (exchange->deadline && !late) {
      deadline_ = std::min(deadline_.value_or(*exchange->deadline), *exchange->deadline);
    }
    const bool half = exchange->reading && exchange->in.held() > 0 && !exchange->waiting;
    if ((half || exchange->end) && now - exchange->progress >= options_.patience)
      stuck.push_back(stream);
  }
  for (const auto stream : stuck) {
    if (Exchange* exchange = find(stream)) cancel(*exchange, NGHTTP2_CANCEL);
  }
}

int Session::on_begin(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  auto exchange = std::make_unique<Exchange>();
  exchange->session = &of(self);
  exchange->stream = frame->hd.stream_id;
  of(self).newest_ = exchange.get();
  of(self).exchanges_[frame->hd.stream_id] = std::move(exchange);
  return 0;
}

int Session::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* self) {
  Exchange* exchange = of(self).find(frame->hd.stream_id);
  if (exchange == nullptr || exchange->headers.add(text(name, name_size), text(value, value_size)))
    return 0;
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream, and reads on
}

int Session::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  Session& it = of(self);
  it.greeted_ = true;  // the first one is SETTINGS, or else the session ends
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  Exchange* exchange = it.find(frame->hd.stream_id);
  if (exchange == nullptr) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
    it.open(*exchange, it.now_);
  if (frame->hd.type == NGHTTP2_DATA && frame->data.padlen > 0) {
    exchange->room -= static_cast<std::int64_t>(frame->data.padlen);
    it.give_room(*exchange);
  }
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
    exchange->ended = true;
    it.advance(*exchange);
  }
  return 0;
}

int Session::on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void* self) {
  Session& it = of(self);
  (void)nghttp2_session_consume_connection(it.http_, size);
  if (Exchange* exchange = it.find(stream)) it.received(*exchange, text(data, size));
  return 0;
}

int Session::on_close(nghttp2_session*, std::int32_t stream, std::uint32_t code, void* self) {
  Session& it = of(self);
  if (code != NGHTTP2_NO_ERROR) it.count_reset();
  Exchange* exchange = it.find(stream);
  if (exchange == nullptr) return 0;
  if (!exchange->end)
    exchange->told = Error{Code::cancelled, fmt::format("reset with HTTP/2's code {}", code)};
  it.forget(stream);
  it.grant_next();
  return 0;
}

}  // namespace graymesh::rpc

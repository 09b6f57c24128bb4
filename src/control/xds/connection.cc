#include "control/xds/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace graymesh::xds {
namespace {

constexpr std::string_view service_path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";

// What comes beside requests, generously: heads of frames, and pings, their answers and window
// updates.
constexpr std::uint64_t head_bytes = 256;  // of each request
constexpr std::uint64_t chatter_bytes_per_look = 1024;
constexpr std::uint64_t slack_bytes = 1u << 20;
constexpr int full_looks_max = 3;

// For those that are sent away: another replica may have room at once, this one only when some have
// gone.
constexpr int pushback_ms_min = 1'000, pushback_ms_max = 10'000;

// "ipv4:127.0.0.1:41234", as gRPC writes it.
std::string peer_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto* of_6 = reinterpret_cast<const sockaddr_in6*>(&address);
    (void)::inet_ntop(AF_INET6, &of_6->sin6_addr, text, sizeof text);
    return fmt::format("ipv6:[{}]:{}", text, ntohs(of_6->sin6_port));
  }
  const auto* of_4 = reinterpret_cast<const sockaddr_in*>(&address);
  (void)::inet_ntop(AF_INET, &of_4->sin_addr, text, sizeof text);
  return fmt::format("ipv4:{}:{}", text, ntohs(of_4->sin_port));
}

void set_arguments(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.request_bytes_max));
  grpc::ResourceQuota quota;
  quota.Resize(options.connection_bytes_max);
  builder.SetResourceQuota(quota);
  // What the windows are opened by, beside the quota, is the length of the message that is waited
  // for. By measuring the line they would open for messages that nobody waits for yet, megabytes
  // wide, and every answer of a proxy would make a ping go out.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // So much comes from one who is not read from yet: a thousand wait at a time.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16 << 10);
  // A buffer of so much stays with each connection once it has read much at a time: 64 kB
  // otherwise.
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 16 << 10);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);  // a trace of each connection and call
  // Each end pings the other within seconds, and bears that the other does. Who does not answer is
  // found by silent(); gRPC's watchdog is the net below.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             static_cast<int>(options.ping_every.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             static_cast<int>(options.write_max.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
}

}  // namespace

std::unique_ptr<Connection> Connection::open(Shared& shared, Descriptor socket) {
  Descriptor second(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!second) return nullptr;
  std::unique_ptr<Connection> connection(new Connection(shared, std::move(second)));
  return connection->serve(std::move(socket)) ? std::move(connection) : nullptr;
}

Connection::Connection(Shared& shared, Descriptor socket)
    : shared_(shared),
      socket_(std::move(socket)),
      peer_(std::make_shared<Peer>(peer_of(socket_.get()))) {}

bool Connection::serve(Descriptor socket) {
  std::lock_guard lock(mutex_);
  grpc::ServerBuilder builder;
  set_arguments(builder, shared_.options);
  builder.RegisterCallbackGenericService(this);
  server_ = builder.BuildAndStart();
  if (!server_) return false;
  grpc::AddInsecureChannelFromFd(server_.get(), socket.release());
  return true;
}

Connection::~Connection() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

grpc::ServerGenericBidiReactor* Connection::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  std::lock_guard lock(mutex_);
  const std::string& method = context->method();
  if (const auto other = shared_.options.methods.find(method);
      other != shared_.options.methods.end()) {
    return other->second(context, [peer = peer_](std::size_t bytes) { peer->heard(bytes); });
  }
  const bool delta = method == std::string(service_path) + "DeltaAggregatedResources";
  const bool sotw = method == std::string(service_path) + "StreamAggregatedResources";
  if (!delta && !sotw)
    return grpc::CallbackGenericService::CreateReactor(context);  // UNIMPLEMENTED
  if (shared_.full()) return turn_away(*context);
  (void)received();  // looks at the distance, too
  return Stream::open(shared_, delta, peer_, *context);
}

// Beyond all bounds, and so the one case in which a proxy is sent away: with gRPC's own words for
// when to come back, and not all at once.
grpc::ServerGenericBidiReactor* Connection::turn_away(grpc::GenericCallbackServerContext& call) {
  class Full final : public grpc::ServerGenericBidiReactor {
   public:
    void OnDone() override { delete this; }
  };
  shared_.instruments.turned_away.add();
  thread_local std::minstd_rand random{std::random_device{}()};
  call.AddTrailingMetadata(
      "grpc-retry-pushback-ms",
      std::to_string(std::uniform_int_distribution(pushback_ms_min, pushback_ms_max)(random)));
  auto* full = new Full;
  full->Finish(
      {grpc::StatusCode::UNAVAILABLE,
       fmt::format("{} streams are open, and no more may be", shared_.options.streams_max)});
  return full;
}

std::uint64_t Connection::received() const {
  int queued = 0;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::ioctl(socket_.get(), FIONREAD, &queued) != 0) return 0;
  if (::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  peer_->distance_us = info.tcpi_rtt;
  // What gRPC has not taken from the kernel is nothing yet: megabytes, of one who sends long
  // requests one after the other.
  return info.tcpi_bytes_received -
         std::min<std::uint64_t>(static_cast<std::uint64_t>(queued), info.tcpi_bytes_received);
}

// `unheard_` is a bucket: what comes fills it, requests that are whole empty it, and it leaks what
// is no part of a request. While a long request is dealt with, gRPC takes in the next ones, which
// are counted only when they are read: full for some looks in a row means full only where none came
// whole meanwhile and none is being dealt with. Whoever gets round that is bounded by the quota.
bool Connection::overflows() {
  Counts now{.requests = peer_->requests, .bytes = peer_->bytes};
  now.received = std::max(received(), last_.received);
  const std::uint64_t whole = now.bytes - last_.bytes;
  unheard_ += now.received - last_.received;
  unheard_ -= std::min(unheard_, whole + whole / 100 + chatter_bytes_per_look +
                                     head_bytes * (now.requests - last_.requests));
  const bool full = unheard_ > shared_.options.request_bytes_max + slack_bytes &&
                    now.requests == last_.requests && peer_->waiting == 0;
  last_ = now;
  full_looks_ = full ? full_looks_ + 1 : 0;
  return full_looks_ >= full_looks_max;
}

bool Connection::silent(int looks) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  const bool asked = info.tcpi_last_data_sent < info.tcpi_last_data_recv;  // ms ago
  const bool answered = std::exchange(came_, info.tcpi_bytes_received) != info.tcpi_bytes_received;
  silent_looks_ = asked && !answered ? silent_looks_ + 1 : 0;
  return silent_looks_ >= looks;
}

void Connection::end() { (void)::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace graymesh::xds

// An ADS client for tests, over real gRPC: sends what it is told, queues what it hears.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace graymesh::xds {

inline constexpr auto patience = std::chrono::seconds(20);

class WireClient final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // `reads`: false for one that takes nothing from the wire.
  WireClient(int port, const std::string& method, bool reads = true) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetMaxReceiveMessageSize(-1);
    const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                                   grpc::InsecureChannelCredentials(), arguments);
    // gRPC 1.51 now and then fails to connect under load, once ("No such file or directory").
    context_.set_wait_for_ready(true);
    stub_ = std::make_unique<grpc::GenericStub>(channel);
    stub_->PrepareBidiStreamingCall(
        &context_, "/envoy.service.discovery.v3.AggregatedDiscoveryService/" + method, {}, this);
    if (reads) StartRead(&read_);
    StartCall();
  }
  ~WireClient() override {
    context_.TryCancel();
    (void)finishes();
  }

  void send(const std::string& bytes) {
    std::lock_guard lock(mutex_);
    to_send_.push_back(bytes);
    write_locked();
  }
  template <typename Message>
  void send_message(const Message& message) {
    send(message.SerializeAsString());
  }
  void end() {
    std::lock_guard lock(mutex_);
    StartWritesDone();
  }
  void cancel() { context_.TryCancel(); }
  // Takes one message more from the wire, and no other before it reads on.
  void rest() {
    std::lock_guard lock(mutex_);
    rests_ = true;
  }
  void read_on() {
    std::lock_guard lock(mutex_);
    rests_ = false;
    StartRead(&read_);
  }

  // The next message; none if the stream ends or nothing comes.
  std::optional<std::string> hears() {
    std::unique_lock lock(mutex_);
    heard_something_.wait_for(lock, patience, [this] { return !heard_.empty() || status_; });
    if (heard_.empty()) return std::nullopt;
    auto first = std::move(heard_.front());
    heard_.pop_front();
    return first;
  }
  template <typename Message>
  Message hears_message() {
    Message message;
    if (const auto bytes = hears(); !bytes || !message.ParseFromString(*bytes))
      message.set_type_url("nothing came");
    return message;
  }
  std::size_t unread() {
    std::lock_guard lock(mutex_);
    return heard_.size();
  }
  // How the stream ended.
  grpc::Status finishes() {
    std::unique_lock lock(mutex_);
    heard_something_.wait_for(lock, patience, [this] { return status_.has_value(); });
    return status_.value_or(grpc::Status(grpc::StatusCode::DO_NOT_USE, "it goes on"));
  }

 private:
  void write_locked() {
    if (writing_ || to_send_.empty() || status_) return;
    grpc::Slice slice(to_send_.front());
    to_send_.pop_front();
    write_ = grpc::ByteBuffer(&slice, 1);
    writing_ = true;
    StartWrite(&write_);
  }
  void OnWriteDone(bool) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    write_locked();
  }
  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (!ok) return;
    std::vector<grpc::Slice> slices;
    (void)read_.Dump(&slices);
    std::string bytes;
    for (const auto& slice : slices)
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    heard_.push_back(std::move(bytes));
    heard_something_.notify_all();
    if (!rests_) StartRead(&read_);
  }
  void OnDone(const grpc::Status& status) override {
    std::lock_guard lock(mutex_);
    status_ = status;
    heard_something_.notify_all();
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::mutex mutex_;
  std::condition_variable heard_something_;
  std::deque<std::string> heard_, to_send_;
  grpc::ByteBuffer read_, write_;
  bool writing_ = false, rests_ = false;
  std::optional<grpc::Status> status_;
};

}  // namespace graymesh::xds

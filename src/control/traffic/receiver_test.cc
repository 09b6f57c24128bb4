// The receiver behind a server of its own, as xds::Server calls it, and gRPC's client before it.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <future>
#include <mutex>
#include <thread>

#include "control/traffic/testing.h"
#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

using testing::message;

// One stream: sends what it is given, then ends; the status comes in done.
class Client final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Client(const std::shared_ptr<grpc::Channel>& channel, const std::string& bytes, bool stays)
      : stub_(channel), stays_(stays) {
    std::lock_guard lock(mutex_);
    const grpc::Slice slice(bytes);
    buffer_ = grpc::ByteBuffer(&slice, 1);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    stub_.PrepareBidiStreamingCall(&context_, Receiver::method, grpc::StubOptions(), this);
    StartRead(&answer_);
    StartWrite(&buffer_);
    StartCall();
  }
  ~Client() override { std::lock_guard lock(mutex_); }  // OnDone has left it
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (ok && !stays_) StartWritesDone();
  }
  void OnDone(const grpc::Status& status) override {
    std::lock_guard lock(mutex_);
    done.set_value(status);
  }
  std::promise<grpc::Status> done;

 private:
  std::mutex mutex_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer buffer_, answer_;
  bool stays_;
};

class ReceiverTest : public ::testing::Test {
 public:
  ReceiverTest() {
    table.know({.lanes = {{"fe-pre", "a"}}, .applications = {{"fe-pre", "web"}}});
    rpc::Options options;
    options.methods[Receiver::method] = [this](const rpc::CallPtr& call) {
      return receiver.open(call);
    };
    server = *rpc::Server::start(std::move(options));
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(server->port()),
                                  grpc::InsecureChannelCredentials());
  }
  std::string page() const { return metrics.page(); }

  SystemClock clock;
  metrics::Registry metrics;
  Table table{clock};
  Receiver receiver{table, "canarytag", metrics};
  std::unique_ptr<rpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

std::string one_request() {
  return message("graymesh.inbound", {{"app", "web"}}, {{.headers = {{"canarytag", "a"}}}});
}

TEST_F(ReceiverTest, WhatAProxySendsIsInTheTable) {
  Client client(channel, one_request(), false);
  EXPECT_TRUE(client.done.get_future().get().ok());
  EXPECT_EQ(table.report({"fe-pre", "a"}).passed.size(), 1u);
  EXPECT_THAT(page(), ::testing::HasSubstr("graymesh_lane_log_requests_total{result=\"lane\"} 1"));
}

TEST_F(ReceiverTest, NonsenseEndsItsStreamWithItsReason) {
  Client client(channel, "\xff\xff", false);
  const auto status = client.done.get_future().get();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("is not a"));
}

TEST_F(ReceiverTest, StopEndsStreamsAndThoseToCome) {
  Client open(channel, one_request(), true);
  while (!table.last({"fe-pre", "a"})) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  receiver.stop();
  EXPECT_EQ(open.done.get_future().get().error_code(), grpc::StatusCode::UNAVAILABLE);
  Client late(channel, one_request(), true);
  EXPECT_EQ(late.done.get_future().get().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace graymesh::traffic

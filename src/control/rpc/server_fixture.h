// For tests: a server on a free port, and a reactor that writes down what it hears.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "control/rpc/raw_client.h"
#include "control/rpc/rpc.h"

namespace graymesh::rpc {

// What happened to one call, in words: "message x", "end", "written", "done 0".
class Diary {
 public:
  void note(std::string what) {
    std::lock_guard lock(mutex_);
    lines_.push_back(std::move(what));
    noted_.notify_all();
  }
  // The next line; "nothing": none came in `time`.
  std::string next(std::chrono::milliseconds time = patience) {
    std::unique_lock lock(mutex_);
    noted_.wait_for(lock, time, [this] { return !lines_.empty(); });
    if (lines_.empty()) return "nothing";
    auto first = std::move(lines_.front());
    lines_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable noted_;
  std::deque<std::string> lines_;
};

class Writer final : public Reactor {
 public:
  explicit Writer(std::shared_ptr<Diary> diary) : diary_(std::move(diary)) {}
  void on_message(std::string bytes) override {
    diary_->note(bytes.size() > 100 ? "message of " + std::to_string(bytes.size())
                                    : "message " + bytes);
  }
  void on_end() override { diary_->note("end"); }
  void on_written() override { diary_->note("written"); }
  void on_done(const Status& end) override {
    diary_->note("done " + std::to_string(end ? 0 : static_cast<int>(end.error().code)));
  }

 private:
  const std::shared_ptr<Diary> diary_;
};

class RpcServer : public testing::Test {
 public:
  void start(Options options = {}) {
    server.reset();
    options.name = "test";
    // Says what it heard, and ends as the client does.
    options.methods["/t/Echo"] = [](const CallPtr& call) { return std::make_shared<Echo>(call); };
    // Does what the test says.
    options.methods["/t/Held"] = [this](const CallPtr& call) {
      std::lock_guard lock(mutex_);
      calls_.push_back(call);
      came_.notify_all();
      return std::make_shared<Writer>(diary);
    };
    auto started = Server::start(std::move(options));
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
  }
  void SetUp() override { start(); }
  ~RpcServer() override { server.reset(); }

  // The next call of /t/Held.
  CallPtr held() {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, patience, [this] { return !calls_.empty(); });
    if (calls_.empty()) return nullptr;
    auto first = calls_.front();
    calls_.pop_front();
    return first;
  }

  std::unique_ptr<Server> server;
  const std::shared_ptr<Diary> diary = std::make_shared<Diary>();

 private:
  class Echo final : public Reactor {
   public:
    explicit Echo(CallPtr call) : call_(std::move(call)) { call_->read(); }
    void on_message(std::string bytes) override {
      call_->write({.head = "heard ", .body = kept(std::move(bytes))});
    }
    void on_end() override { call_->finish({}, {{"said", "all"}}); }
    void on_written() override { call_->read(); }
    void on_done(const Status&) override {}

   private:
    static Slice kept(std::string bytes) {
      auto owner = std::make_shared<const std::string>(std::move(bytes));
      return {*owner, owner};
    }
    const CallPtr call_;
  };

  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<CallPtr> calls_;
};

}  // namespace graymesh::rpc

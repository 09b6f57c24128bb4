// For tests: a Runtime with real keepers and real processes; testing_main.cc has the programs. Each
// test has a folder and a block of addresses of its own, and leaves neither process nor folder
// behind.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/file.h"
#include "release/workload/folder.h"
#include "release/workload/record.h"
#include "release/workload/workload.h"

namespace graymesh::workload {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Phase = Instance::Phase;
using Steady = std::chrono::steady_clock;

// As tools/demo_mesh.py claims one: by a bound socket.
class Block {
 public:
  Block() {
    for (number_ = 63; number_ > 0; --number_) {
      claim_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(15999);
      ::inet_pton(AF_INET, ("127." + std::to_string(number_) + ".255.254").c_str(),
                  &address.sin_addr);
      if (::bind(claim_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return;
    }
  }
  int number() const { return number_; }

 private:
  int number_;
  Descriptor claim_;
};

inline std::string this_program() { return fs::read_symlink("/proc/self/exe").string(); }

class Instances : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "graymesh-instances-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    options_ = {.folder = folder_ / "run",
                .program = this_program(),
                .block = block_.number(),
                .hold_max = 60s};
    begin();
  }

  void TearDown() override {
    if (!runtime_) begin();
    ASSERT_TRUE(runtime_->apply({}));
    EXPECT_TRUE(eventually([this] {
      for (const auto& instance : runtime_->instances()) {
        runtime_->release(instance.namespace_, instance.name);
      }
      return runtime_->instances().empty();
    })) << told();
    runtime_.reset();
    EXPECT_THAT(processes(), testing::IsEmpty());
    std::vector<std::string> left;
    for (const auto& entry : fs::directory_iterator(options_.folder)) {
      left.push_back(entry.path().filename());
    }
    EXPECT_THAT(left, testing::UnorderedElementsAre("lock", "ended"));
    fs::remove_all(folder_);
  }

  void begin() {
    auto runtime = process_runtime(options_, [this] {
      const std::lock_guard lock(mutex_);
      ++changes_;
      changed_.notify_all();
    });
    ASSERT_TRUE(runtime) << runtime.error().message;
    runtime_ = *std::move(runtime);
  }

  // Looks again after each change that we are told of, and now and then.
  template <typename Condition>
  bool eventually(Condition condition) {
    const auto deadline = Steady::now() + 30s;
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto seen = changes_;
      lock.unlock();
      if (condition()) return true;
      if (Steady::now() > deadline) return false;
      lock.lock();
      changed_.wait_for(lock, 20ms, [&] { return changes_ != seen; });
    }
  }

  Instance instance(const std::string& name) const {
    for (const auto& found : runtime_->instances()) {
      if (found.name == name) return found;
    }
    return {};
  }
  bool becomes(const std::string& name, Phase phase) {
    return eventually(
        [&] { return !instance(name).name.empty() && instance(name).phase == phase; });
  }
  // As it was when it first said `words`: what it says changes with all that it does.
  Instance told_by(const std::string& name, const std::string& words) {
    Instance found;
    EXPECT_TRUE(eventually([&] {
      found = instance(name);
      return found.message.find(words) != std::string::npos;
    })) << words
        << "\n"
        << told();
    return found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& found : runtime_->instances()) names.push_back(found.name);
    return names;
  }
  std::string told() const {
    std::string text;
    for (const auto& found : runtime_->instances()) {
      text += found.name + " " + std::string(name_of(found.phase)) + " " + found.message + "\n" +
              read_file(found.log).value_or("") + "\n";
    }
    return text;
  }

  fs::path home(const std::string& name) const { return options_.folder / ("shop." + name); }
  State state(const std::string& name) const {
    const auto text = read_file(home(name) / "status.json");
    return text ? read_state(*text, name).value_or({}) : State{};
  }
  std::string log(const std::string& name) const {
    return read_file(home(name) / "app.log").value_or("");
  }
  // The log of one that has ended.
  std::string last_log(const std::string& name, const std::string& file = "app.log") const {
    std::string last;
    for (const auto& entry : fs::directory_iterator(options_.folder / "ended")) {
      if (entry.path().filename().string().starts_with("shop." + name + "-")) {
        last = read_file(entry.path() / file).value_or("");
      }
    }
    return last;
  }

  // Ids of all processes of instances below our folder.
  std::vector<int> processes() const {
    std::vector<int> found;
    const std::string wanted = std::string(folder_variable) + "=" + options_.folder.string();
    for (const auto& process : fs::directory_iterator("/proc")) {
      const int pid = std::atoi(process.path().filename().c_str());
      if (pid == 0) continue;
      std::ifstream in(process.path() / "environ", std::ios::binary);
      for (std::string variable; std::getline(in, variable, '\0');) {
        if (variable.starts_with(wanted)) found.push_back(pid);
      }
      std::ifstream line(process.path() / "cmdline", std::ios::binary);
      for (std::string word; std::getline(line, word, '\0');) {
        if (word.starts_with(options_.folder.string() + "/")) found.push_back(pid);
      }
    }
    return found;
  }
  static void kill_process(int pid, int number = SIGKILL) {
    ASSERT_GT(pid, 0);  // 0 would be all of us
    ::kill(pid, number);
  }
  static bool lives(int pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat").value_or("gone) Z");
    return stat[stat.rfind(')') + 2] != 'Z';
  }

  Template server() const {
    return {.command = {this_program(), "serve", "$(ADDRESS)", "$(PORT)", ""},
            .ports = {{"http", 8080}},
            .sidecar = false};
  }
  static Template script(const std::string& text) {
    return {.command = {"/bin/sh", "-c", text}, .sidecar = false};
  }
  static Group group(Template pod, int replicas = 1, const std::string& name = "web") {
    return {.namespace_ = "shop", .name = name, .replicas = replicas, .pod = std::move(pod)};
  }
  void apply(std::vector<Group> wanted) {
    const auto applied = runtime_->apply(std::move(wanted));
    ASSERT_TRUE(applied) << applied.error().message;
  }
  int run(const std::vector<std::string>& words) const {
    std::string line = this_program();
    for (const auto& word : words) line += " '" + word + "'";
    const int status = std::system((line + " 2>" + (folder_ / "errors").string()).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Block block_;
  fs::path folder_;
  ProcessOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int changes_ = 0;
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace graymesh::workload

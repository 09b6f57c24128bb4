// main() of this room's tests, and the programs that they run: called with one of these words it is
//
//   instance run --folder F    a keeper
//   sidecar run --address A    a sidecar: ready at once; asked to stop, it says whether the
//                              application still answers, and ends a little later
//   serve ADDRESS PORT FILE    an application: HTTP; 200 while FILE is there, else 503
//   runtime FOLDER             a Runtime that begins, and ends: exit code 0, or the Error's
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>
#include <thread>

#include "base/descriptor.h"
#include "release/workload/workload.h"

namespace graymesh::workload {
namespace {

sockaddr_in address_of(const char* ip, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, ip, &address.sin_addr);
  return address;
}

void say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

// Answers each connection with 200, or 503 if `file` is not there, in a thread of its own.
void serve(const char* ip, int port, const char* file) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = address_of(ip, port);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 64) != 0) {
    say("cannot listen");
    ::_exit(2);
  }
  std::thread([listener, file] {
    for (;;) {
      const Descriptor guest(::accept(listener, nullptr, nullptr));
      char request[4096];
      if (::recv(guest.get(), request, sizeof request, 0) <= 0) continue;
      const std::string_view answer =
          *file == '\0' || ::access(file, F_OK) == 0
              ? "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"
              : "HTTP/1.1 503 No\r\ncontent-length: 9\r\n\r\nnot now\n\n";
      (void)::send(guest.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }).detach();
}

sigset_t block_stop() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
  return stop;
}

int application(char** arguments) {
  const sigset_t stop = block_stop();
  serve(arguments[2], std::atoi(arguments[3]), arguments[4]);
  say("serving");
  int number = 0;
  ::sigwait(&stop, &number);
  say("application asked to stop");
  return 0;
}

int sidecar(int count, char** arguments) {
  const sigset_t stop = block_stop();
  const char* own = "";
  const char* behind = "";
  for (int i = 0; i + 1 < count; ++i) {
    if (std::string_view(arguments[i]) == "--address") own = arguments[i + 1];
    if (std::string_view(arguments[i]) == "--app-address") behind = arguments[i + 1];
    say(arguments[i + 1]);
  }
  serve(own, 15021, "");
  int number = 0;
  ::sigwait(&stop, &number);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const Descriptor question(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = address_of(behind, 8080);
  const bool answers =
      ::connect(question.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  say(answers ? "drained while the application answers" : "drained alone");
  return 0;
}

int runtime(const char* program, const char* folder) {
  const auto made = process_runtime({.folder = folder, .program = program}, [] {});
  return made ? 0 : static_cast<int>(made.error().code);
}

}  // namespace
}  // namespace graymesh::workload

int main(int argc, char** argv) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word == "instance" && argc == 5) return graymesh::workload::keep(argv[4]);
  if (word == "sidecar") return graymesh::workload::sidecar(argc, argv);
  if (word == "serve" && argc == 5) return graymesh::workload::application(argv);
  if (word == "runtime" && argc == 3) return graymesh::workload::runtime(argv[0], argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

#include "cli/up_daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // which glibc 2.36 has forgotten
#include <sys/pidfd.h>
}

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/lock.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr int claim_port = 15999;  // as tools/demo_mesh.py claims a block
constexpr int first_port = 8000;
constexpr auto daemon_starts = 15s;
constexpr auto daemon_stops = 10s;
// Of the record. 1,100 proxies at 5,000 changes a day fill 825 MB in 30 days, at the most
// (docs/performance.md); one machine has some tens of them.
constexpr const char* record_max_mb = "256";

struct Endpoint {
  std::string host;
  int port = 0;
};

std::optional<Endpoint> endpoint_of(const std::string& text) {
  const auto colon = text.rfind(':');
  Endpoint out;
  out.host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string port = text.substr(colon == std::string::npos ? 0 : colon + 1);
  const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  in_addr address{};
  if (fault != std::errc{} || end != port.data() + port.size() || out.port < 1 ||
      out.port > 65535 || ::inet_pton(AF_INET, out.host.c_str(), &address) != 1)
    return std::nullopt;
  return out;
}

// A socket bound there; none if somebody has it. `shared`: as a server binds, whose predecessor's
// last connections may linger.
Descriptor bind_at(const Endpoint& at, bool shared) {
  // Not closed on exec(): a claim is inherited.
  Descriptor bound(::socket(AF_INET, SOCK_STREAM, 0));
  const int on = 1;
  if (shared) ::setsockopt(bound.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(at.port));
  ::inet_pton(AF_INET, at.host.c_str(), &address.sin_addr);
  const int done = ::bind(bound.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return done == 0 ? std::move(bound) : Descriptor();
}

// Binding proves nothing where the other side shares its port, as Envoy does among its workers; so
// the kernel is asked who listens.
struct Listening {
  std::set<int> blocks;                           // N of 127.N.y.z
  std::set<std::pair<std::uint32_t, int>> ports;  // address, network byte order; 0: any
};

Listening listening() {
  Listening out;
  std::ifstream in("/proc/net/tcp");
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    unsigned slot = 0, address = 0, port = 0, peer = 0, peer_port = 0, state = 0;
    if (std::sscanf(line.c_str(), " %u: %x:%x %x:%x %x", &slot, &address, &port, &peer, &peer_port,
                    &state) != 6 ||
        state != 10)
      continue;
    out.ports.emplace(address, static_cast<int>(port));
    // The kernel prints the four bytes as one number of this machine.
    if ((address & 0xff) == 127) out.blocks.insert(static_cast<int>(address >> 8 & 0xff));
  }
  return out;
}

bool is_free(const Listening& taken, const Endpoint& at) {
  in_addr address{};
  ::inet_pton(AF_INET, at.host.c_str(), &address);
  return !taken.ports.contains({address.s_addr, at.port}) && !taken.ports.contains({0, at.port}) &&
         bool(bind_at(at, true));
}

Result<std::string> program() {
  std::error_code error;
  const auto file = fs::read_symlink("/proc/self/exe", error).parent_path() / "graymeshd";
  if (::access(file.c_str(), X_OK) != 0)
    return Error{Code::not_found,
                 fmt::format("{} is not there: it belongs beside graymesh", file.string())};
  return file.string();
}

// In the child: what comes back here is a fault, which the parent finds in the log.
[[noreturn]] void become(const UpFolder& folder, const std::vector<std::string>& command) {
  ::setsid();
  const int input = ::open("/dev/null", O_RDONLY);
  const int output =
      ::open(folder.at("graymeshd.json").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int log = ::open(folder.at("graymeshd.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  auto held = hold(folder.at("graymeshd.lock"));
  if (!held) {
    fmt::print(stderr, "graymesh up: {}\n", held.error().message);
    ::_exit(1);
  }
  ::fcntl(held->get(), F_SETFD, 0);  // as long as it lives
  std::vector<const char*> words;
  words.reserve(command.size() + 1);
  for (const auto& word : command) words.push_back(word.c_str());
  words.push_back(nullptr);
  ::execv(words[0], const_cast<char* const*>(words.data()));
  fmt::print(stderr, "graymesh up: cannot run {}: {}\n", command[0], std::strerror(errno));
  ::_exit(1);
}

// Until it has told its addresses, or has ended: then `ended` is true.
Result<Daemon> await(const UpFolder& folder, pid_t pid, bool& ended) {
  const auto deadline = Steady::now() + daemon_starts;
  for (;;) {
    if (const auto daemon = folder.daemon(); daemon && daemon->pid == pid) return *daemon;
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      ended = true;
      return Error{Code::unavailable, fmt::format("graymeshd did not start; the end of {}:\n{}",
                                                  folder.at("graymeshd.log").string(),
                                                  tail_of(folder.at("graymeshd.log")))};
    }
    if (Steady::now() >= deadline) {
      return Error{
          Code::unavailable,
          fmt::format("graymeshd (process {}) has not told its addresses within {} s; the "
                      "end of {}:\n{}",
                      pid, std::chrono::seconds(daemon_starts).count(),
                      folder.at("graymeshd.log").string(), tail_of(folder.at("graymeshd.log")))};
    }
    std::this_thread::sleep_for(5ms);
  }
}

// Of last time first: sidecars look for their control plane there.
Addresses ports_of(const UpFolder& folder) {
  const Listening taken = listening();
  const auto usable = [&](const std::string& text) {
    const auto at = endpoint_of(text);
    return at && is_free(taken, *at);
  };
  Addresses out{"127.0.0.1:15010", "127.0.0.1:15014"};
  if (const auto text = read_file(folder.at("graymeshd.json"))) {
    if (auto last = read_addresses(*text)) out = *std::move(last);
  }
  if (!usable(out.xds)) out.xds = "127.0.0.1:0";
  if (!usable(out.api)) out.api = "127.0.0.1:0";
  return out;
}

}  // namespace

std::string tail_of(const fs::path& file, std::size_t lines) {
  std::ifstream in(file);
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back("    " + line.substr(0, 400) + "\n");
    if (last.size() > lines) last.pop_front();
  }
  std::string out;
  for (const auto& line : last) out += line;
  return out;
}

Result<Block> claim_block(int wanted, bool ours) {
  const Listening taken = listening();
  std::vector<int> order;
  if (wanted != 0) order.push_back(wanted);
  for (int number = 1; number <= blocks; ++number) order.push_back(number);
  for (const int number : order) {
    if (!(ours && number == wanted) &&
        (taken.blocks.contains(number) || taken.blocks.contains(number + 64)))
      continue;
    // A graymeshd of ours that was just killed holds its claim until the kernel is done with it.
    for (int tries = ours && number == wanted ? 40 : 1; tries > 0; --tries) {
      Descriptor claim = bind_at({fmt::format("127.{}.255.254", number), claim_port}, false);
      if (claim) return Block{number, std::move(claim)};
      if (tries > 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  return Error{Code::resource_exhausted,
               "no block of loopback addresses is free, 127.1.0.0/16 to 127.63.0.0/16: too many "
               "meshes run on this machine"};
}

Result<std::string> choose_listen(const std::string& asked, int block) {
  const Listening taken = listening();
  if (!asked.empty()) {
    const auto at = endpoint_of(asked);
    if (!at)
      return Error{Code::invalid_argument,
                   fmt::format("--listen {}, must be PORT or IP:PORT", asked)};
    if (!is_free(taken, *at))
      return Error{Code::failed_precondition,
                   fmt::format("--listen {}: {}:{} is in use", asked, at->host, at->port)};
    return fmt::format("{}:{}", at->host, at->port);
  }
  for (int port = first_port + block - 1; port < first_port + 10 * blocks; port += blocks) {
    if (is_free(taken, {"127.0.0.1", port})) return fmt::format("127.0.0.1:{}", port);
  }
  return Error{Code::resource_exhausted, "no port for the gateway is free: name one by --listen"};
}

std::string free_address(int port) {
  const Listening taken = listening();
  while (port < 65535 && !is_free(taken, {"127.0.0.1", port})) ++port;
  return fmt::format("127.0.0.1:{}", port);
}

Result<Daemon> start_daemon(const UpFolder& folder, const Block& block) {
  const std::string file = TRY(program());
  Addresses ports = ports_of(folder);
  for (const bool again : {false, true}) {
    const std::vector<std::string> command = {file,
                                              "--config",
                                              folder.at("config").string(),
                                              "--mesh-config",
                                              folder.at("mesh-config.yaml").string(),
                                              "--store",
                                              folder.at("graymesh.db").string(),
                                              "--instances",
                                              folder.at("instances").string(),
                                              "--record",
                                              folder.at("record").string(),
                                              "--record-max",
                                              record_max_mb,
                                              "--block",
                                              std::to_string(block.number),
                                              "--xds",
                                              ports.xds,
                                              "--api",
                                              ports.api,
                                              "--print-addresses"};
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid < 0)
      return Error{Code::resource_exhausted, fmt::format("cannot fork: {}", std::strerror(errno))};
    if (pid == 0) become(folder, command);
    bool ended = false;
    auto daemon = await(folder, pid, ended);
    // Somebody may have taken a port since we looked.
    const Addresses any{"127.0.0.1:0", "127.0.0.1:0"};
    if (daemon || !ended || again || ports == any) return daemon;
    ports = any;
  }
  return Error{Code::internal, "unreachable"};
}

Status stop_daemon(const UpFolder& folder) {
  const auto lock = folder.at("graymeshd.lock");
  const pid_t pid = holder(lock);
  if (pid <= 0) return {};
  const Descriptor handle(::pidfd_open(pid, 0));
  if (!handle || holder(lock) != pid) return {};  // has just ended
  const auto ends_within = [&](int number, std::chrono::milliseconds limit) {
    ::pidfd_send_signal(handle.get(), number, nullptr, 0);
    pollfd polled{handle.get(), POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(limit.count())) > 0;
  };
  if (ends_within(SIGTERM, daemon_stops) || ends_within(SIGKILL, daemon_stops)) return {};
  return Error{Code::internal, fmt::format("graymeshd (process {}) does not end", pid)};
}

}  // namespace graymesh::cli

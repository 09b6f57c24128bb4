#include <fmt/core.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "cli/cli.h"
#include "cli/live.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

termios before;  // of the terminal, for a signal

void put_back() {
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
  constexpr char text[] = "\x1b[?25h\n";
  (void)!::write(STDOUT_FILENO, text, sizeof text - 1);
}

void interrupted(int /*signal*/) {
  put_back();
  ::_exit(130);
}

// Keys come one by one, unseen; none if standard input is no terminal.
class Keys {
 public:
  Keys() : there_(::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before) == 0) {
    if (!there_) return;
    termios raw = before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    std::signal(SIGINT, interrupted);
    std::signal(SIGTERM, interrupted);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  ~Keys() {
    if (there_) put_back();
  }

  std::optional<char> next(int patience_ms) const {
    pollfd input{.fd = there_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    char key = 0;
    if (::poll(&input, 1, patience_ms) <= 0 || ::read(STDIN_FILENO, &key, 1) != 1)
      return std::nullopt;
    return key;
  }

 private:
  const bool there_;
};

void draw(json& page, LiveSort by) {
  sort_edges(page["items"], by);
  std::string out = "\x1b[H";
  for (const char c : top_screen(page, by, style_of(STDOUT_FILENO)))
    out += c == '\n' ? "\x1b[K\n" : std::string(1, c);
  fmt::print("{}\x1b[J", out);
  std::fflush(stdout);
}

}  // namespace

int watch_top(const Common& common, const LiveAsk& ask, LiveSort by, unsigned every) {
  const Keys keys;
  fmt::print("\x1b[?25l\x1b[2J");
  for (;;) {
    auto page = live_page(common, ask, LivePage::edges);
    if (!page) {
      fmt::print("\x1b[?25h");
      return fail(page.error());
    }
    for (bool waits = true; waits;) {
      draw(*page, by);
      const auto key = keys.next(static_cast<int>(every) * 1000);
      waits = key.has_value();
      if (key == 'q') return exit_ok;
      if (key == 'r') by = LiveSort::rate;
      if (key == 'e') by = LiveSort::errors;
      if (key == 'l') by = LiveSort::latency;
    }
  }
}

}  // namespace graymesh::cli

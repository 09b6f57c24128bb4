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

bool keyed = false;  // standard input is a terminal
termios before;      // and was so, for a signal

void put_back() {
  if (keyed) ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
  constexpr char text[] = "\x1b[?25h\n";
  (void)!::write(STDOUT_FILENO, text, sizeof text - 1);
}

void interrupted(int /*signal*/) {
  put_back();
  ::_exit(130);
}

// Ends the wait for a key: the window has another size.
void resized(int /*signal*/) {}

// The terminal while it is ours: no cursor, and keys come one by one, unseen; none if standard
// input is no terminal.
class Terminal {
 public:
  Terminal() {
    keyed = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before) == 0;
    std::signal(SIGINT, interrupted);
    std::signal(SIGTERM, interrupted);
    struct sigaction action {};
    action.sa_handler = resized;
    ::sigaction(SIGWINCH, &action, nullptr);
    if (keyed) {
      termios raw = before;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fmt::print("\x1b[?25l");
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    std::fflush(stdout);
    put_back();
  }

  std::optional<char> next(int patience_ms) const {
    pollfd input{.fd = keyed ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    char key = 0;
    if (::poll(&input, 1, patience_ms) <= 0 || ::read(STDIN_FILENO, &key, 1) != 1)
      return std::nullopt;
    return key;
  }

  // Lines are written over, not cleared first: nothing flickers. A window of another size has moved
  // those that stand.
  void draw(const std::string& text, const Style& style) {
    const bool same = style.width == width_ && style.height == height_;
    std::string out = same ? "\x1b[H" : "\x1b[2J\x1b[H";
    for (const char c : text) out += c == '\n' ? "\x1b[K\n" : std::string(1, c);
    fmt::print("{}\x1b[J", out);
    std::fflush(stdout);
    width_ = style.width;
    height_ = style.height;
  }

 private:
  std::size_t width_ = 0, height_ = 0;
};

}  // namespace

int watch_top(const Common& common, const LiveAsk& ask, LiveSort by, unsigned every) {
  auto page = live_page(common, ask, LivePage::edges);
  if (!page) return fail(page.error());
  json shown = *page;
  Terminal terminal;
  for (;;) {
    // A graymeshd that restarts comes back; what was seen last stays until then.
    if (page) shown = *page;
    for (bool waits = true; waits;) {
      const Style style = style_of(STDOUT_FILENO);
      sort_edges(shown["items"], by);
      terminal.draw(top_screen(shown, by, style, page ? "" : page.error().message), style);
      const auto key = terminal.next(static_cast<int>(every) * 1000);
      waits = key.has_value();
      if (key == 'q') return exit_ok;
      if (key == 'r') by = LiveSort::rate;
      if (key == 'e') by = LiveSort::errors;
      if (key == 'l') by = LiveSort::latency;
    }
    page = live_page(common, ask, LivePage::edges);
  }
}

}  // namespace graymesh::cli

#include "cli/release_screen.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "cli/platform.h"
#include "cli/release_line.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

// "web-1.fe-pre" of "sidecar~127.1.1.1~web-1.fe-pre~fe-pre.svc.cluster.local".
std::string proxy_name(const std::string& node_id) {
  const auto second = node_id.find('~', node_id.find('~') + 1);
  if (second == std::string::npos) return node_id;
  return node_id.substr(second + 1, node_id.find('~', second + 1) - second - 1);
}

std::string names_of(const json& nodes, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < nodes.size() && i < most; ++i)
    out += (i == 0 ? "" : ", ") + proxy_name(nodes[i].get<std::string>());
  return nodes.size() > most ? fmt::format("{} and {} more", out, nodes.size() - most) : out;
}

class Screen {
 public:
  Screen(const json& release, const json& instances, const Style& style, std::int64_t now)
      : release_(release),
        instances_(instances),
        style_(style),
        now_(now),
        phase_(phase_of(release)),
        wide_(style.width == 0 || style.width >= 100) {}

  std::string shown() {
    head();
    phases();
    applications();
    return fitted(style_, out_);
  }

 private:
  void line(const std::string& text) { out_ += text + "\n"; }
  void field(const char* name, const std::string& value) {
    if (!value.empty()) line(painted(style_, Paint::faint, cell(style_, name, 10)) + value);
  }
  const char* icon(const char* unicode, const char* plain) const {
    return style_.unicode ? unicode : plain;
  }

  // ---- what it is and how it stands

  void head() {
    field("Release", painted(style_, Paint::bold, name_of_release(release_)) +
                         fmt::format("  number {} in {}", number_at(release_, "id"),
                                     text_at(release_, "/namespace")));
    field("Status", status());
    const std::string reason = text_at(release_, "/reason");
    field("Reason", reason);
    const std::int64_t started = seconds_since_1970(text_at(release_, "/started"));
    std::string when =
        fmt::format("by {}, {} ago", text_at(release_, "/startedBy"), span_text(now_ - started));
    const std::int64_t over = seconds_since_1970(text_at(release_, "/over"));
    if (over != 0) {
      when += fmt::format("; took {}", span_text(over - started));
    } else {
      when += fmt::format("; in this phase for {}",
                          span_text(now_ - seconds_since_1970(text_at(release_, "/since"))));
    }
    field("Started", when);
    traffic();
    verdict();
    onward();
  }

  std::string status() const {
    const std::string phase = text_at(release_, "/phase");
    const std::string waits = text_at(release_, "/progress/waitsFor");
    if (phase == "promoted")
      return painted(style_, Paint::green, fmt::format("{} promoted", icon("✔", "+")));
    if (phase == "rolled-back")
      return painted(style_, Paint::yellow, fmt::format("{} rolled back", icon("↩", "<")));
    if (is_over(release_)) return fmt::format("{} {}", icon("■", "-"), phase);
    const std::string for_what = waits.empty() ? "" : " " + waits;
    if (phase.starts_with("back-"))
      return painted(style_, Paint::yellow, fmt::format("{} rolling back:", icon("↩", "<"))) +
             for_what;
    if (release_.value("held", false))
      return painted(style_, Paint::yellow, fmt::format("{} paused at {}", icon("‖", "="), phase_));
    if (waits.empty())
      return painted(style_, Paint::cyan, fmt::format("{} {}", icon("◌", "*"), phase_));
    return painted(style_, Paint::cyan, fmt::format("{} {}:", icon("◷", "*"), phase_)) +
           " waits for " + waits;
  }

  void traffic() {
    const std::uint64_t weight = number_at(release_, "weight");
    const std::string tag = text_at(release_, "/tag");
    const bool lane = release_.value("match", json::array()).empty();
    const bool none = is_over(release_);
    std::string out =
        painted(style_, Paint::cyan, bar(style_, none ? 0 : weight, 100, bar_cells()));
    if (none) {
      out += fmt::format(
          "  {}", text_at(release_, "/phase") == "promoted" ? "it is the baseline" : "none to it");
    } else {
      out += fmt::format("  {}% to {}, {}% to others", weight, tag,
                         100 - std::min<std::uint64_t>(weight, 100));
      out += lane ? fmt::format("; and the lane {}", tag) : "; and what it matches";
    }
    field("Traffic", out);
  }

  // What the hook of this step, or its analysis, says.
  void verdict() {
    const json steps = release_.value("steps", json::array());
    const std::size_t step = number_at(release_, "step");
    if (phase_.rfind("step-", 0) != 0 || step >= steps.size()) return;
    std::string whose = text_at(steps[step], "/pause/verdict");
    if (whose.empty() && steps[step].contains("analysis"))
      whose = fmt::format("step {} (weight {})", step + 1, number_at(steps[step], "weight"));
    if (whose.empty()) return;
    const std::string waits = text_at(release_, "/progress/waitsFor");
    const std::string lead = fmt::format("the verdict of {}", whose);
    if (!waits.starts_with(lead)) return field("Verdict", fmt::format("not asked yet ({})", whose));
    const std::string why = waits.substr(std::min(waits.size(), lead.size() + 2));
    field("Verdict", painted(style_, Paint::yellow, "not yet") + (why.empty() ? "" : ": " + why));
  }

  // The environments that it went on to, or waits for.
  void onward() {
    std::string out;
    for (const json& passage : release_.value("promotedTo", json::array()))
      out += fmt::format("{}release {} in {}", out.empty() ? "" : ", ",
                         number_at(passage, "release"), text_at(passage, "/namespace"));
    const std::string to = text_at(release_, "/promoteTo");
    const std::string waits = text_at(release_, "/progress/waitsFor");
    if (out.empty() && !to.empty())
      out = is_over(release_) && !waits.empty() ? "waits for " + waits
            : is_over(release_)                 ? ""
                                                : to + ", when it is promoted";
    field("Onward", out);
  }

  // ---- the phases

  std::size_t bar_cells() const {
    return style_.width == 0 ? 20 : std::clamp<std::size_t>(style_.width / 5, 8, 30);
  }

  // The names that receipts have, in the order of its life, as far as it is known already.
  std::vector<std::string> order() const {
    const json receipts = release_.value("receipts", json::object());
    const std::string phase = text_at(release_, "/phase");
    std::vector<std::string> out = {"subset", "routes"};
    for (std::size_t step = 1; step <= release_.value("steps", json::array()).size(); ++step)
      out.push_back(fmt::format("step-{}", step));
    const bool back = phase.starts_with("back-") || phase == "rolled-back";
    const bool promotes = release_.value("promote", false) || receipts.contains("switching") ||
                          receipts.contains("promote");
    if (promotes && !back) {
      for (const char* name : {"switching", "promote", "unsubsetting"}) out.emplace_back(name);
    }
    if (back) {
      for (const char* name : {"rollback", "back-subset"}) out.emplace_back(name);
    }
    // Nothing is to come any more.
    if (back || is_over(release_)) {
      std::erase_if(
          out, [&](const std::string& name) { return !receipts.contains(name) && name != phase_; });
    }
    return out;
  }

  void phases() {
    const std::vector<std::string> names = order();
    if (names.empty()) return;
    out_ += "\n";
    std::string head =
        cell(style_, "PHASE", phase_cells) + cell(style_, "PROXIES THAT ACKED", bar_cells() + 10);
    if (wide_) head += cell(style_, "P50", 9);
    line(painted(style_, Paint::faint, head + cell(style_, "P99", 9) + "LAST"));
    for (const std::string& name : names) phase(name);
  }

  std::string label(const std::string& name) const {
    if (name.rfind("step-", 0) != 0) return name;
    const json steps = release_.value("steps", json::array());
    const auto step = static_cast<std::size_t>(std::stoul(name.substr(5)));
    return fmt::format("{} {}%", name, number_at(steps[step - 1], "weight"));
  }

  void phase(const std::string& name) {
    const json progress = release_.value("progress", json());
    const json receipts = release_.value("receipts", json::object());
    const bool now = name == phase_ && !is_over(release_);
    const bool waiting = now && progress.is_object() && progress.value("waiting", false);
    if (waiting) {
      const json missing = progress.value("missing", json::array());
      row(icon("●", "*"), Paint::cyan, label(name), number_at(progress, "acked"),
          number_at(progress, "proxies"),
          missing.empty() ? "" : "missing: " + names_of(missing, wide_ ? 4 : 2));
    } else if (receipts.contains(name)) {
      const json& receipt = receipts[name];
      const json missing = receipt.value("missing", json::array());
      std::string figures;
      if (wide_) figures += cell(style_, fmt::format("{:.1f} ms", receipt.value("p50_ms", 0.0)), 9);
      figures += cell(style_, fmt::format("{:.1f} ms", receipt.value("p99_ms", 0.0)), 9);
      figures += missing.empty() ? proxy_name(receipt.value("last", ""))
                                 : "missing: " + names_of(missing, 2);
      row(missing.empty() ? icon("✔", "+") : icon("✖", "!"),
          missing.empty() ? Paint::green : Paint::red, label(name), number_at(receipt, "acked"),
          number_at(receipt, "proxies"), figures);
    } else {
      line(painted(style_, Paint::faint, fmt::format("{} {}", icon("○", "."), label(name))));
    }
  }

  void row(const char* mark, Paint paint, const std::string& name, std::uint64_t acked,
           std::uint64_t proxies, const std::string& rest) {
    line(painted(style_, paint, mark) + " " + cell(style_, name, phase_cells - 2) +
         painted(style_, paint, bar(style_, acked, proxies, bar_cells())) + " " +
         cell(style_, fmt::format("{}/{}", acked, proxies), 9) + rest);
  }

  // ---- what runs

  void applications() {
    out_ += "\n";
    std::string head = cell(style_, "APPLICATION", tree_cells()) + cell(style_, "STATUS", 12) +
                       cell(style_, "AGE", 8) + cell(style_, "RESTARTS", 10);
    if (wide_) head += cell(style_, "ADDRESS", 16);
    line(painted(style_, Paint::faint, head));
    for (const json& app : release_.value("applications", json::array())) {
      const std::string name = text_at(app, "/name");
      line(painted(style_, Paint::bold, name));
      version(name, text_at(release_, "/tag"), text_at(app, "/version"), false);
      version(name, "", "", true);
    }
  }

  std::size_t tree_cells() const { return wide_ ? 48 : 40; }

  void version(const std::string& app, const std::string& tag, const std::string& version,
               bool last) {
    std::vector<const json*> found;
    std::size_t ready = 0;
    for (const json& instance : instances_) {
      if (text_at(instance, "/application") != app || text_at(instance, "/tag") != tag ||
          text_at(instance, "/namespace") != text_at(release_, "/namespace"))
        continue;
      found.push_back(&instance);
      ready += instance.value("ready", false) ? 1 : 0;
    }
    std::string name = tag.empty() ? "baseline" : tag;
    std::string told = version;
    if (told.empty() && !found.empty()) told = text_at(*found.front(), "/version");
    if (!told.empty() && told != name) name += " (" + told + ")";
    const char* branch = last ? icon("└── ", "`-- ") : icon("├── ", "|-- ");
    const std::string counted =
        found.empty() ? "none" : fmt::format("{}/{} ready", ready, found.size());
    const Paint paint = found.empty()           ? Paint::faint
                        : ready == found.size() ? Paint::green
                                                : Paint::yellow;
    line(cell(style_, branch + name, tree_cells()) + painted(style_, paint, counted));
    for (std::size_t i = 0; i < found.size(); ++i)
      instance(*found[i],
               std::string(last ? "    " : icon("│   ", "|   ")) +
                   (i + 1 == found.size() ? icon("└── ", "`-- ") : icon("├── ", "|-- ")));
  }

  void instance(const json& one, const std::string& lead) {
    const std::string phase = text_at(one, "/phase");
    const Paint paint = phase == "ready"      ? Paint::green
                        : phase == "crashing" ? Paint::red
                                              : Paint::yellow;
    const char* mark = phase == "ready"      ? icon("✔", "+")
                       : phase == "crashing" ? icon("✖", "!")
                                             : icon("◌", "~");
    std::string text =
        cell(style_, lead + painted(style_, paint, mark) + " " + text_at(one, "/name"),
             tree_cells()) +
        painted(style_, paint, cell(style_, phase, 12)) +
        cell(style_, span_text(now_ - seconds_since_1970(text_at(one, "/since"))), 8) +
        cell(style_, text_at(one, "/restarts"), 10);
    if (wide_) text += cell(style_, text_at(one, "/address"), 16);
    if (phase != "ready") text += text_at(one, "/message");
    line(text);
  }

  static constexpr std::size_t phase_cells = 17;

  const json& release_;
  const json& instances_;
  const Style& style_;
  const std::int64_t now_;
  const std::string phase_;
  const bool wide_;
  std::string out_;
};

}  // namespace

std::string screen_of(const json& release, const json& instances, const Style& style,
                      std::int64_t now) {
  return Screen(release, instances, style, now).shown();
}

std::int64_t seconds_since_1970(const std::string& text) {
  std::tm utc{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  return end == nullptr ? 0 : static_cast<std::int64_t>(::timegm(&utc));
}

}  // namespace graymesh::cli

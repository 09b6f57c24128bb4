#include <fmt/core.h>

#include <algorithm>

#include "control/gather/gather.h"

namespace graymesh::gather {
namespace {

constexpr std::string_view outbound = "outbound|";

}  // namespace

live::Versions versions_of(const std::vector<Proxy>& proxies) {
  std::map<live::Versions::key_type, std::set<std::string>> all;
  for (const Proxy& proxy : proxies) {
    const live::Party& who = proxy.who;
    if (!who.version.empty()) all[{who.namespace_, who.workload, who.tag}].insert(who.version);
  }
  live::Versions out;
  for (const auto& [key, versions] : all) {
    std::string& text = out[key];
    for (const auto& version : versions) text += (text.empty() ? "" : ", ") + version;
  }
  return out;
}

Gatherer::Gatherer(Parts parts)
    : parts_(std::move(parts)),
      asked_(parts_.metrics.counter("graymesh_live_reads_total",
                                    "times that a sidecar was asked for its statistics")),
      failed_(parts_.metrics.counter("graymesh_live_read_failures_total",
                                     "times that it gave no answer that can be read")),
      took_(parts_.metrics.histogram("graymesh_live_round_seconds",
                                     "how long it took to ask every sidecar",
                                     metrics::duration_bounds())) {}

void Gatherer::start() {
  thread_ = std::thread([this] { work(); });
}

void Gatherer::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  done_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Gatherer::work() {
  std::unique_lock lock(mutex_);
  std::chrono::nanoseconds rest{};
  while (!stop_) {
    wake_.wait_for(lock, rest, [this] { return stop_; });
    const auto due = std::chrono::steady_clock::now() + idle;
    if (rest.count() > 0) wake_.wait_until(lock, due, [this] { return stop_ || wanted_; });
    if (stop_) return;
    wanted_ = false;
    lock.unlock();
    const auto began = std::chrono::steady_clock::now();
    round();
    const auto took = std::chrono::steady_clock::now() - began;
    took_.observe(std::chrono::duration<double>(took).count());
    rest = std::max<std::chrono::nanoseconds>(rest_min, 9 * (took - waited_));
    lock.lock();
  }
}

void Gatherer::round() {
  Sum sum;
  {
    std::lock_guard lock(mutex_);
    sum.round = ++begun_;
  }
  sum.followed = followed_.begin();
  const auto proxies = parts_.proxies();
  const auto began = parts_.clock.wall();
  std::set<std::string> there;
  for (const Proxy& proxy : proxies) there.insert(proxy.id);
  std::erase_if(readings_, [&](const auto& entry) { return !there.contains(entry.first); });
  for (const Proxy& proxy : proxies) {
    {
      std::lock_guard lock(mutex_);
      if (stop_) return;
    }
    ask(proxy, sum);
  }
  end(std::move(sum), began);
}

void Gatherer::end(Sum sum, Clock::Wall began) {
  // Before the first round it is not known when what they have counted came.
  const auto now = parts_.clock.wall();
  if (from_ != Clock::Wall()) rounds_.add(from_, now, std::move(sum.sums), std::move(sum.others));
  from_ = began;
  waited_ = sum.waited;
  std::lock_guard lock(mutex_);
  followed_.add(sum.followed);
  ended_ = sum.round;
  read_ = sum.read;
  silent_ = sum.silent;
  left_out_ = sum.left_out;
  fault_ = std::move(sum.fault);
  done_.notify_all();
}

Result<Page> Gatherer::page_of(const Proxy& proxy, Sum& sum) const {
  const auto began = parts_.clock.now();
  auto text = parts_.fetch(fmt::format("http://{}{}", proxy.stats, page_path));
  if (!text) {
    sum.waited += parts_.clock.now() - began;
    return text.error();
  }
  auto page = read_page(*text);
  if (!page) return Error{page.error().code, proxy.stats + ": " + page.error().message};
  std::erase_if(page->clusters,
                [](const auto& entry) { return !entry.first.starts_with(outbound); });
  return page;
}

void Gatherer::ask(const Proxy& proxy, Sum& sum) {
  const auto [known, is_new] = readings_.try_emplace(proxy.id);
  Reading& reading = known->second;
  if (is_new) parts_.met(proxy);
  const auto now = parts_.clock.now();
  const bool was_silent = reading.silent_until != Clock::Steady();
  if (now < reading.silent_until || (was_silent && sum.waited >= waiting_max)) {
    ++sum.silent;
    return;
  }
  asked_.add();
  auto page = page_of(proxy, sum);
  if (!page) {
    failed_.add();
    ++sum.silent;
    sum.fault = page.error().message;
    reading.silent_until = parts_.clock.now() + leave_alone;
    return;
  }
  reading.silent_until = {};
  ++sum.read;
  sum.readings += page->clusters.size();
  if (sum.readings > readings_max) {
    ++sum.left_out;
    reading.page.reset();
    return;
  }
  // What a proxy had counted before it was first seen came at a time that nobody knows, unless it
  // has just started.
  const bool young = page->uptime <= (parts_.clock.wall() - from_) + flush;
  if (reading.page || young) count(proxy, reading.page.value_or(Page()), *page, sum);
  if (reading.page && reading.round + 1 == sum.round)
    add_steady(*reading.page, *page, now - reading.at, sum.followed);
  reading.page = std::move(*page);
  reading.round = sum.round;
  reading.at = now;
}

void Gatherer::count(const Proxy& proxy, const Page& before, const Page& now, Sum& sum) const {
  static const live::Counts none;
  const bool anew = now.uptime < before.uptime;
  for (const auto& [name, counts] : now.clusters) {
    const auto target = live::target_of(name);
    if (!target) continue;
    const auto old = before.clusters.find(name);
    const auto more =
        live::since(anew || old == before.clusters.end() ? none : old->second, counts);
    if (more != none) add_bounded({.from = proxy.who, .to = *target}, more, sum.sums, sum.others);
  }
  const auto received = live::since(anew ? none : before.received, now.received);
  if (received != none) add_bounded({.from = proxy.who}, received, sum.sums, sum.others);
}

live::Tally Gatherer::follow(const live::Service& service) {
  std::lock_guard lock(mutex_);
  wanted_ = true;
  wake_.notify_all();
  return {.begun = begun_,
          .ended = ended_,
          .read = read_,
          .silent = silent_,
          .fault = fault_,
          .subsets = followed_.of(service)};
}

live::Window Gatherer::window(std::chrono::seconds last, std::chrono::milliseconds patience) {
  live::Window out;
  {
    std::unique_lock lock(mutex_);
    const auto mine = begun_ + 1;
    wanted_ = true;
    wake_.notify_all();
    done_.wait_for(lock, patience, [&] { return stop_ || ended_ >= mine; });
    out.proxies = read_;
    out.silent = silent_;
    out.left_out = left_out_;
  }
  auto rows = rounds_.window(last, parts_.clock.wall());
  rows.proxies = out.proxies;
  rows.silent = out.silent;
  rows.left_out = out.left_out;
  rows.versions = versions_of(parts_.proxies());
  return rows;
}

}  // namespace graymesh::gather

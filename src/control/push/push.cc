#include "control/push/push.h"

#include <algorithm>
#include <map>
#include <utility>

namespace graymesh::push {
namespace {

using model::Kind;
using model::Problem;

// All kinds, so that a kind whose last object went away is counted as 0 and not left at its last
// value.
constexpr Kind kinds[] = {Kind::namespace_,       Kind::node,           Kind::pod,
                          Kind::service,          Kind::endpoint_slice, Kind::virtual_service,
                          Kind::destination_rule, Kind::service_entry,  Kind::workload_entry,
                          Kind::gateway,          Kind::sidecar,        Kind::application,
                          Kind::gray_release,     Kind::lane,           Kind::environment};

double seconds(Clock::Steady::duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

Loop::Loop(std::shared_ptr<const model::MeshConfig> mesh, metrics::Registry& metrics,
           const Clock& clock)
    : mesh_(std::move(mesh)), metrics_(metrics), clock_(clock), thread_([this] { run(); }) {}

Loop::~Loop() { stop(); }

void Loop::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Loop::changed(source::ObjectsPtr objects) {
  {
    std::lock_guard lock(mutex_);
    if (objects->number < newest_) return;
    newest_ = objects->number;
    const auto since = objects->since.value_or(clock_.now());
    since_ = waiting_ ? std::min(since_, since) : since;
    waiting_ = std::move(objects);
  }
  wake_.notify_all();
}

resource::ConfigPtr Loop::config_for(const resource::Node& node) {
  std::shared_ptr<void> kept;
  return config_for(node, kept);
}

resource::ConfigPtr Loop::config_for(const resource::Node& node, std::shared_ptr<void>& kept) {
  const StatePtr state = state_.get();
  return state ? state->generation->config_for(node, kept) : nullptr;
}

void Loop::run() {
  for (;;) {
    source::ObjectsPtr objects;
    Clock::Steady since{};
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || waiting_; });
      if (stop_) return;
      objects = std::exchange(waiting_, nullptr);
      since = since_;
    }
    // Those who are told wait for nothing that can be done behind their backs: the State before is
    // let go, and what there is counted, when all know of the news.
    const StatePtr before = state_.get();
    build(std::move(objects), since, before.get());
    if (tell_) tell_();
    count(*state_.get());
  }
}

void Loop::build(source::ObjectsPtr objects, Clock::Steady since, const State* before) {
  const auto begin = clock_.now();
  std::vector<model::ObjectPtr> serving;
  serving.reserve(objects->entries.size());
  for (const auto& [key, entry] : objects->entries) {
    if (entry.serving) serving.push_back(entry.serving);
  }
  const std::uint64_t number = objects->number;
  snapshot::Built built =
      snapshot::build(serving, mesh_, before ? before->snapshot.get() : nullptr, number);
  auto next = std::make_shared<State>();
  next->objects = std::move(objects);
  next->snapshot = std::move(built.snapshot);
  next->problems = std::move(built.problems);
  next->generation = std::make_shared<const translate::Generation>(
      next->snapshot, before ? before->generation : nullptr);
  next->built = clock_.wall();
  next->since = since;
  metrics_
      .histogram("graymesh_snapshot_build_seconds", "Time to build one Snapshot.",
                 metrics::duration_bounds())
      .observe(seconds(clock_.now() - begin));
  state_.publish(std::move(next));
}

void Loop::count(const State& state) {
  struct Count {
    double serving = 0, refused = 0;
  };
  std::map<Kind, Count> counts;
  for (const Kind kind : kinds) counts[kind] = {};
  for (const auto& [key, entry] : state.objects->entries) {
    if (entry.serving) ++counts[key.kind].serving;
    if (!entry.errors.empty()) ++counts[key.kind].refused;
  }
  for (const auto& [kind, count] : counts) {
    const std::string name(name_of(kind));
    metrics_.gauge("graymesh_objects", "Objects that serve.", {{"kind", name}}).set(count.serving);
    metrics_
        .gauge(
            "graymesh_objects_refused",
            "Objects whose newest text is refused; their last good state serves, if there was one.",
            {{"kind", name}})
        .set(count.refused);
  }
  metrics_
      .gauge("graymesh_documents_refused_nameless", "Refused documents whose name cannot be read.")
      .set(static_cast<double>(state.objects->nameless.size()));
  double passed_over = 0;
  for (const auto& [kind, number] : state.objects->passed_over)
    passed_over += static_cast<double>(number);
  metrics_.gauge("graymesh_documents_passed_over", "Documents of kinds that are not ours to read.")
      .set(passed_over);
  double problems = 0;
  for (const auto& problem : state.problems)
    problems += problem.severity == Problem::Severity::error;
  metrics_.gauge("graymesh_problems", "Errors across objects that are good each by itself.")
      .set(problems);
  metrics_.gauge("graymesh_snapshot_number", "Number of the newest Snapshot.")
      .set(static_cast<double>(state.snapshot->number()));
  metrics_.counter("graymesh_snapshots_total", "Snapshots built.").add();
}

}  // namespace graymesh::push

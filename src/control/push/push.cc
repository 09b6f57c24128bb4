#include "control/push/push.h"

#include <algorithm>
#include <map>
#include <utility>

namespace graymesh::push {
namespace {

using model::Kind;
using model::Problem;

// All kinds that have effect, so that a kind whose last object went away is counted as 0 and not
// left at its last value.
constexpr Kind kinds[] = {Kind::namespace_,       Kind::node,           Kind::pod,
                          Kind::service,          Kind::endpoint_slice, Kind::virtual_service,
                          Kind::destination_rule, Kind::service_entry,  Kind::workload_entry,
                          Kind::gateway,          Kind::sidecar,        Kind::application,
                          Kind::gray_release,     Kind::lane,           Kind::environment};

double seconds(Clock::Steady::duration span) { return std::chrono::duration<double>(span).count(); }

std::vector<model::ObjectPtr> serving(const source::Entries& entries) {
  std::vector<model::ObjectPtr> all;
  all.reserve(entries.size());
  for (const auto& [key, entry] : entries) {
    if (entry.serving && key.kind != Kind::unsupported) all.push_back(entry.serving);
  }
  return all;
}

snapshot::Changes changes_between(const source::Entries& before, const source::Entries& now) {
  snapshot::Changes changes;
  now.each_apart(
      before, [&](const model::Key& key, const source::Entry* was, const source::Entry* is) {
        if (key.kind == Kind::unsupported) return;
        const auto gone = was ? was->serving : nullptr, come = is ? is->serving : nullptr;
        if (gone == come) return;
        if (gone) changes.gone.push_back(gone);
        if (come) changes.come.push_back(come);
      });
  return changes;
}

// Goes through all objects: when somebody looks, not at every change.
void count(const State& state, metrics::Registry& metrics) {
  struct Count {
    double serving = 0, refused = 0;
  };
  std::map<Kind, Count> counts;
  for (const Kind kind : kinds) counts[kind] = {};
  for (const auto& [key, entry] : state.objects->entries) {
    if (entry.serving) ++counts[key.kind].serving;
    if (!entry.errors.empty()) ++counts[key.kind].refused;
  }
  metrics
      .gauge("graymesh_objects_unsupported",
             "Objects of Istio's kinds that are not supported yet: nothing of them has effect.")
      .set(counts[Kind::unsupported].serving);
  counts.erase(Kind::unsupported);
  for (const auto& [kind, count] : counts) {
    const std::string name(name_of(kind));
    metrics.gauge("graymesh_objects", "Objects that serve.", {{"kind", name}}).set(count.serving);
    metrics
        .gauge(
            "graymesh_objects_refused",
            "Objects whose newest text is refused; their last good state serves, if there was one.",
            {{"kind", name}})
        .set(count.refused);
  }
  metrics
      .gauge("graymesh_documents_refused_nameless", "Refused documents whose name cannot be read.")
      .set(static_cast<double>(state.objects->nameless.size()));
  double passed_over = 0;
  for (const auto& [kind, number] : state.objects->passed_over)
    passed_over += static_cast<double>(number);
  metrics.gauge("graymesh_documents_passed_over", "Documents of kinds that are not ours to read.")
      .set(passed_over);
  const auto problems = state.snapshot->problems();
  const auto errors = std::ranges::count(problems, Problem::Severity::error, &Problem::severity);
  metrics.gauge("graymesh_problems", "Errors across objects that are good each by itself.")
      .set(static_cast<double>(errors));
  metrics.gauge("graymesh_snapshot_number", "Number of the newest Snapshot.")
      .set(static_cast<double>(state.snapshot->number()));
}

}  // namespace

Loop::Loop(std::shared_ptr<const model::MeshConfig> mesh, metrics::Registry& metrics,
           const Clock& clock)
    : mesh_(std::move(mesh)), metrics_(metrics), clock_(clock) {
  metrics_.before_page([state = state_, &metrics] {
    if (const StatePtr newest = state->get()) count(*newest, metrics);
  });
  thread_ = std::thread([this] { run(); });
}

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
  const StatePtr state = state_->get();
  return state ? state->generation->config_for(node, kept) : nullptr;
}

resource::ConfigPtr Loop::config_at_hand(const resource::Node& node, std::shared_ptr<void>& kept) {
  const StatePtr state = state_->get();
  return state ? state->generation->config_at_hand(node, kept) : nullptr;
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
    const StatePtr before = state_->get();  // is let go when all know of the news
    build(std::move(objects), since, before.get());
    if (tell_) tell_();
  }
}

void Loop::build(source::ObjectsPtr objects, Clock::Steady since, const State* before) {
  const auto begin = clock_.now();
  auto next = std::make_shared<State>();
  next->snapshot =
      before ? snapshot::build(changes_between(before->objects->entries, objects->entries), mesh_,
                               *before->snapshot, objects->number)
             : snapshot::build(serving(objects->entries), mesh_, nullptr, objects->number);
  next->objects = std::move(objects);
  next->generation = std::make_shared<const translate::Generation>(
      next->snapshot, before ? before->generation : nullptr);
  next->built = clock_.wall();
  next->since = since;
  metrics_
      .histogram("graymesh_snapshot_build_seconds", "Time to build one Snapshot.",
                 metrics::duration_bounds())
      .observe(seconds(clock_.now() - begin));
  metrics_.counter("graymesh_snapshots_total", "Snapshots built.").add();
  state_->publish(std::move(next));
}

}  // namespace graymesh::push

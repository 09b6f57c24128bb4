#include "control/record/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/descriptor.h"
#include "base/lock.h"
#include "control/record/files.h"
#include "control/record/mail.h"
#include "control/record/pen.h"
#include "control/record/segment.h"
#include "control/record/sightings.h"

namespace graymesh::record {
namespace {

// What is read in one go for a look at a time, and stored anew for each: bodies once (0.7 MB of 700
// services) and what all proxies hold.
constexpr std::uint64_t segment_bytes_min = std::uint64_t{1} << 16;
constexpr std::uint64_t segment_bytes_max = std::uint64_t{16} << 20;
constexpr std::uint64_t segments = 32;
// Each begins with all that is held, which may be more than a small one should have.
constexpr std::chrono::seconds segment_age_min{10};
constexpr std::size_t block_bytes = std::size_t{1} << 20;  // from here on a block is written
constexpr std::chrono::seconds sync_every{5};              // what a power cut may lose
constexpr std::chrono::seconds recap_every{2};
constexpr std::chrono::seconds retry_every{5};  // where it cannot be written

struct Instruments {
  explicit Instruments(metrics::Registry& registry)
      : bytes(registry.gauge("graymesh_record_bytes", "Size of the record on disk.")),
        queue(registry.gauge("graymesh_record_queue_events",
                             "Events of streams that waited for the writer of the record.")),
        written(registry.counter("graymesh_record_written_bytes_total",
                                 "Bytes written to the record.")),
        events(registry.counter("graymesh_record_events_total",
                                "Events of streams that are in the record.")),
        dropped(registry.counter("graymesh_record_events_dropped_total",
                                 "Events of streams that are missing in the record: its queue was "
                                 "full, or it could not be written.")),
        errors(registry.counter("graymesh_record_write_errors_total",
                                "Writes of the record that failed.")) {}
  metrics::Gauge &bytes, &queue;
  metrics::Counter &written, &events, &dropped, &errors;
};

std::size_t size_of(const Entry& entry) {
  const auto* body = std::get_if<Body>(&entry);
  return body ? body->bytes.size() : 64;
}

class Writer final : public Record {
 public:
  Writer(Options options, Descriptor lock, metrics::Registry& registry, const Clock& clock)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        clock_(clock),
        instruments_(registry),
        mail_(options_.events_max, clock),
        segment_max_(
            std::clamp(options_.bytes_max / segments, segment_bytes_min, segment_bytes_max)),
        thread_([this] { run(); }) {}
  ~Writer() override { stop(); }

  void opened(StreamId stream, const resource::Node& node, const std::string& peer,
              bool delta) override {
    mail_.opened(stream, node, peer, delta);
  }
  void holds(StreamId stream, const resource::Possession& all) override {
    mail_.holds(stream, all);
  }
  void sent(StreamId stream, const resource::Delivery& delivery) override {
    mail_.sent(stream, delivery);
  }
  void acked(StreamId stream, resource::Type type) override { mail_.acked(stream, type); }
  void refused(StreamId stream, resource::Type type, const std::string& error) override {
    mail_.refused(stream, type, error);
  }
  void dropped(StreamId stream, resource::Type type, std::span<const std::string> names) override {
    mail_.dropped(stream, type, names);
  }
  void reached(StreamId, std::uint64_t) override {}  // follows from the ACKs
  void closed(StreamId stream) override { mail_.closed(stream); }

  void start(std::function<void()> recap) override;
  void stop() override;
  void flush() override;

 private:
  void run();
  void look_back_all();
  bool look_back_at(const File& file);
  void begin(Milliseconds time);
  void write(const Mailbox::Mail& mail);
  Status append(const std::vector<Entry>& entries);
  void sync(bool at_once);
  void failed(const Error& error);
  void tell_anew();
  bool full() const;
  void complain(const std::string& what) const {
    if (options_.complain) options_.complain(what);
  }

  const Options options_;
  const Descriptor lock_;  // of the folder
  const Clock& clock_;
  Instruments instruments_;
  Mailbox mail_;
  const std::uint64_t segment_max_;

  // The writer's thread alone.
  Pen pen_;
  std::optional<SegmentWriter> segment_;
  Milliseconds key_ = 0;  // of its file
  std::uint64_t boot_ = 0;
  std::uint64_t others_bytes_ = 0;  // of the segments before
  bool failing_ = false;
  bool anew_due_ = false;
  bool unsynced_ = false;
  Clock::Steady begun_at_{}, told_anew_{}, synced_{}, failed_at_{};

  std::mutex recap_mutex_;  // held while it is called, so that start() ends it for good
  std::function<void()> recap_;

  std::mutex mutex_;
  std::condition_variable done_;
  std::uint64_t asked_ = 0, answered_ = 0;
  bool stopping_ = false, stopped_ = false;
  std::thread thread_;  // last: it uses all of the above
};

void Writer::start(std::function<void()> recap) {
  std::lock_guard lock(recap_mutex_);
  recap_ = std::move(recap);
}

void Writer::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  mail_.hurry();
  if (thread_.joinable()) thread_.join();
}

void Writer::flush() {
  std::unique_lock lock(mutex_);
  const auto ticket = ++asked_;
  mail_.hurry();
  done_.wait(lock, [&] { return stopped_ || answered_ >= ticket; });
}

void Writer::run() {
  look_back_all();
  const auto first = mail_.take(true);
  boot_ = static_cast<std::uint64_t>(first.at);
  begin(first.events.empty() ? first.at : first.events.front().at);
  write(first);
  for (bool stopping = false; !stopping;) {
    mail_.wait(options_.write_every);
    std::uint64_t ticket = 0;
    {
      std::lock_guard lock(mutex_);
      stopping = stopping_;
      ticket = asked_;
    }
    instruments_.queue.set(static_cast<double>(mail_.size()));
    // Contents are told once a segment: what is told from here on is for the next one. So none is
    // begun but after such a mail, however long ago the last one failed.
    const bool last_of_segment = !segment_ || full();
    const auto mail = mail_.take(last_of_segment);
    write(mail);
    if (segment_) sync(last_of_segment || stopping);
    if (last_of_segment) {
      segment_.reset();
      begin(mail.at);
    }
    if (anew_due_ && !stopping) tell_anew();
    {
      std::lock_guard lock(mutex_);
      answered_ = ticket;
      stopped_ = stopping;
    }
    done_.notify_all();
  }
}

// Its age is that of the steady clock: the other one may be put back, which ends it as well.
bool Writer::full() const {
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - begun_at_);
  return (age >= segment_age_min && (segment_->size() >= segment_max_ || mail_.behind())) ||
         age * segments >= options_.age_max;
}

void Writer::look_back_all() {
  auto files = files_of(options_.folder);
  if (!files) return complain(files.error().message);
  for (auto file = files->rbegin(); file != files->rend(); ++file) {
    key_ = std::max(key_, file->key);
    if (look_back_at(*file)) return;
  }
}

// False: nothing is in it.
bool Writer::look_back_at(const File& file) {
  auto reader = SegmentReader::open(file.path);
  if (!reader) {
    complain(fmt::format("{}; it is left alone", reader.error().message));
    return false;
  }
  Sightings sightings;
  for (;;) {
    auto block = reader->next();
    if (block && !*block) break;
    auto entries = block ? decode(**block) : Result<std::vector<Entry>>(block.error());
    if (entries) {
      for (const Entry& entry : *entries) sightings.take(entry);
      continue;
    }
    std::error_code error;
    if (reader->torn()) std::filesystem::resize_file(file.path, reader->end(), error);
    const bool cut = reader->torn() && !error;
    complain(fmt::format(
        "{}; {}", entries.error().message,
        cut ? fmt::format("the last {} bytes are cut off", reader->size() - reader->end())
            : "what follows in this file cannot be read"));
    break;
  }
  for (const Gone& gone : sightings.all_gone()) pen_.remember(gone);
  return sightings.any();
}

void Writer::begin(Milliseconds time) {
  if (failing_ && clock_.now() - failed_at_ < retry_every) return;
  key_ = std::max(time, key_ + 1);
  const auto kept =
      trim(options_.folder, options_.bytes_max - std::min(options_.bytes_max, segment_max_),
           options_.age_max, time);
  if (!kept) return failed(kept.error());
  others_bytes_ = 0;
  for (const auto& file : *kept) others_bytes_ += file.size;
  auto segment =
      SegmentWriter::create(file_of(options_.folder, key_), {.begun = time, .boot = boot_});
  if (!segment) return failed(segment.error());
  segment_.emplace(*std::move(segment));
  begun_at_ = clock_.now();
  anew_due_ = true;
  auto written = append(pen_.begin(time));
  if (written) return;
  failed(written.error());
  std::error_code ignored;  // an empty one does no harm
  std::filesystem::remove(file_of(options_.folder, key_), ignored);
}

void Writer::write(const Mailbox::Mail& mail) {
  auto entries = pen_.write(mail.events);
  if (mail.lost > 0) {
    instruments_.dropped.add(mail.lost);
    entries.emplace_back(Gap{.at = mail.lost_since, .lost = mail.lost});
    anew_due_ = true;
  }
  // After the gap: what a proxy had when it left is not known.
  for (Entry& entry : pen_.write(mail.closings)) entries.push_back(std::move(entry));
  if (entries.empty()) return;
  Status written = segment_ ? append(entries) : Status(Error{Code::unavailable, ""});
  if (written) {
    failing_ = false;
    instruments_.events.add(mail.events.size() + mail.closings.size());
  } else {
    instruments_.dropped.add(mail.events.size() + mail.closings.size());
    if (segment_) failed(written.error());
  }
}

Status Writer::append(const std::vector<Entry>& entries) {
  std::vector<Entry> block;
  std::size_t bytes = 0;
  const auto before = segment_->size();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    block.push_back(entries[i]);
    bytes += size_of(entries[i]);
    if (bytes < block_bytes && i + 1 < entries.size()) continue;
    TRY(segment_->append(encode(block)));
    block.clear();
    bytes = 0;
  }
  instruments_.written.add(segment_->size() - before);
  instruments_.bytes.set(static_cast<double>(others_bytes_ + segment_->size()));
  unsynced_ = unsynced_ || segment_->size() != before;
  return {};
}

// Also when nothing more is told.
void Writer::sync(bool at_once) {
  if (!unsynced_ || (!at_once && clock_.now() - synced_ < sync_every)) return;
  unsynced_ = false;
  synced_ = clock_.now();
  if (const auto synced = segment_->sync(); !synced) failed(synced.error());
}

// Said once until it works again. A segment that failed is not gone on with: some of what others
// refer to may be missing in it.
void Writer::failed(const Error& error) {
  segment_.reset();
  failed_at_ = clock_.now();
  instruments_.errors.add();
  if (!std::exchange(failing_, true))
    complain(fmt::format("{}; nothing is recorded until it can be written again", error.message));
}

void Writer::tell_anew() {
  const bool lately = told_anew_ != Clock::Steady{} && clock_.now() - told_anew_ < recap_every;
  if (!segment_ || lately) return;
  std::lock_guard lock(recap_mutex_);
  if (!recap_) return;
  anew_due_ = false;
  told_anew_ = clock_.now();
  recap_();
}

}  // namespace

Result<std::unique_ptr<Record>> Record::open(Options options, metrics::Registry& metrics,
                                             const Clock& clock) {
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) {
    return Error{Code::internal, fmt::format("{}: cannot make it for the record: {}",
                                             options.folder.string(), error.message())};
  }
  // Not to be opened again in this process, as that would let go of it.
  auto lock = hold(options.folder / "lock");
  if (!lock && lock.error().code == Code::failed_precondition) {
    return Error{
        lock.error().code,
        fmt::format("another graymeshd keeps its record in this folder: {}", lock.error().message)};
  }
  if (!lock) return lock.error();
  return std::unique_ptr<Record>(
      std::make_unique<Writer>(std::move(options), *std::move(lock), metrics, clock));
}

}  // namespace graymesh::record

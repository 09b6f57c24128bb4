#include "control/source/file.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/hash.h"

namespace graymesh::source {
namespace {

using model::Document;
using model::Problem;

// File times have the grain of the kernel's tick, 10 ms at most; twice that is on the safe side.
constexpr std::int64_t tick_ns = 20'000'000;

// A thread costs about as much as reading a file does; more than a few only wait for the allocator.
constexpr std::size_t files_a_thread = 32;
constexpr std::size_t threads_max = 4;

std::int64_t wall_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

// "cannot open a.yaml: Permission denied" without the name, which goes before it anyway.
std::string without(std::string message, const std::string& path) {
  const std::size_t at = message.find(path);
  if (at == std::string::npos) return message;
  message.erase(at, path.size());
  const std::size_t blank = at == 0 ? 0 : at - 1;
  if (blank < message.size() && message[blank] == ' ') message.erase(blank, 1);
  return message;
}

// Of several documents of one Key the first counts: the others are refused anyway.
using ByKey = std::map<model::Key, const Standing*>;

ByKey by_key(const File* before) {
  ByKey standings;
  if (before == nullptr) return standings;
  for (const Standing& standing : before->standings) standings.try_emplace(standing.key, &standing);
  return standings;
}

model::ObjectPtr last_good(const ByKey& before, const model::Key& key) {
  const auto found = before.find(key);
  return found == before.end() ? nullptr : found->second->object;
}

bool same(const model::Object& a, const model::Object& b) {
  return a.meta.content == b.meta.content && a.meta.position == b.meta.position && a.text == b.text;
}

Standing good(const ByKey& before, const Document& document) {
  Standing standing;
  standing.key = document.object->meta.key;
  standing.position = document.object->meta.position;
  standing.object = last_good(before, standing.key);
  if (!standing.object || !same(*standing.object, *document.object))
    standing.object = document.object;
  return standing;
}

Standing refused(const ByKey& before, Document& document) {
  Standing standing;
  standing.key = *document.key;
  standing.object = last_good(before, standing.key);
  standing.errors = std::move(document.errors);
  standing.position = std::move(document.position);
  standing.text = std::move(document.text);
  return standing;
}

// What the file had and the new text does not name, with the reason why it is not believed gone.
void keep_absent(const File& before, const std::string& reason, File& file) {
  std::set<model::Key> named;
  for (const Standing& standing : file.standings) named.insert(standing.key);
  for (const Standing& old : before.standings) {
    if (!old.object || !named.insert(old.key).second) continue;
    Standing kept;
    kept.key = old.key;
    kept.object = old.object;
    kept.position = old.position;
    kept.found = false;
    Problem problem = problem_of(file.path, reason);
    problem.position = old.position;
    problem.object = model::to_string(old.key);
    kept.errors.push_back(std::move(problem));
    file.standings.push_back(std::move(kept));
  }
}

void absorb_documents(const File* before, std::vector<Document>& documents, File& file) {
  const ByKey old = by_key(before);
  file.standings.reserve(documents.size());
  for (Document& document : documents) {
    if (document.object) {
      file.standings.push_back(good(old, document));
    } else if (!document.errors.empty() && document.key) {
      file.standings.push_back(refused(old, document));
    } else if (!document.errors.empty()) {
      for (Problem& problem : document.errors) file.nameless.push_back(std::move(problem));
    } else if (!document.passed_over.empty()) {
      ++file.passed_over[document.passed_over];
    }
  }
  if (file.nameless.empty() || before == nullptr) return;
  keep_absent(
      *before,
      fmt::format(
          "is not found in its file, of which line {} cannot be read; its last good state serves",
          file.nameless.front().position.line),
      file);
}

Reading read_one(const ToRead& file, std::size_t bytes_max) {
  const std::string& path = file.path;
  Reading reading;
  const Look look = look_at(path);
  reading.stamp = look.stamp;
  reading.young =
      look.stamp.modified_ns + tick_ns > wall_ns() || look.stamp.changed_ns + tick_ns > wall_ns();
  if (look.form != Look::Form::file) {
    reading.failure = look.form == Look::Form::unreadable ? "cannot be read: " + look.why
                                                          : "is no regular file any more";
    return reading;
  }
  auto bytes = read_file(path, bytes_max);
  if (!bytes) {
    reading.failure = without(bytes.error().message, path);
    return reading;
  }
  reading.hash = hash64(*bytes);
  reading.known = file.known_hash == reading.hash;
  if (!reading.known) reading.documents = model::read(*bytes, path);
  return reading;
}

}  // namespace

std::vector<Reading> read_all(const std::vector<ToRead>& files, std::size_t bytes_max) {
  std::vector<Reading> readings(files.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t at = next++; at < files.size(); at = next++)
      readings[at] = read_one(files[at], bytes_max);
  };
  const std::size_t share = files.size() / files_a_thread;
  const std::size_t threads =
      std::min<std::size_t>({share, std::thread::hardware_concurrency(), threads_max});
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return readings;
}

FilePtr absorb(const File* before, const std::string& path, Reading reading) {
  auto file = std::make_shared<File>();
  file->path = path;
  file->stamp = reading.stamp;
  file->hash = reading.hash;
  file->young = reading.young;
  if (reading.failure) {
    file->failed = true;
    file->nameless.push_back(problem_of(path, *reading.failure));
    if (before != nullptr) {
      file->passed_over = before->passed_over;
      keep_absent(*before, "stands in a file that cannot be read; its last good state serves",
                  *file);
    }
  } else if (reading.known && before != nullptr) {
    file->standings = before->standings;
    file->nameless = before->nameless;
    file->passed_over = before->passed_over;
  } else {
    absorb_documents(before, reading.documents, *file);
  }
  return file;
}

FilePtr doubted(const File& file) {
  auto copy = std::make_shared<File>(file);
  copy->failed = true;
  for (Standing& standing : copy->standings) standing.found = false;
  return copy;
}

}  // namespace graymesh::source

// Puts what was told into entries: gives numbers to contents, and gathers what befell many streams
// into one entry with many rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/record/entries.h"
#include "control/record/mail.h"

namespace graymesh::record {

class Pen {
 public:
  // The entries of these events, in an order in which the rows of each stream and type are as they
  // happened. Of a stream that it never heard of nothing is written.
  std::vector<Entry> write(const std::vector<Event>& events);

  // A new segment: nothing is in it yet but who is connected, and who was lately.
  std::vector<Entry> begin(Milliseconds now);

  // From an earlier process.
  void remember(const Gone& gone);

  std::size_t streams() const { return streams_.size(); }
  // Sorted by node id; of those that left.
  const std::map<std::string, Gone>& gone() const { return gone_; }

 private:
  struct Resource {
    Number number = 0;
    std::uint32_t depth = 0;  // of deltas down to a whole body
  };
  struct Place {
    std::size_t entry = 0, row = 0;
    bool open = false;  // a Sent without its ACK
  };

  void write_one(const Event& event);
  Number resource(const resource::Resource& resource, const resource::Resource* before);
  Number batch(const Event& event);
  Number set(const resource::ResourceSet& set, std::uint64_t hash);
  Holds holds(const Event& event);
  template <typename Make>
  std::size_t gather(const Event& event, std::uint64_t key, std::size_t after, Make make);
  void row(const Event& event, std::size_t entry);
  void leave(StreamId stream, Milliseconds at);

  // Of this segment.
  std::unordered_map<std::uint64_t, Resource> resources_;
  std::unordered_map<std::uint64_t, Number> batches_, sets_;
  std::unordered_map<std::uint64_t, Holds> holdings_;

  // Of this call to write().
  std::vector<Entry> contents_, entries_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> groups_;  // kind, content
  std::unordered_map<std::uint64_t, Place> last_;                          // of a stream and type

  std::map<StreamId, Opened> streams_;
  std::unordered_map<std::string, std::size_t> connected_;  // streams by node id
  std::map<std::string, Gone> gone_;
};

}  // namespace graymesh::record

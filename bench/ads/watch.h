// When a change came to each stream. Whoever makes changes numbers them and writes the number into
// what changes: an endpoint's address 10.253.1AA.1BB, a header's value "mark-NNNNNN". The bytes of
// responses are searched for these as they come; the time is that of the whole response.
//
// Changes go round `targets` objects. One that was folded into a later change of the same object
// counts as there when that one comes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace graymesh::ads {

// `tables`: any route table, the first one of each stream since begin(); its number is 0.
enum class Mark : std::uint8_t { endpoint, route, tables };
inline constexpr std::size_t mark_count = 3;

class Watch {
 public:
  void begin(std::uint32_t from, std::uint32_t target_count);  // and forgets
  bool on() const { return targets > 0; }

  std::uint32_t first = 0, targets = 0;
  std::uint32_t round = 0;  // of begin()
  // By kind and number: when it came to each stream, CLOCK_MONOTONIC in ns.
  std::array<std::map<std::uint32_t, std::vector<std::int64_t>>, mark_count> times{};
};

// The marks that one stream has met.
class Watcher {
 public:
  void look(const Watch& watch, std::string_view bytes);
  void arrived(Watch& watch, std::int64_t now);  // with the response that ends now
  void tables_came(Watch& watch, std::int64_t now);

 private:
  void find(const Watch& watch, std::string_view bytes);
  void meet(const Watch& watch, Mark kind, std::uint32_t number);

  struct Met {
    Mark kind;
    std::uint32_t number;
  };
  std::uint32_t round_ = 0, round_of_tables_ = 0;
  std::vector<Met> met_;  // in the response that is being read
  std::array<std::map<std::uint32_t, std::uint32_t>, mark_count>
      next_{};        // by target: the number that did not come yet
  std::string tail_;  // of the bytes before: a mark may be cut in two
};

}  // namespace graymesh::ads

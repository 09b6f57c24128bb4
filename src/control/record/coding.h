// Numbers and strings as bytes: varints as in protobuf, strings with their length before them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace graymesh::record {

class Out {
 public:
  void number(std::uint64_t value);
  void difference(std::int64_t value);  // small ones of either sign are short
  void fixed(std::uint64_t value);      // 8 bytes
  void text(std::string_view bytes);
  const std::string& bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Foreign bytes: what is not there reads as zero, and good() is false from then on.
class In {
 public:
  explicit In(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number();
  std::int64_t difference();
  std::uint64_t fixed();
  std::string_view text();
  // A number of things that follow, each of a byte at least.
  std::size_t count();
  // A number below `end`.
  std::uint64_t below(std::uint64_t end);

  void fail() { good_ = false; }
  bool good() const { return good_; }
  bool done() const { return rest_.empty() || !good_; }

 private:
  bool good_ = true;
  std::string_view rest_;
};

}  // namespace graymesh::record

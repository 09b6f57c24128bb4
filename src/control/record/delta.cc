#include "control/record/delta.h"

#include <algorithm>
#include <unordered_map>

#include "control/record/coding.h"

namespace graymesh::record {
namespace {

constexpr std::size_t block = 32;
constexpr std::uint32_t base = 257;

constexpr std::uint32_t power(std::size_t exponent) {
  std::uint32_t value = 1;
  for (; exponent > 0; --exponent) value *= base;
  return value;
}

std::uint32_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

std::uint32_t hash_of(std::string_view text, std::size_t at) {
  std::uint32_t hash = 0;
  for (std::size_t i = at; i < at + block; ++i) hash = hash * base + byte_at(text, i);
  return hash;
}

struct Copy {
  std::size_t from = 0, size = 0;
};

class Encoder {
 public:
  Encoder(std::string_view old_text, std::string_view new_text) : old_(old_text), new_(new_text) {
    out_.number(new_text.size());
  }

  // Up to `at` the new text is told. Grows a match backwards over what is not told yet.
  void match(std::size_t from, std::size_t at) {
    while (at > told_ && from > 0 && old_[from - 1] == new_[at - 1]) --from, --at;
    std::size_t size = 0;
    while (at + size < new_.size() && from + size < old_.size() &&
           old_[from + size] == new_[at + size]) {
      ++size;
    }
    insert(at);
    out_.number(size << 1 | 1);
    out_.difference(static_cast<std::int64_t>(from) - static_cast<std::int64_t>(last_));
    last_ = from + size;
    told_ = at + size;
  }

  void insert(std::size_t until) {
    if (until == told_) return;
    out_.number((until - told_) << 1);
    out_.text(new_.substr(told_, until - told_));
    told_ = until;
  }

  std::size_t told() const { return told_; }
  std::string take() { return out_.take(); }

 private:
  std::string_view old_, new_;
  std::size_t told_ = 0, last_ = 0;
  Out out_;
};

}  // namespace

std::string make_delta(std::string_view old_text, std::string_view new_text) {
  Encoder encoder(old_text, new_text);
  std::size_t same = 0;
  while (same < std::min(old_text.size(), new_text.size()) && old_text[same] == new_text[same])
    ++same;
  if (same > 0) encoder.match(0, 0);
  if (encoder.told() + block <= new_text.size() && old_text.size() >= block) {
    std::unordered_map<std::uint32_t, std::size_t> blocks;
    for (std::size_t at = 0; at + block <= old_text.size(); at += block)
      blocks.emplace(hash_of(old_text, at), at);
    constexpr std::uint32_t oldest = power(block - 1);
    std::size_t at = encoder.told();
    std::uint32_t hash = hash_of(new_text, at);
    while (at + block <= new_text.size()) {
      const auto found = blocks.find(hash);
      if (found != blocks.end() &&
          old_text.substr(found->second, block) == new_text.substr(at, block)) {
        encoder.match(found->second, at);
        at = encoder.told();
        if (at + block <= new_text.size()) hash = hash_of(new_text, at);
        continue;
      }
      hash -= byte_at(new_text, at) * oldest;
      if (at + block < new_text.size()) hash = hash * base + byte_at(new_text, at + block);
      ++at;
    }
  }
  encoder.insert(new_text.size());
  return encoder.take();
}

Result<std::string> apply_delta(std::string_view old_text, std::string_view delta,
                                std::size_t bytes_max) {
  const Error broken{Code::data_loss, "a difference does not fit the text that it is one of"};
  In in(delta);
  const auto size = in.number();
  if (size > bytes_max) return broken;
  std::string text;
  std::size_t last = 0;
  while (!in.done()) {
    const auto step = in.number();
    const auto length = step >> 1;
    if ((step & 1) == 0) {
      const auto inserted = in.text();
      if (inserted.size() != length || text.size() + length > size) return broken;
      text.append(inserted);
      continue;
    }
    const auto from = last + static_cast<std::uint64_t>(in.difference());
    if (from > old_text.size() || length > old_text.size() - from || text.size() + length > size)
      return broken;
    text.append(old_text.substr(from, length));
    last = from + length;
  }
  if (!in.good() || text.size() != size) return broken;
  return text;
}

}  // namespace graymesh::record

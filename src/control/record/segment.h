// One file of the record: blocks that are added at its end, each deflated and with its checksum.
//
//     "graymesh record 1\n"   begun (8 bytes)   boot (8 bytes)
//     block: bytes (4)  CRC-32 of what follows (4)  bytes when inflated (4)  deflated entries
//
// A process that is killed leaves at most one half block, at the end, which is cut off when the
// next one opens the record. A block that is damaged anywhere else ends what can be read of its
// file, as nobody knows where the next one begins.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/descriptor.h"
#include "base/result.h"
#include "control/record/entries.h"

namespace graymesh::record {

// Entries of one block, before they are deflated. Larger ones come from nobody.
inline constexpr std::size_t block_bytes_max = std::size_t{64} << 20;

struct SegmentHead {
  Milliseconds begun = 0;
  std::uint64_t boot = 0;  // which process: its streams are counted anew
  bool operator==(const SegmentHead&) const = default;
};

class SegmentWriter {
 public:
  // `file` is not there yet; with an error it is not there afterwards.
  static Result<SegmentWriter> create(const std::filesystem::path& file, const SegmentHead& head);

  // All of it or, with an error, nothing.
  Status append(std::string_view block);
  Status sync();
  std::uint64_t size() const { return size_; }

 private:
  SegmentWriter(Descriptor descriptor, std::filesystem::path file, std::uint64_t size)
      : descriptor_(std::move(descriptor)), file_(std::move(file)), size_(size) {}
  Descriptor descriptor_;
  std::filesystem::path file_;
  std::uint64_t size_ = 0;
};

// The head alone. data_loss: no file of a record.
Result<SegmentHead> head_of(const std::filesystem::path& file);

class SegmentReader {
 public:
  // data_loss: no file of a record.
  static Result<SegmentReader> open(const std::filesystem::path& file);
  // The same of bytes in memory.
  static Result<SegmentReader> of(std::string bytes, std::filesystem::path file = "a segment");

  const SegmentHead& head() const { return head_; }
  // The next block, inflated; none at the end. data_loss names the file, the place and the fault.
  Result<std::optional<std::string>> next();
  // Where the block that next() answers with begins, and one that began there.
  std::uint64_t place() const { return place_; }
  Result<std::string> block_at(std::uint64_t place) const;
  // After an error of next(): the block reaches beyond the end of the file, or is the last one.
  bool torn() const { return torn_; }
  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t end() const;  // of the last block that next() answered with

 private:
  SegmentReader(std::string bytes, std::filesystem::path file)
      : bytes_(std::move(bytes)), file_(std::move(file)) {}
  Error fault(std::uint64_t place, std::string_view what) const;

  std::string bytes_;
  std::filesystem::path file_;
  SegmentHead head_;
  std::uint64_t place_ = 0;
  bool torn_ = false;
};

}  // namespace graymesh::record

#include "control/record/segment.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/descriptor.h"
#include "base/file.h"
#include "control/record/coding.h"

namespace graymesh::record {
namespace {

constexpr std::string_view magic = "graymesh record 1\n";
constexpr std::size_t head_bytes = magic.size() + 16;
constexpr std::size_t block_head_bytes = 12;
constexpr std::uint64_t file_bytes_max = std::uint64_t{1} << 30;
// Most of what is written are rows of small numbers, a little of it bodies: level 1 takes a third
// of the time of level 6 and is 10 % longer.
constexpr int level = 1;

void put32(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 4; ++i, value >>= 8) out.push_back(static_cast<char>(value & 0xff));
}

std::uint32_t get32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Error failed(const std::filesystem::path& file, std::string_view what) {
  return {Code::internal, fmt::format("{}: cannot {}: {}", file.string(), what,
                                      std::generic_category().message(errno))};
}

Status write_all(int fd, std::string_view bytes, const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(file, "write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Error fault_of(const std::filesystem::path& file, std::uint64_t size, std::uint64_t place,
               std::string_view what) {
  return {Code::data_loss, fmt::format("{}: byte {} of {}: {}", file.string(), place, size, what)};
}

Result<SegmentHead> read_head(std::string_view bytes, std::uint64_t size,
                              const std::filesystem::path& file) {
  if (!bytes.starts_with(magic) || bytes.size() < head_bytes) {
    return fault_of(file, size, 0,
                    "is no file of a record: it does not begin with \"graymesh record 1\"");
  }
  In in(bytes.substr(magic.size(), 16));
  SegmentHead head{.begun = static_cast<Milliseconds>(in.fixed())};
  head.boot = in.fixed();
  return head;
}

// So that the name of a new file outlives a power cut as its bytes do. Some file systems cannot.
void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor) (void)::fsync(descriptor.get());
}

}  // namespace

Result<SegmentWriter> SegmentWriter::create(const std::filesystem::path& file,
                                            const SegmentHead& head) {
  Descriptor descriptor(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640));
  if (!descriptor) return failed(file, "create it");
  Out out;
  out.fixed(static_cast<std::uint64_t>(head.begun));
  out.fixed(head.boot);
  if (auto begun = write_all(descriptor.get(), std::string(magic) + out.bytes(), file); !begun) {
    // Without a head it would be complained of by every reader.
    ::unlink(file.c_str());
    return begun.error();
  }
  sync_folder(file.parent_path());
  return SegmentWriter(std::move(descriptor), file, head_bytes);
}

Status SegmentWriter::append(std::string_view block) {
  uLongf deflated = ::compressBound(block.size());
  std::string rest;
  put32(rest, block.size());
  rest.resize(4 + deflated);
  if (::compress2(reinterpret_cast<Bytef*>(rest.data() + 4), &deflated,
                  reinterpret_cast<const Bytef*>(block.data()), block.size(), level) != Z_OK) {
    return Error{Code::internal,
                 fmt::format("{}: zlib cannot deflate {} bytes", file_.string(), block.size())};
  }
  rest.resize(4 + deflated);
  std::string bytes;
  put32(bytes, deflated);
  put32(bytes, crc_of(rest));
  bytes += rest;
  if (auto written = write_all(descriptor_.get(), bytes, file_); !written) {
    // What was written of it would end the file for every reader.
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size_)) != 0)
      return failed(file_, "take back half a block");
    return written;
  }
  size_ += bytes.size();
  return {};
}

Status SegmentWriter::sync() {
  if (::fdatasync(descriptor_.get()) != 0) return failed(file_, "sync");
  return {};
}

Result<SegmentHead> head_of(const std::filesystem::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor && errno == ENOENT)
    return Error{Code::not_found, fmt::format("{} is not there", file.string())};
  std::string bytes(head_bytes, '\0');
  const auto count = descriptor ? ::pread(descriptor.get(), bytes.data(), bytes.size(), 0) : -1;
  if (count < 0) return failed(file, "read it");
  bytes.resize(static_cast<std::size_t>(count));
  return read_head(bytes, bytes.size(), file);
}

Result<SegmentReader> SegmentReader::open(const std::filesystem::path& file) {
  return of(TRY(read_file(file, file_bytes_max)), file);
}

Result<SegmentReader> SegmentReader::of(std::string bytes, std::filesystem::path file) {
  SegmentReader reader(std::move(bytes), std::move(file));
  reader.head_ = TRY(read_head(reader.bytes_, reader.bytes_.size(), reader.file_));
  return reader;
}

Error SegmentReader::fault(std::uint64_t place, std::string_view what) const {
  return fault_of(file_, bytes_.size(), place, what);
}

std::uint64_t SegmentReader::end() const {
  return place_ == 0 ? head_bytes : place_ + block_head_bytes + get32(bytes_, place_);
}

Result<std::optional<std::string>> SegmentReader::next() {
  const std::uint64_t place = end();
  if (place == bytes_.size()) return std::optional<std::string>();
  auto block = block_at(place);
  if (!block) {
    const bool whole = bytes_.size() - place >= block_head_bytes;
    torn_ = !whole || bytes_.size() - place - block_head_bytes <= get32(bytes_, place);
    return block.error();
  }
  place_ = place;
  return std::optional<std::string>(*std::move(block));
}

Result<std::string> SegmentReader::block_at(std::uint64_t place) const {
  if (place > bytes_.size() || bytes_.size() - place < block_head_bytes)
    return fault(place, "the file ends in a block");
  const std::uint64_t size = get32(bytes_, place);
  if (bytes_.size() - place - block_head_bytes < size)
    return fault(place, "the file ends in a block");
  const auto rest = std::string_view(bytes_).substr(place + 8, 4 + size);
  if (crc_of(rest) != get32(bytes_, place + 4))
    return fault(place, "the checksum of a block does not match");
  const std::size_t inflated = get32(rest, 0);
  if (inflated > block_bytes_max) return fault(place, "a block is longer than any that is written");
  std::string block(inflated, '\0');
  uLongf made = inflated;
  if (::uncompress(reinterpret_cast<Bytef*>(block.data()), &made,
                   reinterpret_cast<const Bytef*>(rest.data() + 4), size) != Z_OK ||
      made != inflated) {
    return fault(place, "a block cannot be inflated");
  }
  return block;
}

}  // namespace graymesh::record

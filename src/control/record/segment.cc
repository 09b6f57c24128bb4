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

// So that the name of a new file outlives a power cut as its bytes do. Some file systems cannot.
void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor) (void)::fsync(descriptor.get());
}

}  // namespace

SegmentWriter::SegmentWriter(int fd, std::filesystem::path file, std::uint64_t size)
    : fd_(fd), file_(std::move(file)), size_(size) {}

SegmentWriter::SegmentWriter(SegmentWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), file_(std::move(other.file_)), size_(other.size_) {}

SegmentWriter& SegmentWriter::operator=(SegmentWriter&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(file_, other.file_);
  std::swap(size_, other.size_);
  return *this;
}

SegmentWriter::~SegmentWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Result<SegmentWriter> SegmentWriter::create(const std::filesystem::path& file,
                                            const SegmentHead& head) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return failed(file, "create it");
  SegmentWriter writer(fd, file, head_bytes);
  Out out;
  out.fixed(static_cast<std::uint64_t>(head.begun));
  out.fixed(head.boot);
  if (auto begun = write_all(fd, std::string(magic) + out.bytes(), file); !begun) {
    // Without a head it would be complained of by every reader.
    ::unlink(file.c_str());
    return begun.error();
  }
  sync_folder(file.parent_path());
  return writer;
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
  if (auto written = write_all(fd_, bytes, file_); !written) {
    // What was written of it would end the file for every reader.
    if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0)
      return failed(file_, "take back half a block");
    return written;
  }
  size_ += bytes.size();
  return {};
}

Status SegmentWriter::sync() {
  if (::fdatasync(fd_) != 0) return failed(file_, "sync");
  return {};
}

Result<SegmentReader> SegmentReader::open(const std::filesystem::path& file) {
  return of(TRY(read_file(file, file_bytes_max)), file);
}

Result<SegmentReader> SegmentReader::of(std::string bytes, std::filesystem::path file) {
  SegmentReader reader(std::move(bytes), std::move(file));
  if (!std::string_view(reader.bytes_).starts_with(magic) || reader.bytes_.size() < head_bytes)
    return reader.fault(0, "is no file of a record: it does not begin with \"graymesh record 1\"");
  In in(std::string_view(reader.bytes_).substr(magic.size(), 16));
  reader.head_.begun = static_cast<Milliseconds>(in.fixed());
  reader.head_.boot = in.fixed();
  reader.place_ = 0;
  return reader;
}

Error SegmentReader::fault(std::uint64_t place, std::string_view what) const {
  return {Code::data_loss,
          fmt::format("{}: byte {} of {}: {}", file_.string(), place, bytes_.size(), what)};
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

#include "control/translate/ip.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

namespace graymesh::translate {
namespace {

struct Ip {
  std::array<unsigned char, 16> bytes{};
  int family = AF_UNSPEC;  // which if it is no IP
  unsigned bits() const { return family == AF_INET ? 32 : 128; }
};

Ip parse(std::string_view text) {
  Ip ip;
  const std::string terminated(text);
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, terminated.c_str(), ip.bytes.data()) != 1) continue;
    ip.family = family;
    break;
  }
  return ip;
}

}  // namespace

const char* any_address(Family family) { return family == Family::v6 ? "::" : "0.0.0.0"; }

const char* localhost(Family family) { return family == Family::v6 ? "::1" : "127.0.0.1"; }

const char* proxy_source(Family family) { return family == Family::v6 ? "::6" : "127.0.0.6"; }

bool is_any_address(std::string_view text) {
  return text == any_address(Family::v4) || text == any_address(Family::v6);
}

bool is_ip(std::string_view text) { return parse(text).family != AF_UNSPEC; }

bool is_loopback(std::string_view text) {
  constexpr std::array<unsigned char, 16> ipv6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const Ip ip = parse(text);
  if (ip.family == AF_INET) return ip.bytes[0] == 127;
  return ip.family == AF_INET6 && ip.bytes == ipv6;
}

std::string normal_range(std::string_view text) {
  const auto slash = text.find('/');
  Ip ip = parse(text.substr(0, slash));
  if (ip.family == AF_UNSPEC) return {};
  unsigned length = ip.bits();
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > ip.bits())
      return {};
  }
  for (unsigned bit = length; bit < ip.bits(); ++bit) {
    ip.bytes[bit / 8] = static_cast<unsigned char>(ip.bytes[bit / 8] & ~(0x80u >> (bit % 8)));
  }
  std::array<char, INET6_ADDRSTRLEN> out{};
  ::inet_ntop(ip.family, ip.bytes.data(), out.data(), out.size());
  return std::string(out.data()) + "/" + std::to_string(length);
}

}  // namespace graymesh::translate

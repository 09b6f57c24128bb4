# What comes from Debian; tools/install-deps installs it. Each room links only what it names.

find_package(Threads REQUIRED)
find_package(Protobuf MODULE REQUIRED)  # before gRPC, whose config would look for protobuf's own
find_package(gRPC CONFIG REQUIRED)      # gRPC::grpc++, a client for tests
find_package(fmt CONFIG REQUIRED)       # fmt::fmt
find_package(spdlog CONFIG REQUIRED)    # spdlog::spdlog
find_package(CLI11 CONFIG REQUIRED)     # CLI11::CLI11
find_package(nlohmann_json CONFIG REQUIRED)  # nlohmann_json::nlohmann_json
find_package(simdjson CONFIG REQUIRED)  # simdjson::simdjson
find_package(ZLIB REQUIRED)             # ZLIB::ZLIB
find_package(CURL REQUIRED)             # CURL::libcurl
find_package(OpenSSL REQUIRED)          # OpenSSL::SSL
find_package(GTest CONFIG REQUIRED)
find_package(benchmark CONFIG REQUIRED)

find_package(PkgConfig REQUIRED)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1)          # PkgConfig::yaml
# Not named re2: re2_FOUND in the cache would keep gRPC's config from looking for its re2::re2.
pkg_check_modules(libre2 REQUIRED IMPORTED_TARGET re2)             # PkgConfig::libre2
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)       # PkgConfig::xxhash
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)    # PkgConfig::httplib
pkg_check_modules(nghttp2 REQUIRED IMPORTED_TARGET libnghttp2)    # PkgConfig::nghttp2
pkg_check_modules(sqlite REQUIRED IMPORTED_TARGET sqlite3)         # PkgConfig::sqlite

find_package(Python3 REQUIRED COMPONENTS Interpreter)

# The Envoy that tests and demo run, beside our own programs.
set(graymesh_cache "$ENV{GRAYMESH_CACHE}")
if(NOT graymesh_cache)
  set(graymesh_cache "$ENV{HOME}/.cache/graymesh")
endif()
if(EXISTS ${graymesh_cache}/bin/envoy)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  file(CREATE_LINK ${graymesh_cache}/bin/envoy ${CMAKE_BINARY_DIR}/bin/envoy SYMBOLIC)
endif()

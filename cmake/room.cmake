# Declares what we build. A room is a folder under src/ and a static library:
#
#   room(control/snapshot
#     SOURCES snapshot.cc index.cc
#     TESTS snapshot_test.cc
#     USES model base               rooms by their path under src/, or xds_protos
#     PRECOMPILED <httplib.h>       others' headers that most of its sources include, see below
#     LINKS PkgConfig::yaml         what others made; cmake/dependencies.cmake lists it
#     TEST_LINKS gRPC::grpc++)      the same, for the tests alone
#
# makes graymesh_control_snapshot and control_snapshot_test. Includes read
# "control/snapshot/snapshot.h". USES repeats the room's row in docs/architecture.md;
# tests/rooms_test.py compares the two. Beside it, with the same USES and LINKS:
#
#   program(graymeshd SOURCES graymeshd.cc USES ...)                 -> bin/graymeshd
#   feature_test(routing SOURCES ... USES ... LABELS feature)        -> bin/routing_test, in tests/
#   benchmark(snapshot SOURCES ... USES ...)                         -> bin/snapshot_bench, in bench/
#   fuzz_target(yaml SOURCES ... USES ...)                           -> bin/yaml_fuzz, in fuzz/
#
# A test runs in the checkout's root, and finds programs (and envoy) in the folder $GRAYMESH_BIN.

include(GoogleTest)

# graymesh_quick(TARGET [_test]): what a test itself says runs once, and a failure names its line; so
# its files are neither optimised nor described to a debugger, which is a third of their time.
# What they test is.
function(graymesh_quick target)
  if("${ARGN}" STREQUAL _test)
    target_compile_options(${target} PRIVATE -O0 -g0)
  endif()
endfunction()

# Headers of others that most files of ours include, parsed once for all files instead of once in
# each, which is half of the time that a small file takes: graymesh_headers, with _protos for rooms
# that speak xDS, with _test for tests. Only by GCC without sanitizers, the builds of every day; the
# others see our files as they are, and find an include that a file forgot. A room that says
# PRECOMPILED has one of its own, of the standard library's headers and these.
set(graymesh_std_headers <algorithm> <chrono> <cstdint> <functional> <map> <memory> <optional> <set> <string>
  <string_view> <utility> <variant> <vector> <fmt/core.h>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT GRAYMESH_SANITIZE)
  foreach(protos "" _protos)
    foreach(test "" _test)
      set(headers ${graymesh_std_headers})
      set(links fmt::fmt)
      if(protos)
        list(APPEND headers <google/protobuf/message.h>)
        foreach(proto config/cluster/v3/cluster config/listener/v3/listener config/route/v3/route service/discovery/v3/discovery)
          list(APPEND headers <envoy/${proto}.pb.h>)
        endforeach()
        list(APPEND links xds_protos)
      endif()
      if(test)
        list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
        list(APPEND links GTest::gmock)
      endif()
      set(target graymesh_headers${protos}${test})
      file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${target}.cc CONTENT "")
      add_library(${target} STATIC ${CMAKE_BINARY_DIR}/${target}.cc)
      target_precompile_headers(${target} PRIVATE ${headers})
      target_link_libraries(${target} PRIVATE graymesh_flags ${links})
      graymesh_quick(${target} ${test})
    endforeach()
  endforeach()
endif()

# graymesh_headers(TARGET USES [_test]): which of them a target takes.
function(graymesh_headers target uses)
  set(protos "")
  if(xds_protos IN_LIST uses)
    set(protos _protos)
  endif()
  if(TARGET graymesh_headers${protos}${ARGN})
    target_precompile_headers(${target} REUSE_FROM graymesh_headers${protos}${ARGN})
    graymesh_quick(${target} ${ARGN})
  endif()
endfunction()

# Turns room paths into targets: control/snapshot to graymesh_control_snapshot.
function(graymesh_targets result)
  set(targets "")
  foreach(room ${ARGN})
    if(room STREQUAL xds_protos)
      list(APPEND targets xds_protos)
    else()
      string(REPLACE / _ target graymesh_${room})
      list(APPEND targets ${target})
    endif()
  endforeach()
  set(${result} ${targets} PARENT_SCOPE)
endfunction()

function(graymesh_executable target uses links)
  graymesh_targets(rooms ${uses})
  target_link_libraries(${target} PRIVATE graymesh_flags ${rooms} ${links} Threads::Threads)
endfunction()

function(graymesh_test target timeout labels)
  gtest_discover_tests(${target}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${timeout} LABELS "${labels}" ENVIRONMENT "GRAYMESH_BIN=${CMAKE_BINARY_DIR}/bin"
      SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endfunction()

function(room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;TESTS;USES;PRECOMPILED;LINKS;TEST_LINKS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "room(${name}): what is ${arg_UNPARSED_ARGUMENTS}?")
  endif()
  string(REPLACE / _ flat ${name})
  graymesh_targets(rooms ${arg_USES})
  if(arg_SOURCES)
    add_library(graymesh_${flat} STATIC ${arg_SOURCES})
    target_link_libraries(graymesh_${flat} PRIVATE graymesh_flags PUBLIC ${rooms} ${arg_LINKS} Threads::Threads)
    if(arg_PRECOMPILED AND TARGET graymesh_headers)
      target_precompile_headers(graymesh_${flat} PRIVATE ${graymesh_std_headers} ${arg_PRECOMPILED})
    else()
      graymesh_headers(graymesh_${flat} "${arg_USES}")
    endif()
  else()
    add_library(graymesh_${flat} INTERFACE)
    target_link_libraries(graymesh_${flat} INTERFACE ${rooms} ${arg_LINKS} Threads::Threads)
  endif()
  if(arg_TESTS AND BUILD_TESTING AND NOT GRAYMESH_FUZZ)
    add_executable(${flat}_test ${arg_TESTS})
    graymesh_executable(${flat}_test "${name}" "GTest::gtest_main;GTest::gmock;${arg_TEST_LINKS}")
    graymesh_headers(${flat}_test "${arg_USES}" _test)
    graymesh_test(${flat}_test 60 "unit")
  endif()
endfunction()

function(program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;LINKS")
  add_executable(${name} ${arg_SOURCES})
  graymesh_executable(${name} "${arg_USES}" "${arg_LINKS}")
  install(TARGETS ${name})
endfunction()

# LABELS default to feature. TIMEOUT is in seconds for each test. DEPENDS names programs it runs.
function(feature_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;USES;LINKS;LABELS;DEPENDS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS feature)
  endif()
  add_executable(${name}_test ${arg_SOURCES})
  graymesh_executable(${name}_test "${arg_USES}" "${arg_LINKS};GTest::gtest_main;GTest::gmock")
  graymesh_headers(${name}_test "${arg_USES}" _test)
  if(arg_DEPENDS)
    add_dependencies(${name}_test ${arg_DEPENDS})
  endif()
  graymesh_test(${name}_test ${arg_TIMEOUT} "${arg_LABELS}")
endfunction()

function(benchmark name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;LINKS")
  add_executable(${name}_bench ${arg_SOURCES})
  graymesh_executable(${name}_bench "${arg_USES}" "${arg_LINKS};benchmark::benchmark_main")
  add_dependencies(benchmarks ${name}_bench)
endfunction()

# A fuzz target keeps its corpus in fuzz/<name>.corpus/, if it has one. Its source is <name>_fuzz.cc, and what else it needs.
# Where libFuzzer is not, all of them are in one test, which gives each its corpus (fuzz/replay_test.cc): fuzz_replay().
function(fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;LINKS")
  if(GRAYMESH_FUZZ)
    add_executable(${name}_fuzz ${name}_fuzz.cc ${arg_SOURCES})
    graymesh_executable(${name}_fuzz "${arg_USES}" "${arg_LINKS}")
    target_include_directories(${name}_fuzz PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets ${name}_fuzz)
  else()
    set_source_files_properties(${name}_fuzz.cc PROPERTIES
      COMPILE_DEFINITIONS "LLVMFuzzerTestOneInput=fuzz_${name}" SKIP_PRECOMPILE_HEADERS ON)
    set_property(DIRECTORY APPEND PROPERTY graymesh_fuzz_names ${name})
    set_property(DIRECTORY APPEND PROPERTY graymesh_fuzz_sources ${name}_fuzz.cc ${arg_SOURCES})
    set_property(DIRECTORY APPEND PROPERTY graymesh_fuzz_uses ${arg_USES})
    set_property(DIRECTORY APPEND PROPERTY graymesh_fuzz_links ${arg_LINKS})
  endif()
endfunction()

function(fuzz_replay)
  foreach(what names sources uses links)
    get_property(${what} DIRECTORY PROPERTY graymesh_fuzz_${what})
    list(REMOVE_DUPLICATES ${what})
  endforeach()
  list(TRANSFORM names REPLACE "(.+)" "FUZZ_TARGET(\\1)\n" OUTPUT_VARIABLE lines)
  string(JOIN "" text ${lines})
  file(CONFIGURE OUTPUT fuzz_targets.inc CONTENT "${text}" @ONLY)
  feature_test(fuzz_replay SOURCES replay_test.cc ${sources} USES ${uses} LINKS ${links} LABELS unit)
  target_include_directories(fuzz_replay_test PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR})
endfunction()

# Declares what we build. A room is a folder under src/ and a static library:
#
#   room(control/snapshot
#     SOURCES snapshot.cc index.cc
#     TESTS snapshot_test.cc
#     USES model base               rooms by their path under src/, or xds_protos
#     LINKS PkgConfig::yaml)        what others made; cmake/dependencies.cmake lists it
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
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;TESTS;USES;LINKS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "room(${name}): what is ${arg_UNPARSED_ARGUMENTS}?")
  endif()
  string(REPLACE / _ flat ${name})
  graymesh_targets(rooms ${arg_USES})
  if(arg_SOURCES)
    add_library(graymesh_${flat} STATIC ${arg_SOURCES})
    target_link_libraries(graymesh_${flat} PRIVATE graymesh_flags PUBLIC ${rooms} ${arg_LINKS} Threads::Threads)
  else()
    add_library(graymesh_${flat} INTERFACE)
    target_link_libraries(graymesh_${flat} INTERFACE ${rooms} ${arg_LINKS} Threads::Threads)
  endif()
  if(arg_TESTS AND BUILD_TESTING AND NOT GRAYMESH_FUZZ)
    add_executable(${flat}_test ${arg_TESTS})
    graymesh_executable(${flat}_test "${name}" "GTest::gtest_main;GTest::gmock")
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

# A fuzz target keeps its corpus in fuzz/<name>.corpus/, if it has one.
function(fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;LINKS")
  add_executable(${name}_fuzz ${arg_SOURCES})
  graymesh_executable(${name}_fuzz "${arg_USES}" "${arg_LINKS}")
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets ${name}_fuzz)
endfunction()

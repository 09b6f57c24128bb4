# What people do with graymesh, one word each. `make help` lists it.
# Each word first makes sure that what it needs is installed (tools/install-deps).

JOBS ?= $(shell nproc)
CTEST_ARGS ?=
FUZZ_SECONDS ?= 60
SOAK_MINUTES ?= 10
SOAK_STREAMS ?= 300

# Switches of `make run`, handed to the demo by environment.
export ONCE PROXY MONITORING PLAIN

sources = $(wildcard $(shell git ls-files -co --exclude-standard 'src/*.cc' 'src/*.h' 'tests/*.cc' 'tests/*.h' \
  'bench/*.cc' 'bench/*.h' 'fuzz/*.cc' 'fuzz/*.h' 'demo/*.cc' 'demo/*.h'))

define build
	@cmake --preset $(1) >/dev/null
	@cmake --build --preset $(1) -j $(JOBS) $(2)
endef

.PHONY: run
run: build  ## runs the demo mesh: ONCE=1 ends after one round, MONITORING=1, PLAIN=1: Istio's YAML alone
	@tools/demo

.PHONY: build
build: deps  ## builds all programs and tests into build/
	$(call build,dev)

.PHONY: test
test: build  ## builds and runs every test
	@ctest --preset dev --output-on-failure --no-label-summary $(CTEST_ARGS)

.PHONY: asan tsan coverage
asan tsan: deps  ## builds and runs the tests (TARGETS: some) under AddressSanitizer and UBSan, or ThreadSanitizer
	$(call build,$@,$(TARGETS:%=--target %))
	@ctest --preset $@ --output-on-failure --no-label-summary $(CTEST_ARGS)

coverage: deps  ## runs the tests, then tells which lines of each file they ran
	$(call build,$@)
	@ctest --preset $@ --output-on-failure --no-label-summary $(CTEST_ARGS)
	@cd build-coverage && find src -name '*.gcda' -print0 | xargs -0 gcov -n -r -s '$(CURDIR)/src' 2>/dev/null \
	  | awk -F"'" "/^File/ {file = \$$2} /^Lines executed/ && file {print file, \$$0; file = \"\"}" | sort -u

.PHONY: browser
browser: build  ## drives a real browser through lanes: links, logins, redirects (docs/releases.md)
	@tools/install-deps --browser
	@PYTHONDONTWRITEBYTECODE=1 tests/e2e/browser_test.py --chromium

.PHONY: bench
bench: deps  ## builds with optimisation and runs the benchmarks (the long ones: make curve, soak, faults)
	$(call build,release,--target benchmarks)
	@for bench in build-release/bin/*_bench; do [ ! -x "$$bench" ] || "$$bench" $(BENCH_ARGS) || exit 1; done
	@PYTHONDONTWRITEBYTECODE=1 bench/releases.py
	@PYTHONDONTWRITEBYTECODE=1 bench/readiness.py
	@PYTHONDONTWRITEBYTECODE=1 bench/load.py
	@PYTHONDONTWRITEBYTECODE=1 bench/failover.py
	@PYTHONDONTWRITEBYTECODE=1 bench/failover.py --stop
	@PYTHONDONTWRITEBYTECODE=1 bench/scale.py

.PHONY: curve
curve: deps  ## the load client at 100 to 10,000 services and 100 to 5,000 streams; bench/curve.py draws it
	$(call build,release,--target graymeshd ads_load)
	@PYTHONDONTWRITEBYTECODE=1 bench/load.py --curve --json build-release/curve.json

.PHONY: soak
soak: deps  ## churn, kills, slow and stuck readers for SOAK_MINUTES (10) before SOAK_STREAMS (300) proxies: memory stays flat
	$(call build,release,--target graymeshd ads_load)
	@PYTHONDONTWRITEBYTECODE=1 bench/soak.py --minutes $(SOAK_MINUTES) --streams $(SOAK_STREAMS)

.PHONY: fuzz
fuzz: tools  ## runs every fuzz target for FUZZ_SECONDS (60) with its corpus
	$(call build,fuzz,--target fuzz_targets)
	@for target in build-fuzz/bin/*_fuzz; do \
	  [ -x "$$target" ] || continue; \
	  name=$$(basename $$target _fuzz); \
	  echo "== $$name for $(FUZZ_SECONDS) s"; \
	  mkdir -p build-fuzz/corpus/$$name build-fuzz/found; \
	  "$$target" -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -timeout=10 -rss_limit_mb=2048 \
	    -artifact_prefix=build-fuzz/found/$$name- build-fuzz/corpus/$$name \
	    $$([ ! -d fuzz/$$name.corpus ] || echo fuzz/$$name.corpus) || exit 1; \
	done

.PHONY: format format-check
format: tools  ## formats our C++ in place
	@clang-format -i $(sources)

format-check: tools
	@clang-format --dry-run -Werror $(sources)

.PHONY: tidy
tidy: tools  ## runs clang-tidy on what changed in src/ since it was clean (FILES: some, or folders)
	@cmake --preset tidy >/dev/null
	@tools/tidy -j $(JOBS) $(FILES)

.PHONY: faults
faults: build  ## kills, stops and cuts off control planes before real Envoys: fails beyond 5 s until found, 2 s until current
	@GRAYMESH_BIN=build/bin PYTHONDONTWRITEBYTECODE=1 bench/partition.py

.PHONY: check
check: format-check tidy asan tsan fuzz test  ## all of it: format, tidy, sanitizers, fuzz, tests

.PHONY: clean
clean:  ## removes what the presets built
	@rm -rf build build-release build-asan build-tsan build-coverage build-fuzz build-tidy

.PHONY: deps tools
deps:
	@tools/install-deps $(or $(deps_for),$(if $(filter-out 0,$(MONITORING)),--monitoring))

# Their tests are skipped, out loud, where Prometheus or lighttpd is missing; `make test` brings them.
test asan tsan coverage: deps_for = --test

tools:
	@tools/install-deps --all

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z][a-z ]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | sort | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

.DEFAULT_GOAL := help

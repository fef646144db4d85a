# Two commands for users: `make demo` and `make test`. `make help` lists the rest, which .ci/run runs too.
# One feature set wherever possible, so that the AWS crates are compiled once per profile.
FEATURES := --features local
CARGO ?= cargo

# GStreamer's list of plugins, apart from the user's own.
export GST_REGISTRY := $(CURDIR)/target/gst-registry.bin
GST_ENV := G_DEBUG=fatal-warnings RUST_BACKTRACE=1

.DEFAULT_GOAL := help
.PHONY: help demo test soak fuzz fuzz-build build bench bench-core bench-quick fmt lint doc deny layers scripts faults endurance nightly ci

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## streams 20 s of live video to a local service, and shows it
	@scripts/setup demo
	$(CARGO) build --release --locked $(FEATURES) --lib --bin kvs-local --example demo
	@$${CARGO_TARGET_DIR:-target}/release/examples/demo

# Without nextest all tests of whole pipelines share a process: one after the other, since log lines and threads belong to the
# process, and with a limit of 20 minutes, since nothing else ends one that hangs.
LIMIT := $(if $(shell command -v timeout),--config 'target."cfg(all())".runner = "timeout --foreground --kill-after=10 1200"')
# Simulated worlds of a session, and of a spool: those of the tests are always the same, those of the soak are others each day.
TEST_WORLDS := 2000
SOAK_WORLDS ?= 100000
test: ## runs all tests
	@scripts/setup test
	@scripts/media
	@mkdir -p target && gst-inspect-1.0 fakesink >/dev/null # fill the registry once, not in every test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  set -ex; \
	  $(GST_ENV) $(CARGO) nextest run --locked $(FEATURES); \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) --doc; \
	  KVSSINK_WORLDS=$(TEST_WORLDS) $(CARGO) nextest run --locked --no-default-features --lib; \
	else \
	  set -ex; \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) $(LIMIT) --lib --bins --examples; \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) $(LIMIT) --test it -- --test-threads=1; \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) --doc; \
	  KVSSINK_WORLDS=$(TEST_WORLDS) $(CARGO) test --locked --no-default-features --lib; \
	fi

# Optimised, but with the checks of a debug build.
CHECKED := $(foreach check,debug-assertions overflow-checks,--config profile.release.package.kvssink.$(check)=true)
soak: export KVSSINK_WORLDS := $(SOAK_WORLDS)
soak: export KVSSINK_FIRST_SEED ?= $(shell date +%Y%m%d)000000
SOAK := $(CARGO) test --release --locked --lib --no-default-features $(CHECKED)
soak: ## SOAK_WORLDS (100000) simulated worlds of sessions and of spools, from KVSSINK_FIRST_SEED on; 7 GB through a real spool
	@echo "seeds $(KVSSINK_FIRST_SEED) and $(SOAK_WORLDS) on; a failure says how to replay it"
	$(SOAK) -- session::sim::wild:: spool::tests::worlds::
	KVSSINK_FULL_SIZE=1 $(SOAK) -- an_outage_on_real_files --nocapture

# cargo-fuzz on stable: guided by coverage, without a sanitizer, which would need nightly and finds nothing in safe code.
FUZZ_SECONDS ?= 60
FUZZ := $(CARGO) fuzz
FUZZ_TARGETS := $(sort $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs)))
fuzz-build: ## builds the fuzz targets (and cargo-fuzz), and runs what is committed of their corpora
	@$(FUZZ) --version || $(CARGO) install --quiet --locked --debug cargo-fuzz
	$(FUZZ) build -s none
	@for target in $(FUZZ_TARGETS); do (set -x; $(FUZZ) run -s none $$target -- -runs=0) || exit 1; done

fuzz: fuzz-build ## fuzzes each target for FUZZ_SECONDS (60); what it finds is in fuzz/artifacts
	@for target in $(FUZZ_TARGETS); do mkdir -p target/fuzz/$$target; \
	  (set -x; $(FUZZ) run -s none $$target target/fuzz/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS)) || exit 1; done

build: ## the plugin and kvs-local, as they are shipped
	@scripts/setup demo
	$(CARGO) build --release --locked $(FEATURES)

# The plugin comes first, as it is shipped: its size is told, too.
BENCH := $(CARGO) bench --locked $(FEATURES),internals --bench whole
bench: ## kvssink beside fakesink, matroskamux and a bare upload, as whole processes; writes docs/performance.md; 14 minutes
	@scripts/setup test
	@scripts/media
	$(CARGO) build --release --locked $(FEATURES) --lib
	$(BENCH)

bench-quick: ## the same with little media and one run of each, unoptimised, to prove that it works; writes target/bench/performance.md
	@scripts/setup test
	@scripts/media
	BENCH_QUICK=1 $(BENCH) --profile dev

bench-core: ## the core alone, by criterion: headers, store, acks, session, byte-stream to avc
	$(CARGO) bench --locked --no-default-features --features internals --bench core

fmt: ## formatting, checked
	$(CARGO) fmt --all -- --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml -- --check

lint: ## clippy, in each feature layer
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features local -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features net -- -D warnings -D unnameable_types
	$(CARGO) clippy --locked --all-targets $(FEATURES) -- -D warnings
	$(CARGO) clippy --locked --benches $(FEATURES),internals -- -D warnings

# First without the private items, as applications see it: that is what has to be described, with examples.
doc: ## documentation, private items too; checks that no public item is without
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps $(FEATURES)
	scripts/documented
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items $(FEATURES)

# The compiler proves that the core knows neither GStreamer nor tokio; the tree that each stack is there once.
STACK := aws-lc-rs|h2|http|http-body|hyper|hyper-util|reqwest|rustls|tokio|tokio-rustls
layers: ## the core builds alone, and no second HTTP or TLS stack comes in
	$(CARGO) check --locked --lib --no-default-features
	@twice=$$($(CARGO) tree --locked $(FEATURES) --edges normal --prefix none --no-dedupe --format '{p}' \
	    | awk '{ print $$1, $$2 }' | sort -u | awk '{ print $$1 }' | uniq -d | grep -xE '$(STACK)' || true); \
	  if [ -n "$$twice" ]; then echo "more than one version of:" $$twice >&2; exit 1; fi
	@gst=$$($(CARGO) tree --locked --no-default-features --edges normal --prefix none --format '{p}' \
	    | grep -E '^(gstreamer|glib|tokio|reqwest|hyper|aws-)' || true); \
	  if [ -n "$$gst" ]; then echo "the core depends on:" $$gst >&2; exit 1; fi

deny: ## licences, banned crates, sources (needs cargo-deny)
	$(CARGO) deny check bans licenses sources

scripts: ## shellcheck, where it is installed
	@if command -v shellcheck >/dev/null; then set -x; shellcheck $$(grep -lE '^#!.*(ba)?sh$$' scripts/*) pipelines/* .ci/run; \
	else echo "shellcheck is not installed: skipped"; fi

faults: ## runs every fault of kvs-local against whole pipelines, also a service that is away for a minute, and writes docs/faults.md
	@scripts/media
	UPDATE_FAULTS=1 FAULTS_LONG=1 $(GST_ENV) $(CARGO) test --locked $(FEATURES) --test it faults::

endurance: ## memory, threads and files of 1,000 starts and 2,000 reconnects, with the figures; three minutes
	ENDURANCE=1 $(GST_ENV) $(CARGO) test --locked $(FEATURES) --test it endurance:: -- --nocapture --test-threads=1

nightly: soak faults endurance fuzz ## what takes too long for each change: soak, faults, endurance, fuzz; an hour or so

ci: ## all that a change has to pass
	.ci/run

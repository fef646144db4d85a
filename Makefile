# Two commands for users: `make demo` and `make test`. `make help` lists the rest, which .ci/run runs too.
# One feature set wherever possible, so that the AWS crates are compiled once per profile.
FEATURES := --features local
CARGO ?= cargo

# GStreamer's list of plugins, apart from the user's own.
export GST_REGISTRY := $(CURDIR)/target/gst-registry.bin
GST_ENV := G_DEBUG=fatal-warnings RUST_BACKTRACE=1

.DEFAULT_GOAL := help
.PHONY: help demo test build fmt lint doc deny layers scripts faults endurance ci

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## streams 20 s of live video to a local service, and shows it
	@scripts/setup demo
	$(CARGO) build --release --locked $(FEATURES) --lib --bin kvs-local --example demo
	@$${CARGO_TARGET_DIR:-target}/release/examples/demo

# Without nextest all tests of whole pipelines share a process: one after the other, since log lines and threads belong to the
# process, and with a limit of 20 minutes, since nothing else ends one that hangs.
LIMIT := $(if $(shell command -v timeout),--config 'target."cfg(all())".runner = "timeout --foreground --kill-after=10 1200"')
test: ## runs all tests
	@scripts/setup test
	@scripts/media
	@mkdir -p target && gst-inspect-1.0 fakesink >/dev/null # fill the registry once, not in every test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  set -ex; \
	  $(GST_ENV) $(CARGO) nextest run --locked $(FEATURES); \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) --doc; \
	  $(CARGO) nextest run --locked --no-default-features --lib; \
	else \
	  set -ex; \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) $(LIMIT) --lib --bins --examples; \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) $(LIMIT) --test it -- --test-threads=1; \
	  $(GST_ENV) $(CARGO) test --locked $(FEATURES) --doc; \
	  $(CARGO) test --locked --no-default-features --lib; \
	fi

build: ## the plugin and kvs-local, as they are shipped
	@scripts/setup demo
	$(CARGO) build --release --locked $(FEATURES)

fmt: ## formatting, checked
	$(CARGO) fmt --all -- --check

lint: ## clippy, in each feature layer
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features local -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features net -- -D warnings
	$(CARGO) clippy --locked --all-targets $(FEATURES) -- -D warnings

doc: ## documentation, private items too
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
	@if command -v shellcheck >/dev/null; then set -x; shellcheck scripts/* pipelines/* .ci/run; \
	else echo "shellcheck is not installed: skipped"; fi

faults: ## runs every fault of kvs-local against whole pipelines, also a service that is away for a minute, and writes docs/faults.md
	@scripts/media
	UPDATE_FAULTS=1 FAULTS_LONG=1 $(GST_ENV) $(CARGO) test --locked $(FEATURES) --test it faults::

endurance: ## memory, threads and files of 1,000 starts and 2,000 reconnects, with the figures; three minutes
	ENDURANCE=1 $(GST_ENV) $(CARGO) test --locked $(FEATURES) --test it endurance:: -- --nocapture --test-threads=1

ci: ## all that a change has to pass
	.ci/run

# SPDX-License-Identifier: GPL-2.0-or-later
# `make` tells what there is. Set CARGO_TARGET_DIR to share build results; everything else lies in target/.

SHELL := /bin/sh
CARGO ?= cargo
PYTHON ?= python3
CARGO_OUT := $(or $(CARGO_TARGET_DIR),target)
VENV := target/venv
VENV_READY := $(VENV)/.ready
MODULES ?= $(firstword $(wildcard /usr/lib/*/kamailio/modules /usr/lib64/kamailio/modules /usr/local/lib*/kamailio/modules))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The steps share two locks, cargo's and apt's, and their output is read in order.
.NOTPARALLEL:
.PHONY: help build test soak soak-debian13 fuzz sanitize run bench check install clean
.PHONY: need-build need-test need-sanitize headers format lint lint-module docs pure edge c-host e2e

help: ## Says what each target does
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | \
		awk -F '\t' '{ printf "  %-14s %s\n", $$1, $$2 }'

build: headers ## Builds target/stox.so for the installed Kamailio; installs what that needs
	$(CARGO) build --release --lib --features module
	cp $(CARGO_OUT)/release/libstox.so target/stox.so.new
	mv -f target/stox.so.new target/stox.so
	sh include/check-symbols.sh target/stox.so

test: need-test format lint lint-module docs pure edge c-host e2e ## Runs every test: what .ci/run runs

soak: build $(VENV_READY) ## Runs the same tests with large counts, for hours, and fuzzes
	PROPTEST_CASES=20000 $(CARGO) test --release
	$(CARGO) test --release --test hostile_connections -- --ignored
	$(VENV)/bin/python -m pytest tests/e2e -m "soak or not soak"
	$(VENV)/bin/python -m pytest --link s2s $(PRESENCE) $(SURVIVAL) -m "soak or not soak"
	$(VENV)/bin/python -m pytest --link s2s --server ejabberd $(PRESENCE) $(SURVIVAL) -m "soak or not soak"
	sh tests/fuzz/run.sh
	$(MAKE) soak-debian13

soak-debian13: ## Builds for Debian 13 with its Kamailio 6.0 and plays the scenarios there; as root
	STOX_REQUIRE_PEERS=1 sh .ci/debian13.sh edge c-host e2e

fuzz: need-build ## Looks for inputs that break a promise, FUZZ_MINUTES for each target (10); TARGETS names some
	sh tests/fuzz/run.sh $(TARGETS)

# Scenarios that between them call every hook in both directions; valgrind makes each many times slower.
MEMCHECKED := tests/e2e/test_sip_watcher.py::test_is_told_to_wait_until_the_contact_approves \
	tests/e2e/test_sip_watcher.py::test_over_tcp_gets_his_notifies_on_his_connection \
	tests/e2e/test_xmpp_watcher.py::test_is_approved_and_sees_the_contact \
	tests/e2e/test_operator.py::test_rpc_tells_links_dialogs_and_status \
	tests/e2e/test_operator.py::test_statistics_count \
	tests/e2e/test_operator.py::test_event_routes_run \
	tests/e2e/test_bad_sip.py::test_options_are_answered

soak: sanitize

sanitize: build need-sanitize $(VENV_READY) ## Runs the tests under AddressSanitizer and valgrind; 0 reports expected
	sh tests/sanitize/build.sh
	STOX_UNDER=$(CURDIR)/tests/sanitize/under-asan.sh sh tests/chost/run.sh target/asan/stox.so
	STOX_UNDER=$(CURDIR)/tests/sanitize/under-valgrind.sh sh tests/chost/run.sh target/stox.so
	sh tests/sanitize/build.sh test --lib --bins --tests
	STOX_UNDER=$(CURDIR)/tests/sanitize/under-asan.sh STOX_MODULE=target/asan/stox.so \
		$(VENV)/bin/python -m pytest tests/e2e --ignore tests/e2e/test_demo.py
	STOX_UNDER=$(CURDIR)/tests/sanitize/under-valgrind.sh $(VENV)/bin/python -m pytest $(MEMCHECKED)

run: need-test build $(VENV_READY) ## Plays the scene with Kamailio, Prosody and real clients, then stays up
	$(VENV)/bin/python tests/e2e/demo.py $(ARGS)

bench: build ## Measures CPU time per operation and added latency, and what links between servers cost
	$(CARGO) bench --bench presence -- $(ARGS)
	$(CARGO) bench --bench messages -- $(MESSAGES_ARGS)
	$(CARGO) bench --bench federation -- $(FEDERATION_ARGS)

check: format lint pure ## Runs the fast part of the tests: format, lints, pure rooms; needs no Kamailio

install: build ## Puts stox.so where the installed Kamailio looks for modules (MODULES=... overrides)
	@test -n '$(MODULES)' || { echo 'make install: no module directory of Kamailio found: set MODULES' >&2; exit 1; }
	install -D -m 644 target/stox.so $(DESTDIR)$(MODULES)/stox.so

clean: ## Removes everything that was built or made
	$(CARGO) clean
	rm -rf target

need-build:
	@sh .ci/prerequisites.sh build

need-test:
	@sh .ci/prerequisites.sh test

need-sanitize:
	@sh .ci/prerequisites.sh sanitize

headers: need-build
	@test -n "$$KAMAILIO_SRC" || sh include/fetch-headers.sh target/kamailio-src

format:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --all-targets -- -D warnings

lint-module: headers
	$(CARGO) clippy --all-targets --features module -- -D warnings

docs: headers
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --features module --document-private-items

# The pure rooms, the XMPP edge, the store and the runtime, without Kamailio.
pure:
	$(CARGO) test --no-fail-fast

# The tests inside the Kamailio edge. They reach no symbol of Kamailio, which is not there.
edge: headers
	$(CARGO) test --features module --lib -- kamailio::

# The hooks of stox.so, driven by a C program without Kamailio.
c-host: build
	sh tests/chost/run.sh target/stox.so

# What a gateway as a component can do, one between servers can do as well.
PRESENCE := $(patsubst %,tests/e2e/test_%.py,sip_watcher xmpp_watcher presence_server restart phones xmpp_client ipv6 messages)
SURVIVAL := $(patsubst %,tests/e2e/test_%.py,survival killed limits)

# So many scenarios play at a time: most of them wait most of their time.
E2E_WORKERS ?= 3
E2E := $(VENV)/bin/python -m pytest -n $(E2E_WORKERS) --durations 5

e2e: build $(VENV_READY)
	$(E2E) tests/e2e
	$(E2E) --link s2s $(PRESENCE)

$(VENV_READY): tests/e2e/requirements.txt | need-test
	@echo 'Making $(VENV) for the Python packages of tests/e2e/requirements.txt: an XMPP client, a terminal and pytest'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# SPDX-License-Identifier: GPL-2.0-or-later

SHELL := /bin/sh

# A tree of Kamailio's source that is already there; otherwise the one of the
# installed Debian package is fetched, for its headers.
KAMAILIO_SRC ?=
SRC := $(if $(KAMAILIO_SRC),$(KAMAILIO_SRC),.cache/kamailio/tree)

PREFIX  ?= /usr
WEB_DIR ?= $(PREFIX)/share/call_resume
DESTDIR ?=
MODULES_DIR ?= $(firstword $(patsubst %/,%,$(dir $(wildcard /usr/lib/*/kamailio/modules/tm.so))) \
	$(PREFIX)/lib/kamailio/modules)
SBIN_DIR ?= $(PREFIX)/sbin
DOC_DIR ?= $(PREFIX)/share/doc/kamailio-call-resume
MAN_DIR ?= $(PREFIX)/share/man
KEYRING ?= build/keyring

# Debian has kamailio and kamcmd in sbin, which an ordinary user's PATH is without.
export PATH := $(PATH):/usr/sbin:/sbin

MODULE  := build/call_resume.so
SOURCES := $(wildcard modules/call_resume/*.[ch] modules/call_resume/core/*.[ch]) modules/call_resume/Makefile
# Installed in folders as here, so that the links between them hold.
DOCS    := $(wildcard README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md COPYING docs/*.md docs/*.png docs/*.json modules/call_resume/README.md tests/model/README.md \
	web/README.md web/LICENSE web/certificate.js web/early-socket.js web/kept-calls.js web/network-store.js web/patient-fetch.js web/call-resume/life.js web/call-resume/message.js web/call-resume/record.js web/examples/*.js \
	sipp_scenarios/README.md sipp_scenarios/*/README.md sipp_scenarios/*/*.xml \
	examples/portal/*.md examples/portal/*.mjs examples/portal/*.json examples/native/*)

.PHONY: build help deps packages packages-run test unit model sip js browser fuzz sanitize test-releases test-farends test-firefox test-cluster demo demo-cluster cluster run bench bench-storm bench-cluster soak bench-browser screenshots install install-web deb dist clean keyring
.NOTPARALLEL:

build: $(MODULE) ## the module, build/call_resume.so (the default)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

deps: ## install what is missing of Debian's packages
	@tools/deps test

# Without what only tests need.
packages:
	@tools/deps
packages-run:
	@tools/deps run

$(MODULE): $(SOURCES) tools/build-module
	@$(if $(KAMAILIO_SRC),,tools/kamailio-source .cache/kamailio)
	@tools/build-module '$(SRC)' $@

test: deps build ## every test, one summary
	@tools/test unit model fuzz sip cluster sanitize js browser build

test-releases: ## demo and tests in RELEASES="trixie forky" of Debian
	@tools/test-releases $(or $(RELEASES),trixie forky)

unit: ## tests of the core, with sanitizers
	@tools/test unit

model: ## the protocol, every order of events
	@tools/test model

sip: build ## tests on real Kamailio, rtpengine and SIPp
	@tools/test sip

test-cluster: deps build ## several gateways, of which one dies: every transport, both sides, 200 calls
	@CLUSTER_LONG=1 tools/test cluster

js: ## tests of the formats against other implementations
	@tools/test js

browser: build ## tests in a real browser, with audio
	@tools/test browser

test-firefox: deps build ## browser, all of it in Firefox; some 40 minutes
	@BROWSER=firefox tools/test browser

test-farends: deps build ## tests with Asterisk, in a root of Debian 14, and linphone as far ends
	@tools/test farends

fuzz: ## fuzz every parser for SECONDS (10) each, and say which lines were reached
	@$(MAKE) -s -k -j2 -C tests/fuzz run SECONDS=$(or $(SECONDS),$(FUZZ_SECONDS),10)
	@$(MAKE) -s -j2 -C tests/fuzz coverage

sanitize: deps build ## the tests on real Kamailio with the module under sanitizers
	@tools/sanitize tools/test sip

demo: packages build ## one call that survives, told as a timeline
	@tools/in-netns node tools/demo.mjs

demo-cluster: packages build ## one call that survives its gateway, told as a timeline
	@tools/in-netns node tools/demo-cluster.mjs

cluster: packages-run build ## three gateways, a balancer and a softphone in the foreground, until Ctrl-C
	@tools/web
	@node tools/cluster.mjs

run: packages-run build ## the stack and a softphone in the foreground, until Ctrl-C
	@tools/web
	@node tools/run.mjs

bench: packages build ## the figures, as a table and in build/bench.json
	@tools/in-netns node bench/run.mjs

soak: packages build ## 200,000 calls, 20,000 of them resumed: nothing fails, nothing grows
	@tools/in-netns node bench/soak.mjs

bench-storm: packages build ## PAGES (200) clients lose their gateway at once and come back, ROUNDS (5) times
	@tools/in-netns node bench/storm.mjs --pages=$(or $(PAGES),200) --rounds=$(or $(ROUNDS),5)

bench-cluster: deps build ## CALLS (200) calls, and PAGES (20) in Chromium, lose their node, ROUNDS (5) times; what it costs, and what others would
	@tools/web test
	@tools/in-netns node bench/cluster.mjs --calls=$(or $(CALLS),200) --pages=$(or $(PAGES),20) --rounds=$(or $(ROUNDS),5)

screenshots: deps build ## the softphone in each state: docs/softphone-*.png, build/screenshots
	@tools/web test
	@tools/in-netns node tools/screenshots.mjs

bench-browser: deps build ## what a reload costs in a real browser
	@tools/web test
	@tools/in-netns node bench/browser.mjs
	@BROWSER=firefox tools/in-netns node bench/browser.mjs --rounds=6 --reloads=10 --away= --out=build/bench-firefox.json

keyring: ## a new key ring, KEYRING=build/keyring
	@tools/keyring '$(KEYRING)'

install: build ## module, example configuration, commands and documentation, below DESTDIR
	install -d '$(DESTDIR)$(MODULES_DIR)' '$(DESTDIR)$(DOC_DIR)/examples'
	install -m 644 $(MODULE) '$(DESTDIR)$(MODULES_DIR)/call_resume.so'
	install -m 644 cfg/* '$(DESTDIR)$(DOC_DIR)/examples'
	install -D -m 755 tools/check '$(DESTDIR)$(SBIN_DIR)/call_resume-check'
	install -D -m 755 tools/check-sip '$(DESTDIR)$(SBIN_DIR)/call_resume-check-sip'
	install -D -m 755 tools/keyring '$(DESTDIR)$(SBIN_DIR)/call_resume-keyring'
	install -D -m 644 -t '$(DESTDIR)$(MAN_DIR)/man8' docs/*.8
	for f in $(DOCS); do \
		install -D -m 644 $$f '$(DESTDIR)$(DOC_DIR)'/$$f || exit 1; \
	done

install-web: ## the softphone, the browser helper and their bundles, below DESTDIR
	@tools/web
# Examples are not for a web root; earlier versions have installed them.
	rm -rf '$(DESTDIR)$(WEB_DIR)/web/examples'
	for f in web/*.html web/*.css web/*.webmanifest web/*.js web/*.d.ts web/call-resume/* web/softphone/*; do \
		install -D -m 644 $$f '$(DESTDIR)$(WEB_DIR)'/$$f || exit 1; \
	done
	install -d '$(DESTDIR)$(WEB_DIR)/bundle'
	install -m 644 build/bundle/*.js '$(DESTDIR)$(WEB_DIR)/bundle'

deb: ## Debian packages for this machine's release, in build/deb
	@tools/deb

dist: ## the source as an archive, in build
	@tools/dist

clean: ## what was built (the cache of Kamailio's source stays: .cache)
	rm -rf build

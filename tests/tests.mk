# SPDX-License-Identifier: Apache-2.0
# deps, run, test, bench, fuzz, lint, format, install, deb. Included by the main Makefile; variables are its own.

PYTHON ?= /usr/bin/python3
TEST_JOBS ?= 2
TEST_ARGS ?=

# --- what the system must have ---------------------------------------------
# One stamp a set of groups, older than dpkg's state only if something was installed or removed since. The
# question itself is one dpkg-query; with nothing missing it needs no network.
DEPS_FROM := tests/debian-packages tools/deps.sh $(wildcard /var/lib/dpkg/status)
DEPS_run  := build run
DEPS_test := build run test
DEPS_lint := build test lint
DEPS_deb  := build deb

$(O)/.deps-%: $(DEPS_FROM)
	@tools/deps.sh $(DEPS_$*) && mkdir -p $(@D) && touch $@

.PHONY: deps deps-run deps-test deps-lint deps-deb
deps: deps-test
deps-run deps-test deps-lint deps-deb: deps-%: $(O)/.deps-%

# The main Makefile asks gcc and clang for their paths while it is read, and they may only now have
# come. So what builds goes on in a make of its own, which reads everything again.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
AGAIN = +@$(MAKE) --no-print-directory $(JOBS)

# --- run and test ----------------------------------------------------------
.PHONY: run test test-all run-now test-now test-build
run: $(O)/.deps-run
	$(AGAIN) all
	@PF_BUILD=$(abspath $(O)) tools/demo.sh

BREAK_PROGRAMS := $(O)/break/pinfold $(addprefix $(O)/break/libexec/pinfold/,pinfold-init pinfold-egress pinfold-refuse pinfold-image pinfold-guard pinfold-unpack) $(O)/break/share/pinfold/guard-prompt.bin

# The shipped programs under sanitizers and a program of the public API beside each (tests/san). What tests/tier needs,
# so that make test-all can run that suite over them too.
SAN_PROGRAMS := $(foreach s,asan ubsan,$(addprefix $(O)/$(s)/,pinfold libexec/pinfold/pinfold-init libexec/pinfold/pinfold-egress libexec/pinfold/pinfold-refuse libexec/pinfold/pinfold-image libexec/pinfold/pinfold-guard libexec/pinfold/pinfold-unpack share/pinfold/guard-prompt.bin session))
SAN_TIER_PROGRAMS := $(foreach s,asan ubsan,$(patsubst tests/tier/%.c,$(O)/$(s)/tier/%,$(wildcard tests/tier/*.c)))
# 1: directory  2: flavour  3: flags  4: how to link
define san_programs
$(O)/obj/$(2)/tests/%.o: tests/%.c | $(GEN)
	$$(call say,CC,$$@)mkdir -p $$(@D) && $$(CC) $$($(3)) -MMD -MP -c -o $$@ $$<
$(1)/session: $(O)/obj/$(2)/tests/san/session.o $(O)/obj/$(2)/libpinfold.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(4))
$(1)/tier/session $(1)/tier/steps $(1)/tier/outputs $(1)/tier/guarded: $(1)/tier/%: $(O)/obj/$(2)/tests/tier/%.o $(O)/obj/$(2)/libpinfold.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(4))
$(1)/tier/liar: $(O)/obj/$(2)/tests/tier/liar.o $(SRC_INIT:src/%.c=$(O)/obj/$(2)/%.o) $(O)/obj/$(2)/libinner.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(4)) $$(LIAR_WRAPS)
$(1)/tier/%: $(O)/obj/$(2)/tests/tier/%.o $(O)/obj/$(2)/libinner.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(4))
endef
$(eval $(call san_programs,$(O)/asan,host,HOST_CFLAGS,HOST_LINK))
$(eval $(call san_programs,$(O)/ubsan,trap,TRAP_CFLAGS,MUSL_LINK))

# What tests/tier needs: a program of the public API, and an init that lies (the real one, with some of its calls wrapped).
TIER_PROGRAMS := $(O)/tier/guarded $(O)/tier/session $(O)/tier/steps $(O)/tier/outputs $(O)/tier/liar
LIAR_WRAPS = $(shell grep -o '__real_[a-z_]*' tests/tier/liar.c | sort -u | sed s/__real_/-Wl,--wrap=/)
$(O)/tier/guarded $(O)/tier/session $(O)/tier/steps $(O)/tier/outputs: $(O)/tier/%: $(O)/obj/tier/%.o $(O)/obj/musl/libpinfold.a
	$(call say,LINK,$@)mkdir -p $(@D) && $(MUSL_LINK)
$(O)/tier/liar: $(O)/obj/tier/liar.o $(SRC_INIT:src/%.c=$(O)/obj/musl/%.o) $(O)/obj/musl/libinner.a
	$(call say,LINK,$@)mkdir -p $(@D) && $(MUSL_LINK) $(LIAR_WRAPS)
$(O)/obj/tier/%.o: tests/tier/%.c | $(GEN)
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(MUSL_CFLAGS) -MMD -MP -c -o $@ $<

test-build: all $(UNIT) $(BREAK_PROGRAMS) $(SAN_PROGRAMS) $(TIER_PROGRAMS)

test: $(O)/.deps-test
	$(AGAIN) test-build
	@$(PYTHON) tools/run-tests.py --build $(O) --jobs $(TEST_JOBS) $(TEST_ARGS)

test-all: $(O)/.deps-test
	$(AGAIN) test-build $(SAN_TIER_PROGRAMS) $(FUZZERS)
	@tools/run-fuzzers.sh $(O) $(FUZZ_SECONDS) $(notdir $(FUZZERS))
	@$(PYTHON) tools/run-tests.py --build $(O) --jobs $(TEST_JOBS) --all $(TEST_ARGS)

.PHONY: fuzz fuzz-build bench bench-build
fuzz-build: $(FUZZERS)
fuzz: $(O)/.deps-test
	$(AGAIN) fuzz-build
	@tools/run-fuzzers.sh $(O) $(FUZZ_SECONDS) $(notdir $(FUZZERS))

# BENCH_ARGS: see bench/bench.py --help. BENCH_FORCE=1: measure on a busy machine too.
BENCH_PROGRAMS := $(O)/bench/runner $(O)/bench/empty
$(O)/obj/bench/%.o: bench/%.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(MUSL_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/bench/runner: $(patsubst %,$(O)/obj/bench/%.o,runner spawn exec stats) $(O)/libpinfold.a
	$(call say,LINK,$@)mkdir -p $(@D) && $(MUSL_LINK)
$(O)/bench/empty: $(O)/obj/bench/empty.o
	$(call say,LINK,$@)mkdir -p $(@D) && $(MUSL_LINK)
bench-build: all $(BENCH_PROGRAMS)

bench: $(O)/.deps-test
	$(AGAIN) bench-build
	@PF_BUILD=$(abspath $(O)) $(PYTHON) bench/bench.py $(BENCH_ARGS)

# As root. BENCH_ARGS: see bench/egress.py --help.
.PHONY: bench-egress
bench-egress: $(O)/.deps-test
	$(AGAIN) all
	@$(PYTHON) bench/egress.py --build $(O) $(BENCH_ARGS)

# --- style -----------------------------------------------------------------
C_FILES = $(sort $(shell find src tests tools include examples bench docs -name '*.[ch]' 2>/dev/null))
MAN_PAGES = $(sort $(wildcard man/*.[1-9]))
SHELL_FILES = $(sort $(wildcard tools/*.sh packaging/*.sh packaging/p*inst packaging/p*rm .ci/run))

# Not asked of cppcheck: what it guesses of arrays that a callee fills, of the cleanup attributes and of
# designated initialisers (gcc, clang and the sanitizers know better), and system headers.
CPPCHECK := cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
	-j $(TEST_JOBS) -Isrc -Iinclude -D_GNU_SOURCE -D__x86_64__ -D__linux__ -DPF_VERSION='""' -DPF_LIBEXEC='""' \
	$(addprefix --suppress=,missingIncludeSystem unreadVariable uninitvar legacyUninitvar arrayIndexOutOfBoundsCond \
	normalCheckLevelMaxBranches unknownMacro)

.PHONY: lint format lint-format lint-size lint-cppcheck lint-man lint-scripts
lint: $(O)/.deps-lint
	$(AGAIN) lint-format lint-size lint-cppcheck lint-man lint-scripts
lint-format:
	$(call say,LINT,clang-format)clang-format --dry-run -Werror $(C_FILES)
lint-size:
	$(call say,LINT,size)$(PYTHON) tools/check-size.py $(C_FILES)
lint-cppcheck:
	$(call say,LINT,cppcheck)$(CPPCHECK) src include
lint-man:
	$(call say,LINT,mandoc)$(if $(MAN_PAGES),mandoc -Tlint -Wwarning $(MAN_PAGES),true)
lint-scripts:
	$(call say,LINT,scripts)for f in $(SHELL_FILES); do bash -n $$f || exit 1; done; \
	$(PYTHON) -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' $$(find tools tests bench examples -name '*.py')

format:
	clang-format -i $(C_FILES)

# --- install ---------------------------------------------------------------
INSTALL ?= install
SHARE = $(DESTDIR)$(PREFIX)/share
ZSH_COMPLETIONS ?= $(SHARE)/zsh/site-functions
.PHONY: install
install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/pinfold $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib
	$(INSTALL) -m 755 $(O)/pinfold $(DESTDIR)$(PREFIX)/bin/pinfold
	$(INSTALL) -m 755 $(sort $(wildcard $(O)/libexec/pinfold/*) $(O)/libexec/pinfold/pinfold-init) $(DESTDIR)$(PREFIX)/libexec/pinfold/
	$(INSTALL) -m 644 include/pinfold.h $(DESTDIR)$(PREFIX)/include/pinfold.h
	$(INSTALL) -m 644 $(O)/libpinfold.a $(DESTDIR)$(PREFIX)/lib/libpinfold.a
	for page in $(MAN_PAGES); do \
		$(INSTALL) -D -m 644 $$page $(SHARE)/man/man$${page##*.}/$${page##*/} || exit 1; done
	$(INSTALL) -d $(SHARE)/bash-completion/completions $(ZSH_COMPLETIONS)
	$(O)/pinfold completion bash > $(SHARE)/bash-completion/completions/pinfold
	$(O)/pinfold completion zsh > $(ZSH_COMPLETIONS)/_pinfold
	chmod 644 $(SHARE)/bash-completion/completions/pinfold $(ZSH_COMPLETIONS)/_pinfold
	$(INSTALL) -D -m 644 share/guard-prompt.bin $(SHARE)/pinfold/guard-prompt.bin
	$(INSTALL) -D -m 644 share/guard-prompt.LICENSES $(SHARE)/doc/pinfold/guard-prompt.LICENSES
	for policy in $(wildcard policies/*.json); do \
		$(INSTALL) -D -m 644 $$policy $(SHARE)/pinfold/$$policy || exit 1; done
	for doc in LICENSE $(wildcard README.md SECURITY.md) $(wildcard docs/*); do \
		$(INSTALL) -D -m 644 $$doc $(SHARE)/doc/pinfold/$${doc#docs/} || exit 1; done
	for file in $$(find examples -type f ! -name '*.pyc'); do \
		$(INSTALL) -D -m 644 $$file $(SHARE)/doc/pinfold/$$file || exit 1; done

# A build of its own: the prefix is in the programs, and where the sources lie is not to be in the package.
.PHONY: deb
deb: $(O)/.deps-deb
	$(AGAIN) O=$(O)/deb PREFIX=/usr EXTRA_CFLAGS=-ffile-prefix-map=$(CURDIR)=. all
	@packaging/build-deb.sh $(O)/deb $(VERSION) $(O)

# SPDX-License-Identifier: Apache-2.0
# pinfold: one non-recursive makefile.
#
#   make            build/pinfold and build/libexec/pinfold/*
#   make run        run a hostile pull request's test suite in a sandbox
#   make test       every test that belongs to CI (make test-all: the slow ones too)
#   make bench      medians beside the peers that this machine has; bench-egress: the way out, as root
#   make fuzz       the fuzzers, FUZZ_SECONDS each
#   make lint format install clean deps
#   make deb        a Debian package, in the build directory
#
#   O=DIR     build directory            V=1       print commands
#   CC=clang  another compiler           SAN=asan|ubsan   programs for tests, under sanitizers, in build-$(SAN)

SAN ?=
$(if $(filter-out asan ubsan,$(SAN)),$(error SAN is asan or ubsan))
O ?= build$(if $(SAN),-$(SAN))
V ?= 0
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 20
EXTRA_CFLAGS ?=
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

# --- flags -----------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Werror -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral
BASE_CFLAGS := -std=gnu11 -O2 -g -fno-strict-aliasing -fstack-protector-strong -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE \
	-DPF_VERSION='"$(VERSION)"' -DPF_LIBEXEC='"$(PREFIX)/libexec/pinfold"' -Isrc -Iinclude -I$(O)/gen $(WARN) $(EXTRA_CFLAGS)

# The programs that ship are static and link musl alone. The wrapper musl-gcc
# knows only gcc, so the few flags it would add stand here and serve clang too.
MUSL_INC ?= /usr/include/x86_64-linux-musl
MUSL_LIB ?= /usr/lib/x86_64-linux-musl
KERNEL_INC := -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
MUSL_CFLAGS := $(BASE_CFLAGS) -nostdinc -isystem $(MUSL_INC) -isystem $(shell $(CC) -print-file-name=include) $(KERNEL_INC) -fno-pie -ffunction-sections -fdata-sections
LIBGCC := $(shell gcc -print-libgcc-file-name)
MUSL_LINK = $(CC) -static -no-pie -nostdlib -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,relro -o $@ $(MUSL_LIB)/crt1.o $(MUSL_LIB)/crti.o \
	$(filter %.o %.a,$^) -L$(MUSL_LIB) -Wl,--start-group -lc $(LIBGCC) -Wl,--end-group $(MUSL_LIB)/crtn.o

# In musl builds undefined behaviour traps; there is no run-time to report it. By clang, which sees more of it than gcc.
TRAP_CFLAGS := $(MUSL_CFLAGS) -fsanitize=undefined -fsanitize-undefined-trap-on-error -DPF_SAN_BUILD

# Unit tests and fuzzers are glibc programs under ASan and UBSan, and so is one build of the shipped programs.
HOST_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
HOST_CFLAGS := $(BASE_CFLAGS) $(HOST_SAN) -DPF_SAN_BUILD
HOST_LINK = $(CC) $(HOST_SAN) -o $@ $(filter %.o %.a,$^)
# pinfold-image ships too, and is the one program that links libraries: glibc, position-independent, hardened.
DYN_CFLAGS := $(BASE_CFLAGS) -fPIE -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2
IMAGE_LIBS := -larchive -lz -lcrypto
DYN_LINK = $(CC) -pie -Wl,-z,relro,-z,now,-z,noexecstack -o $@ $(filter %.o %.a,$^) $(IMAGE_LIBS)
HOST_IMAGE_LINK = $(HOST_LINK) $(IMAGE_LIBS)
# So does pinfold-guard, the prompt classifier.
PROMPT_LIBS := -lutf8proc -lm
DYN_PROMPT_LINK = $(CC) -pie -Wl,-z,relro,-z,now,-z,noexecstack -o $@ $(filter %.o %.a,$^) $(PROMPT_LIBS)
HOST_PROMPT_LINK = $(HOST_LINK) $(PROMPT_LIBS)
FUZZ_CC := clang
FUZZ_CFLAGS := $(BASE_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined

# --- sources ---------------------------------------------------------------
SRC_BASE      := $(sort $(wildcard src/base/*.c))
SRC_LINUX     := $(sort $(wildcard src/linux/*.c))
SRC_PROTO     := $(sort $(wildcard src/proto/*.c))
SRC_POLICY    := $(sort $(wildcard src/policy/*.c))
SRC_WORKSPACE := $(sort $(wildcard src/workspace/*.c))
SRC_TIER      := $(sort $(wildcard src/tier/*.c src/tier/container/*.c))
SRC_SANDBOX   := $(sort $(wildcard src/sandbox/*.c))
SRC_CLI       := $(sort $(wildcard src/cli/*.c))
SRC_INIT      := $(sort $(wildcard src/init/*.c))
SRC_EROFS     := $(sort $(wildcard src/erofs/*.c))
SRC_EGRESS    := $(filter-out src/egress/main.c,$(sort $(wildcard src/egress/*.c)))
# The patterns of redaction are data of a build tool; what ships are the tables it makes of them.
SRC_PATTERNS  := $(sort $(wildcard src/guard/redact_patterns_*.c))
SRC_GUARD     := $(filter-out $(SRC_PATTERNS),$(sort $(wildcard src/guard/*.c)))
SRC_VIEW      := $(sort $(wildcard src/view/*.c))

# What stands in libpinfold; init links base, proto and linux alone.
SRC_INNER := $(SRC_BASE) $(SRC_LINUX) $(SRC_PROTO)
SRC_IMAGE     := $(sort $(wildcard src/image/*.c))
SRC_LIB   := $(SRC_INNER) $(SRC_EGRESS) $(SRC_GUARD) $(SRC_POLICY) $(SRC_IMAGE) $(SRC_VIEW) $(SRC_WORKSPACE) $(SRC_TIER) $(SRC_SANDBOX)

# What pinfold-image is made of, beside src/image/import, src/erofs and what init links too.
SRC_IMPORT    := $(sort $(wildcard src/image/import/*.c))
SRC_TOOL      := $(sort $(wildcard src/image/tool/*.c)) $(filter src/image/names.c src/image/store%.c,$(SRC_IMAGE)) \
	$(addprefix src/sandbox/,live.c meta.c places.c) $(addprefix src/cli/,args.c complete.c out.c)

# pinfold-guard. Its encoder is compiled once a processor; contraction would make the paths' results differ.
SRC_PROMPT    := $(filter-out src/guard/prompt/main.c,$(sort $(wildcard src/guard/prompt/*.c)))
SRC_PROMPT_TOOL := $(addprefix src/cli/,args.c guard_prompt_opts.c out.c)
PROMPT_OBJS   := $(O)/obj/%/guard/prompt/
$(PROMPT_OBJS)encoder_scalar.o $(PROMPT_OBJS)encoder_avx2.o $(PROMPT_OBJS)encoder_vnni.o: FILE_CFLAGS = -O3 -ffp-contract=off -fno-trapping-math -fno-math-errno $(CPU_CFLAGS)
$(PROMPT_OBJS)encoder_avx2.o: CPU_CFLAGS := -mavx2
# With use-after-return checks gcc's ASan aligns frames to 32 bytes, and vectors of 64 in them fault (gcc PR 110027).
$(PROMPT_OBJS)encoder_vnni.o: CPU_CFLAGS := -fno-sanitize=address -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni

GEN := $(O)/gen/syscall_filter.h $(O)/gen/redact_tables.h

.PHONY: all
all: $(O)/pinfold $(addprefix $(O)/libexec/pinfold/,pinfold-init pinfold-egress pinfold-refuse pinfold-image pinfold-guard pinfold-unpack) $(O)/share/pinfold/guard-prompt.bin $(O)/libpinfold.a

# --- flavours: musl (ships), dyn (ships: pinfold-image), break (musl, test builds with PF_BREAK), trap (musl, UBSan), host (glibc, ASan), fuzz
# 1: flavour  2: compiler  3: flags
define flavour
$(O)/obj/$(1)/%.o: src/%.c | $(GEN)
	$$(call say,CC,$$@)mkdir -p $$(@D) && $(2) $(3) $$(FILE_CFLAGS) -MMD -MP -c -o $$@ $$<
$(O)/obj/$(1)/libpinfold.a: $(SRC_LIB:src/%.c=$(O)/obj/$(1)/%.o)
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
$(O)/obj/$(1)/libinner.a: $(SRC_INNER:src/%.c=$(O)/obj/$(1)/%.o)
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
$(O)/obj/$(1)/liberofs.a: $(SRC_EROFS:src/%.c=$(O)/obj/$(1)/%.o)
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
$(O)/obj/$(1)/libimport.a: $(SRC_IMPORT:src/%.c=$(O)/obj/$(1)/%.o)
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
$(O)/obj/$(1)/libprompt.a: $(SRC_PROMPT:src/%.c=$(O)/obj/$(1)/%.o)
	$$(call say,AR,$$@)rm -f $$@ && ar rcs $$@ $$^
endef
$(eval $(call flavour,musl,$$(CC),$$(MUSL_CFLAGS)))
$(eval $(call flavour,dyn,$$(CC),$$(DYN_CFLAGS)))
$(eval $(call flavour,break,$$(CC),$$(MUSL_CFLAGS) -DPF_BREAK_BUILD))
$(eval $(call flavour,trap,$$(FUZZ_CC),$$(TRAP_CFLAGS)))
$(eval $(call flavour,host,$$(CC),$$(HOST_CFLAGS)))
$(eval $(call flavour,fuzz,$$(FUZZ_CC),$$(FUZZ_CFLAGS)))

.SECONDARY:

# The system-call filter is compiled when pinfold is built: a program of the
# build machine turns the table into BPF, and init carries the result.
$(O)/gen/mkfilter: tools/mkfilter.c src/linux/seccomp_table.c src/linux/seccomp_tree.c src/linux/seccomp.h src/linux/seccomp_table.h
	$(call say,HOSTCC,$@)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) -o $@ $(filter %.c,$^)
$(O)/gen/syscall_filter.h: $(O)/gen/mkfilter
	$(call say,GEN,$@)$< > $@.tmp && mv $@.tmp $@

# Likewise the patterns of output redaction; their examples are tried on the way.
$(O)/gen/mkrules: tools/mkrules.c $(SRC_PATTERNS) src/guard/redact_pattern.c src/guard/redact_check.c src/base/base64.c src/guard/redact_patterns.h src/guard/redact_internal.h
	$(call say,HOSTCC,$@)mkdir -p $(@D) && $(CC) $(BASE_CFLAGS) -o $@ $(filter %.c,$^)
$(O)/gen/redact_tables.h: $(O)/gen/mkrules
	$(call say,GEN,$@)$< > $@.tmp && mv $@.tmp $@

# 1: directory  2: flavour  3: how to link
define programs
$(1)/pinfold: $(SRC_CLI:src/%.c=$(O)/obj/$(2)/%.o) $(O)/obj/$(2)/libpinfold.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(3))
$(1)/libexec/pinfold/pinfold-init: $(SRC_INIT:src/%.c=$(O)/obj/$(2)/%.o) $(O)/obj/$(2)/libinner.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(3))
$(1)/libexec/pinfold/pinfold-refuse: $(O)/obj/$(2)/refuse/main.o
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(3))
$(1)/libexec/pinfold/pinfold-egress: $(O)/obj/$(2)/egress/main.o $(SRC_EGRESS:src/%.c=$(O)/obj/$(2)/%.o) $(O)/obj/$(2)/libinner.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(3))
endef
# As above.
define image_program
$(1)/libexec/pinfold/pinfold-image: $(SRC_TOOL:src/%.c=$(O)/obj/$(2)/%.o) $(O)/obj/$(2)/libimport.a $(O)/obj/$(2)/liberofs.a \
		$(O)/obj/$(2)/libinner.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(3))
endef
# As above. The weights stand where the program looks for them: two folders above it, in share.
define guard_program
$(1)/libexec/pinfold/pinfold-guard: $(O)/obj/$(2)/guard/prompt/main.o $(SRC_PROMPT_TOOL:src/%.c=$(O)/obj/$(2)/%.o) $(O)/obj/$(2)/libprompt.a \
		$(O)/obj/$(2)/libinner.a
	$$(call say,LINK,$$@)mkdir -p $$(@D) && $$($(3))
$(1)/share/pinfold/guard-prompt.bin: share/guard-prompt.bin
	$$(call say,COPY,$$@)mkdir -p $$(@D) && ln -f $$< $$@ 2>/dev/null || cp $$< $$@
endef
# Archives in output, for the redactor: so confined that no sanitizer could run in it, and so the same in every build.
$(O)/libexec/pinfold/pinfold-unpack: $(O)/obj/dyn/guard/unpack/main.o
	$(call say,LINK,$@)mkdir -p $(@D) && $(CC) -pie -Wl,-z,relro,-z,now,-z,noexecstack -o $@ $< -lz -lbz2 -llzma
$(foreach dir,break ubsan asan,$(O)/$(dir)/libexec/pinfold/pinfold-unpack): $(O)/libexec/pinfold/pinfold-unpack
	$(call say,COPY,$@)mkdir -p $(@D) && cp $< $@
SHIPPED := $(if $(SAN),$(if $(filter asan,$(SAN)),host,trap),musl)
SHIPPED_LINK := $(if $(filter asan,$(SAN)),HOST_LINK,MUSL_LINK)
$(eval $(call programs,$(O),$(SHIPPED),$(SHIPPED_LINK)))
$(eval $(call image_program,$(O),$(if $(SAN),host,dyn),$(if $(SAN),HOST_IMAGE_LINK,DYN_LINK)))
$(eval $(call guard_program,$(O),$(if $(SAN),host,dyn),$(if $(SAN),HOST_PROMPT_LINK,DYN_PROMPT_LINK)))
$(O)/libpinfold.a: $(O)/obj/$(SHIPPED)/libpinfold.a
	$(call say,COPY,$@)cp $< $@

# Test builds: PF_BREAK takes single defences off, to prove that each attack's test can fail; sanitizers watch tests/san.
$(eval $(call programs,$(O)/break,break,MUSL_LINK))
$(eval $(call programs,$(O)/ubsan,trap,MUSL_LINK))
$(eval $(call programs,$(O)/asan,host,HOST_LINK))
$(eval $(call image_program,$(O)/break,dyn,DYN_LINK))
$(foreach dir,ubsan asan,$(eval $(call image_program,$(O)/$(dir),host,HOST_IMAGE_LINK)))
$(eval $(call guard_program,$(O)/break,dyn,DYN_PROMPT_LINK))
$(foreach dir,ubsan asan,$(eval $(call guard_program,$(O)/$(dir),host,HOST_PROMPT_LINK)))

# --- unit tests ------------------------------------------------------------
UNIT := $(patsubst tests/unit/%.c,$(O)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
$(O)/unit/%: tests/unit/%.c $(addprefix $(O)/obj/host/,libimport.a liberofs.a libprompt.a libpinfold.a) | $(GEN)
	$(call say,UNIT,$@)mkdir -p $(@D) && $(CC) $(HOST_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(filter %.a,$^) -lcmocka $(UNIT_LIBS)
$(O)/unit/test_seccomp: UNIT_LIBS := -lseccomp
$(O)/unit/test_import%: UNIT_LIBS := $(IMAGE_LIBS)
$(O)/unit/test_prompt%: UNIT_LIBS := $(PROMPT_LIBS)

FUZZERS := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
$(O)/fuzz/%: tests/fuzz/%.c $(addprefix $(O)/obj/fuzz/,libimport.a liberofs.a libprompt.a libpinfold.a) | $(GEN)
	$(call say,FUZZ,$@)mkdir -p $(@D) && $(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined -MMD -MP -MF $@.d -o $@ $< $(filter %.a,$^) $(FUZZ_LIBS)
$(O)/fuzz/fuzz_oci $(O)/fuzz/fuzz_layer: FUZZ_LIBS := $(IMAGE_LIBS)
$(O)/fuzz/fuzz_prompt $(O)/fuzz/fuzz_prompt_weights: FUZZ_LIBS := $(PROMPT_LIBS)

-include $(shell find $(O)/obj $(O)/unit $(O)/fuzz -name '*.d' 2>/dev/null)

include tests/tests.mk

.PHONY: clean
clean:
	rm -rf $(O)

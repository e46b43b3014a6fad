# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `make help` lists the targets. Everything is built below $(O); nothing else is written.
# A new .c or .bpf.c file in a directory below is picked up by its name: see the wildcards.

O ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG ?= clang
BPFTOOL ?= $(or $(shell command -v bpftool),/usr/sbin/bpftool)
PKG_CONFIG ?= pkg-config
PYTHON ?= python3
OBJCOPY ?= objcopy
FUZZ_SECONDS ?= 5
KERNELS ?= 6.1 6.12
VERSION := 0.1.0

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

Q := $(if $(filter-out 0,$(V)),,@)
say = $(if $(and $(Q),$(if $(findstring s,$(firstword -$(MAKEFLAGS))),,1)),@printf '  %-8s %s\n' '$1' '$(patsubst $(O)/%,%,$2)')

# ---- sources ------------------------------------------------------------------------------
#
# Each list can be given on the command line, to build around a file that does not compile yet:
# make BPF_SRCS=bpf/egress.bpf.c, make LIB_SRCS="user/policy.c user/diag.c" unit UNIT=policy_test

MAINS ?= $(filter $(patsubst user/%.c,%,$(wildcard user/*.c)),egressd egressctl egress-run)
BPF_SRCS ?= $(sort $(wildcard bpf/*.bpf.c))
LIB_SRCS ?= $(sort $(filter-out user/egressd.c user/egressctl.c user/egress-run.c,\
	$(wildcard user/*.c)))
UNIT ?= $(patsubst selftests/unit/%.c,%,\
	$(sort $(wildcard selftests/unit/*_test.c selftests/unit/*_diff.c)))
FUZZ ?= $(patsubst selftests/fuzz/fuzz_%.c,%,$(sort $(wildcard selftests/fuzz/fuzz_*.c)))
KTEST ?= $(patsubst selftests/%.c,%,$(sort $(wildcard selftests/kernel/*_test.c) \
	$(wildcard selftests/attacks/*_test.c)))
# Shell tests run as they are: on the host, or in the VM.
HOST_SCRIPTS ?= $(sort $(wildcard selftests/vm/*_test selftests/vm/*_test.sh) \
	$(wildcard selftests/unit/*_test.sh))
# On the host, with --egress-only, and in the VM.
NATIVE_SCRIPTS ?= $(sort $(wildcard selftests/native/*_test.sh))
# Not selftests/attacks/suite_test.sh: it takes longer than all of these; make attacks. Nor
# init_test.sh, which has builds of five kinds to wait for: make init-test. Nor deb_test.sh: its
# package needs tools that nothing else does; make deb-test.
VM_SCRIPTS ?= $(sort $(filter-out %/deb_test.sh %/init_test.sh,\
	$(wildcard selftests/kernel/*_test.sh)))

# Linked to one program, too, that loads the agent once: selftests/kernel/suite.c. Not those that
# unload it, count what it keeps, or need none.
suite-names := $(filter-out $(addsuffix _test,dfa_diff failing harness identity leave prove rig \
	switch),\
	$(notdir $(filter kernel/%,$(KTEST))))

unit-help := $(filter-out %_test.c %_diff.c,$(sort $(wildcard selftests/unit/*.c)))
ktest-help := $(sort $(filter-out %_test.c %.bpf.c %/suite.c,$(wildcard selftests/kernel/*.c)))
ktest-bpf := $(sort $(wildcard selftests/kernel/*.bpf.c))

# ---- flags --------------------------------------------------------------------------------

ARCH ?= $(shell uname -m)
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(ARCH:riscv64=riscv)))
VMLINUX ?= vmlinux
# v3: 32-bit operations and atomics that return a value; in every kernel since 5.12.
# BPF_PROG() declares a ctx that most programs do not use.
BPF_CFLAGS := -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Wno-unused-parameter -Werror \
	-D__TARGET_ARCH_$(BPF_ARCH) -I$(VMLINUX) -Ibpf $(BPF_EXTRA)

PKGS := libbpf libelf zlib libfyaml jansson ldns libidn2 libsystemd libnl-3.0 libnl-route-3.0 libnl-idiag-3.0 libmicrohttpd
needs-build := $(filter-out help clean lint vmlinux% deb cross,$(or $(MAKECMDGOALS),all))
ifneq ($(needs-build),)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) $(if $(wildcard selftests/unit),cmocka))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS))
ifeq ($(PKG_LIBS),)
$(error libraries are missing: run tools/deps)
endif
endif

CFLAGS ?= -O2 -g
# -idirafter: user/limits.h must not be found by gcc's own <limits.h>, which looks for "syslimits.h"
# and from there for the next limits.h of the quote path. -Uunix: gnu11 defines it.
common := -std=gnu11 -Uunix -Wall -Wextra -Werror -Wstrict-prototypes -Wvla -D_GNU_SOURCE \
	-DEG_VERSION='"$(VERSION)"' -DEG_PREFIX='"$(PREFIX)"' \
	-DEG_DATADIR='"$(PREFIX)/share/egressctl"' \
	-iquote selftests/unit -iquote selftests/kernel -iquote . -idirafter user -idirafter bpf \
	-I$(O) -I$(O)/selftests/kernel $(PKG_CFLAGS)
hardening := -fPIE -fstack-protector-strong -fstack-clash-protection \
	$(if $(filter x86,$(BPF_ARCH)),-fcf-protection)
sanitizers := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

cc-main := $(CC)
cflags-main := $(common) $(hardening) $(CFLAGS) \
	$(if $(SANITIZE),$(sanitizers),-D_FORTIFY_SOURCE=2)
cc-san := $(CC)
cflags-san := $(common) -g -O1 $(sanitizers)
cc-fuzz := $(CLANG)
cflags-fuzz := $(common) -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined -DEG_FUZZING

ldflags := -Wl,--as-needed -Wl,-z,relro,-z,now -pie $(LDFLAGS)
ldlibs := $(PKG_LIBS) -lm $(LDLIBS)
# Not -MMD: it leaves out what -idirafter finds, which for a test is all of user/.
depflags = -MD -MP -MF $@.d -MT $@

# What was built with other flags is built again.
define flags-file
$(O)/.flags-$1: FORCE
	@mkdir -p $(O)
	@echo '$(subst ','\'',$2)' | cmp -s - $$@ || echo '$(subst ','\'',$2)' >$$@
endef
$(eval $(call flags-file,bpf,$(CLANG) $(BPF_CFLAGS)))
$(foreach f,main san fuzz,$(eval $(call flags-file,$f,$(cc-$f) $(cflags-$f) $(ldflags))))

# ---- programs -----------------------------------------------------------------------------

bpf-objs := $(BPF_SRCS:%.c=$(O)/%.o)
skeleton := $(O)/egressctl.skel.h

all: $(MAINS:%=$(O)/%) $(O)/egressctl.bpf.o
bpf: $(skeleton)

$(O)/bpf/%.bpf.o: bpf/%.bpf.c $(O)/.flags-bpf
	$(call say,CLANG,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(depflags) -c -o $@ $<

$(O)/egressctl.bpf.o: $(bpf-objs)
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(skeleton): $(O)/egressctl.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name egressctl_bpf >$@

# Programs that are the same need not be loaded again: user/bpf_load.c.
programs-id := $(O)/programs_id.h
$(programs-id): $(O)/egressctl.bpf.o
	$(call say,GEN,$@)
	$(Q)sha256sum $< | sed 's/^\(.\{16\}\).*/#define EG_PROGRAMS_ID "\1"/' >$@

# Where credentials lie is written once, in a policy. A home is no secret: /root is left out.
secret-paths := $(O)/secret_paths.h
$(secret-paths): policies/secrets.yaml Makefile
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q){ echo 'static const char *const secret_paths[] = {'; \
	sed -n '/^files:/,$$s/^  "\{0,1\}\([^ #"].*[^"]\)"\{0,1\}: none.*/\1/p' $< | \
	sed -n '/^\/root$$/d; s/^~/\/home\/*/p; t home; p; b; :home; s/^\/home\/\*/\/root/p' | \
	sed 's/^\*\*/\/&/; s/.*/	"&",/'; echo '};'; } >$@

# Objects, a flavour each: main, san (unit tests), fuzz.
define flavour
$(O)/$1/%.o: %.c $(O)/.flags-$1
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(cc-$1) $$(cflags-$1) $$(depflags) -c -o $$@ $$<

$(O)/$1/libegress.a: $$(LIB_SRCS:%.c=$(O)/$1/%.o)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^

# Only .c files include a skeleton; -MMD finds out too late that it has to be made first.
$$(addprefix $(O)/$1/,$$(patsubst %.c,%.o,$$(skeleton-users))): | $(skeleton)
$(O)/$1/user/event_looks.o: | $(secret-paths)
$(O)/$1/user/bpf_load.o: | $(programs-id)
endef
skeleton-users := $(shell grep -ls 'egressctl\.skel\.h' $(wildcard user/*.c selftests/*/*.c))
$(foreach f,main san fuzz,$(eval $(call flavour,$f)))

$(O)/libegress.a: $(O)/main/libegress.a
	$(Q)cp $< $@

$(MAINS:%=$(O)/%): $(O)/%: $(O)/main/user/%.o $(O)/libegress.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $^ $(ldlibs)

# The egressd of another ABI, for tests of what happens when one replaces the other.
next-objs := $(patsubst %.c,$(O)/next/%.o,$(shell grep -ls '\<EG_ABI\>' user/*.c))
$(O)/next/%.o: %.c $(O)/.flags-main | $(skeleton) $(programs-id)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) -DEG_ABI=999u $(depflags) -c -o $@ $<

$(O)/selftests/egressd_next: $(O)/main/user/egressd.o $(next-objs) $(O)/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $^ $(ldlibs)

# One with the same maps and other programs.
$(O)/other/%.o: %.c $(O)/.flags-main | $(skeleton)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) -DEG_PROGRAMS_ID='"other"' $(depflags) -c -o $@ $<

$(O)/selftests/egressd_other: $(O)/main/user/egressd.o $(O)/other/user/bpf_load.o $(O)/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $^ $(ldlibs)

# Programs whose helpers fail when they are told to (bpf/fault.bpf.h): each file of them has a number.
failing := $(O)/failing
failing-objs := $(BPF_SRCS:%.c=$(failing)/%.o)
$(failing)/bpf/%.bpf.o: bpf/%.bpf.c $(O)/.flags-bpf Makefile
	$(call say,CLANG,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -DEG_FAULTS=$$(printf '%s\n' $(BPF_SRCS) | grep -nxF $< | cut -d: -f1)u \
		$(depflags) -c -o $@ $<

$(failing)/egressctl.bpf.o: $(failing-objs)
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(failing)/egressctl.skel.h: $(failing)/egressctl.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name egressctl_bpf >$@

$(failing)/user/%.o: user/%.c $(failing)/egressctl.skel.h $(O)/.flags-main
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -I$(failing) $(cflags-main) -include linux/types.h -include bpf/fault.h \
		-DEG_PROGRAMS_ID='"failing"' $(depflags) -c -o $@ $<

# The settings that are there already are the administrator's.
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
		$(DESTDIR)$(PREFIX)/share/egressctl/policies $(DESTDIR)$(UNITDIR)
	install -m 755 $(addprefix $(O)/,$(filter-out egressd,$(MAINS))) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(addprefix $(O)/,$(filter egressd,$(MAINS))) $(DESTDIR)$(PREFIX)/sbin
	$(foreach p,$(wildcard policies/*),\
		install -m 644 $p $(DESTDIR)$(PREFIX)/share/egressctl/policies &&) :
	$(foreach p,$(wildcard man/*.[1-8]),\
		install -D -m 644 $p -t $(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $p)) &&) :
	sed 's|@SBINDIR@|$(PREFIX)/sbin|' tools/service/egressd.service.in \
		>$(DESTDIR)$(UNITDIR)/egressd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/egressd.service
	install -D -m 644 tools/service/egressd.tmpfiles \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/egressctl.conf
	install -D -m 644 tools/service/egressctl.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/egressctl
	ln -sf egressctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/egress-run
	[ -e $(DESTDIR)$(SYSCONFDIR)/egressctl/egressd.yaml ] || \
		install -D -m 644 tools/service/egressd.yaml \
			$(DESTDIR)$(SYSCONFDIR)/egressctl/egressd.yaml

# ---- packages -----------------------------------------------------------------------------
#
# Built in a copy of the tree, with its own flags: dpkg-buildpackage writes where it is called. Each time
# afresh: an object can be newer than a source that was changed after it had been copied.

deb-dir := $(O)/deb
deb-tree := $(deb-dir)/tree
deb-sources := Makefile README.md SECURITY.md bpf docs man policies tools user vmlinux
deb-version = $(shell dpkg-parsechangelog -l tools/debian/changelog -S Version 2>/dev/null)

# MAKEFLAGS: what was given on this command line (O=, CFLAGS=) is not for the package.
deb:
	$(if $(deb-version),,$(error dpkg-dev is missing: run tools/deps --package))
	$(if $(filter $(VERSION),$(deb-version)),,$(error \
		tools/debian/changelog is of $(deb-version), and the Makefile of $(VERSION)))
	$(call say,DEB,$(deb-dir)/egressctl_$(VERSION))
	$(Q)rm -rf $(deb-tree) $(deb-dir)/egressctl* && mkdir -p $(deb-tree)
	$(Q)cp -a $(deb-sources) $(deb-tree) && mv $(deb-tree)/tools/debian $(deb-tree)/debian
	$(Q)cd $(deb-tree) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
		dpkg-buildpackage -b -nc -us -uc $(if $(Q),>../log 2>&1 || \
			{ tail -n 40 ../log; exit 1; })
	$(Q)ls $(deb-dir)/*.deb

deb-test: deb $(O)/selftests/egressd_other $(O)/selftests/work/probe
	$(Q)lintian --fail-on error,warning,info $(deb-dir)/*.changes
	$(Q)$(run) $(KERNELS:%=--kernel %) selftests/vm/first_session.sh selftests/kernel/deb_test.sh

# Whether it compiles and links for another architecture; nothing of it runs here.
cross-dir := $(O)/arm64
cross:
	$(Q)d=$$(tools/cross) && $(MAKE) all O=$(cross-dir) ARCH=aarch64 CC=$$d/cc AR=$$d/ar \
		PKG_CONFIG=$$d/pkg-config
	$(Q)for p in $(MAINS); do LC_ALL=C readelf -h $(cross-dir)/$$p | grep -q AArch64 || \
		{ echo "$$p is not for arm64" >&2; exit 1; }; done
	$(Q)ls $(MAINS:%=$(cross-dir)/%)

# ---- tests --------------------------------------------------------------------------------

unit-progs := $(UNIT:%=$(O)/selftests/unit/%)
fuzz-progs := $(FUZZ:%=$(O)/selftests/fuzz/fuzz_%)
ktest-progs := $(KTEST:%=$(O)/selftests/%)
LIFECYCLE_ROUNDS ?= 1000
STRESS_SECONDS ?= 600
IDENTITY_ROUNDS ?= 100000
bench-prog := $(if $(wildcard selftests/bench/*.c),$(O)/selftests/bench/bench)
dns-bench := $(O)/selftests/bench/dns_bench
suite := $(if $(suite-names),$(O)/selftests/kernel/suite)
attack-prog := $(if $(wildcard selftests/attacks/*.c),$(O)/selftests/attacks/attack)
tests-vm = $(if $(ktest-progs)$(VM_SCRIPTS),$(MAINS:%=$(O)/%) $(O)/selftests/egressd_next \
	$(O)/selftests/egressd_other \
	$(ktest-progs) $(suite) $(work-progs) $(attack-prog))
run = FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) selftests/run --output $(O) $(RUN_FLAGS)

# Libraries come last, whatever a program needs beside them.
objs-and-libs = $(filter %.o,$^) $(filter %.a,$^)

$(unit-progs): $(O)/selftests/%: $(O)/san/selftests/%.o $(unit-help:%.c=$(O)/san/%.o) \
		$(O)/san/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-san) $(ldflags) $(ldflags-fake) -o $@ $(objs-and-libs) $(ldlibs) -lcmocka

$(fuzz-progs): $(O)/selftests/%: $(O)/fuzz/selftests/%.o $(O)/fuzz/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(cflags-fuzz) -fsanitize=fuzzer $(ldflags) $(ldflags-fake) -o $@ \
		$(objs-and-libs) $(ldlibs)

$(O)/selftests/fuzz/fuzz_hello: $(O)/fuzz/selftests/unit/slow_hello.o
$(O)/selftests/fuzz/fuzz_edit: $(O)/fuzz/selftests/unit/policy_same.o

# The server over a kernel in memory: selftests/fake/fake.h says what is taken from there.
fake-objs := $(patsubst %.c,%.o,$(sort $(wildcard selftests/fake/*.c)))
fake-wraps := getsockopt chown fork syscall denials_open denials_sweep
fake-units := $(addprefix $(O)/selftests/unit/,maps_test server_test)
$(fake-units): $(addprefix $(O)/san/,$(fake-objs))
$(O)/selftests/fuzz/fuzz_control: $(addprefix $(O)/fuzz/,$(fake-objs))
$(fake-units) $(O)/selftests/fuzz/fuzz_control $(O)/selftests/faults/faults_control: \
	ldflags-fake := $(fake-wraps:%=-Wl,--wrap=%)

# The same targets with allocations that fail: selftests/faults/faults.c says how.
# hello: it allocates nothing
faults-progs := $(patsubst %,$(O)/selftests/faults/faults_%,$(filter-out hello,$(FUZZ)))
faults-fail := malloc calloc realloc strdup strndup vasprintf asprintf open_memstream

# What the target itself allocates is there.
to-real = $(OBJCOPY) $(foreach f,$(faults-fail),--redefine-sym $f=__real_$f) $< $@
$(O)/san/selftests/faults/%.o: $(O)/san/selftests/fuzz/fuzz_%.o Makefile
	@mkdir -p $(@D)
	$(Q)$(to-real)
$(O)/san/selftests/faults/fake/%.o: $(O)/san/selftests/fake/%.o Makefile
	@mkdir -p $(@D)
	$(Q)$(to-real)
$(O)/selftests/faults/faults_control: \
	$(fake-objs:selftests/fake/%=$(O)/san/selftests/faults/fake/%)

$(faults-progs): $(O)/selftests/faults/faults_%: $(O)/san/selftests/faults/%.o \
		$(O)/san/selftests/faults/faults.o $(addprefix $(O)/san/selftests/unit/,\
		slow_hello.o policy_same.o) $(O)/san/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-san) $(ldflags) $(foreach f,$(faults-fail),-Wl,--wrap=$f) \
		$(ldflags-fake) -o $@ $(objs-and-libs) $(ldlibs)

# Kernel tests bring programs of their own: selftests/kernel/NAME.bpf.c is NAME.skel.h.
$(O)/selftests/kernel/%.bpf.o: selftests/kernel/%.bpf.c $(O)/.flags-bpf
	$(call say,CLANG,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(depflags) -c -o $@ $<

$(O)/selftests/kernel/%.skel.h: $(O)/selftests/kernel/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $* >$@

ktest-skels := $(ktest-bpf:%.bpf.c=$(O)/%.skel.h)
$(KTEST:%=$(O)/main/selftests/%.o) $(ktest-help:%.c=$(O)/main/%.o): | $(ktest-skels)
# The generator and the oracle of the unit tests judge the kernel's automaton too.
ktest-shared := $(filter selftests/unit/gen_rules.c selftests/unit/slow_match.c,$(unit-help))
ktest-objs := $(ktest-help:%.c=$(O)/main/%.o) $(ktest-shared:%.c=$(O)/main/%.o)

$(O)/main/libktest.a: $(ktest-objs)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(ktest-progs): $(O)/selftests/%: $(O)/main/selftests/%.o $(O)/main/libktest.a $(O)/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $(objs-and-libs) $(ldlibs)

$(O)/selftests/kernel/failing_test: $(failing)/user/bpf_load.o

$(O)/suite/%.o: $(O)/main/selftests/kernel/%.o
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-sym main=suite_$* $< $@

$(O)/suite_list.h: Makefile FORCE
	@mkdir -p $(@D)
	@printf 'SUITE(%s)\n' $(suite-names) | cmp -s - $@ || printf 'SUITE(%s)\n' $(suite-names) >$@

$(O)/main/selftests/kernel/suite.o: | $(O)/suite_list.h

$(suite): $(O)/main/selftests/kernel/suite.o $(suite-names:%=$(O)/suite/%.o) \
		$(O)/main/libktest.a $(O)/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $^ $(ldlibs)

$(bench-prog): $(patsubst %.c,$(O)/main/%.o,\
		$(sort $(filter-out %/dns_bench.c,$(wildcard selftests/bench/*.c)))) \
		$(O)/main/libktest.a $(O)/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $^ $(ldlibs)

$(dns-bench): $(O)/main/selftests/bench/dns_bench.o $(O)/libegress.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) -o $@ $^ $(ldlibs)

# What hostile programs of the shell tests and benches do.
work-progs := $(patsubst selftests/kernel/work/%.c,$(O)/selftests/work/%,\
	$(sort $(wildcard selftests/kernel/work/*.c)))

$(work-progs): $(O)/selftests/work/%: $(O)/main/selftests/kernel/work/%.o
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) $(ldflags) $(ldflags-work) -o $@ $^

# nothing may run in it before main()
$(O)/selftests/work/first: ldflags-work := -static

# Static: it runs under any sandbox, whatever that shows of the system.
$(attack-prog): $(patsubst %.c,$(O)/main/%.o,$(sort $(wildcard selftests/attacks/*.c)))
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) -static -o $@ $^

$(O)/selftests/attacks/landlocked: $(O)/main/selftests/attacks/landlock/landlocked.o
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags-main) -static -o $@ $^

tests: all $(O)/selftests/egressd_next $(O)/selftests/egressd_other $(unit-progs) $(fuzz-progs) \
	$(faults-progs) $(ktest-progs) $(suite) $(work-progs) $(attack-prog) $(bench-prog) $(dns-bench)

# make faults lets more allocations fail one by one.
check: tests
	$(Q)FAULTS_EACH=40 $(run) $(KERNELS:%=--kernel %) $(HOST_SCRIPTS) $(unit-progs) $(fuzz-progs) \
		$(faults-progs) \
		$(ktest-progs) $(VM_SCRIPTS) $(NATIVE_SCRIPTS)

unit: $(unit-progs)
	$(Q)$(run) $(unit-progs)

fuzz: $(fuzz-progs)
	$(Q)$(run) $(fuzz-progs)

faults: $(faults-progs)
	$(Q)$(run) $(faults-progs)

native: all
	$(Q)$(run) $(NATIVE_SCRIPTS)

vmtest: $(tests-vm)
	$(Q)$(run) $(KERNELS:%=--kernel %) $(ktest-progs) $(VM_SCRIPTS)

# egressctl init in projects of five kinds, each with its own tools.
init-test: all
	$(Q)$(run) $(KERNELS:%=--kernel %) selftests/kernel/init_test.sh

# egressctl setup --boot and what the next boot makes of it, after tools/deps --package.
reboot-test: all
	$(Q)KERNELS='$(KERNELS)' $(run) selftests/vm/reboot.sh

# Every attack of selftests/attacks, a line each, on each kernel in turn.
attacks: $(tests-vm)
	$(Q)export EGRESSCTL_BUILD=$(abspath $(O)) EGRESSCTL_POLICY_DIR=$(CURDIR)/policies; \
		$(foreach k,$(KERNELS),tools/vm --kernel $k --quick --single-thread \
			--timeout 3600 -- selftests/attacks/suite.py --table &&) :

# The same under other sandboxes, after tools/deps --compare.
compare: all $(attack-prog) $(O)/selftests/attacks/landlocked
	$(Q)EGRESSCTL_BUILD=$(abspath $(O)) tools/vm --kernel 6.12 --init systemd --quick \
		--single-thread --memory 3G \
		--timeout 14400 -- selftests/attacks/compare.py >$(O)/comparison.md
	$(Q)mv $(O)/comparison.md docs/comparison.md

bench: $(bench-prog)
	$(Q)tools/vm --kernel 6.12 --count-instructions --timeout 1200 -- $(abspath $<)

# Times of this machine, where the other one counts instructions.
bench-dns: $(dns-bench)
	$(Q)$<

bench-allow: all
	$(Q)$(PYTHON) selftests/bench/allow_bench.py $(O)

# In full size: what is timed runs here, as root; the rest in VMs.
bench-operate: tests
	$(Q)$(PYTHON) selftests/bench/allow_bench.py $(O)
	$(Q)$(PYTHON) selftests/bench/operate_bench.py $(O) violations ps
	$(Q)EGRESSCTL_TRIES=1000 $(PYTHON) selftests/bench/operate_bench.py $(O) revoke
	$(Q)tools/vm --kernel 6.12 --count-instructions --timeout 1200 -- \
		$(PYTHON) selftests/bench/operate_bench.py $(abspath $(O)) attach
	$(Q)export EGRESSCTL_TRIES=1000 EGRESSCTL_SWITCHES=10000; $(foreach k,$(KERNELS),\
		tools/vm --kernel $k --timeout 3600 -- \
			$(abspath $(O))/selftests/kernel/switch_test &&) :

# As selftests/kernel/floods_test.sh in every run, with 10 million violations and the like.
floods: $(tests-vm)
	$(Q)export EGRESSCTL_BUILD=$(abspath $(O)) EGRESSCTL_POLICY_DIR=$(CURDIR)/policies \
		EGRESSCTL_FLOOD=full; $(foreach k,$(KERNELS),tools/vm --kernel $k --quick --memory 4G \
		--timeout 14400 -- selftests/kernel/floods_test.sh &&) :

lifecycle: $(tests-vm)
	$(Q)export EGRESSCTL_BUILD=$(abspath $(O)); $(foreach k,$(KERNELS),tools/vm --kernel $k \
		--single-thread --quick --timeout 360000 -- \
		selftests/kernel/lifecycle.sh $(LIFECYCLE_ROUNDS) &&) :

# As selftests/kernel/stress_test.sh in every run, for longer.
stress: $(tests-vm)
	$(Q)export EGRESSCTL_BUILD=$(abspath $(O)) EGRESSCTL_STRESS_SECONDS=$(STRESS_SECONDS) \
		EGRESSCTL_STRESS_THREADS=64; \
		$(foreach k,$(KERNELS),tools/vm --kernel $k --append preempt=full \
		--quick --timeout 7200 -- selftests/kernel/stress_test.sh &&) :

identity: $(tests-vm)
	$(Q)for k in $(KERNELS); do EGRESSCTL_ROUNDS=$(IDENTITY_ROUNDS) tools/vm --kernel $$k \
		--quick --single-thread --timeout 36000 -- $(abspath $(O)/selftests/kernel/identity_test) || exit 1; done

demo: all
	$(Q)EGRESSCTL_BUILD=$(O) tools/demo/run

# ---- kernel types ---------------------------------------------------------------------------

vmlinux:
	$(Q)vmlinux/regenerate

vmlinux-check:
	$(Q)vmlinux/regenerate --check

lint:
	$(Q)$(PYTHON) selftests/lint

# ---- the rest -------------------------------------------------------------------------------

clean:
	rm -rf $(O)

help:
	@echo 'make               egressd, egressctl, egress-run and the BPF programs, in $(O)/'
	@echo 'make check         every test; the last line counts passed, failed, skipped'
	@echo 'make unit          unit tests, with sanitizers   (UNIT="policy_test ...")'
	@echo 'make fuzz          fuzzers, FUZZ_SECONDS=$(FUZZ_SECONDS) each  (FUZZ="policy ...")'
	@echo 'make faults        the parsers with each allocation failing in turn'
	@echo 'make native        a real npm install with --egress-only, on this kernel (as root)'
	@echo 'make vmtest        kernel tests in VMs           (KERNELS="$(KERNELS)" KTEST="kernel/files_test ...")'
	@echo 'make init-test     egressctl init in projects of five kinds, with their own tools'
	@echo 'make reboot-test   egressctl setup --boot, and the boot after it  (tools/deps --package)'
	@echo 'make attacks       every attack: control, verdict, errno, event  (KERNELS="$(KERNELS)")'
	@echo 'make compare       the same under other sandboxes, as docs/comparison.md'
	@echo 'make bench         instruction counts on Linux 6.12, beside their targets'
	@echo 'make bench-dns     times of the resolver on this machine, beside their targets'
	@echo 'make bench-allow   how long allow and revoke take on this machine (as root)'
	@echo 'make bench-operate allow, log, ps, attach and revoked flows in full size (as root)'
	@echo 'make floods        10 million violations, a million queries, and what else drowns (hours)'
	@echo 'make lifecycle     kills, upgrades and republishes under a probe  (LIFECYCLE_ROUNDS=$(LIFECYCLE_ROUNDS))'
	@echo 'make stress        looks for a wrong verdict under full preemption  (STRESS_SECONDS=$(STRESS_SECONDS) each)'
	@echo 'make identity      sandboxes come and go, nothing stays  (IDENTITY_ROUNDS=$(IDENTITY_ROUNDS))'
	@echo 'make demo          a real build under a policy, with an attack inside'
	@echo 'make install       DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)'
	@echo 'make deb           a Debian package, in $(O)/deb; make deb-test tries it in VMs (as root)'
	@echo 'make cross         the programs for arm64, in $(O)/arm64'
	@echo 'make vmlinux       rewrite vmlinux/vmlinux.h from the stock kernels; vmlinux-check compares'
	@echo 'make lint          what the compiler does not see of the house style'
	@echo 'make clean         remove $(O)/'
	@echo 'Variables: O=DIR, V=1 (show commands), SANITIZE=1, CFLAGS, CC, CLANG, VMLINUX=DIR,'
	@echo '           and the lists of sources at the top of the Makefile.'

FORCE:

.PHONY: all bpf install deb deb-test cross tests check unit fuzz faults native vmtest init-test \
	reboot-test attacks compare bench bench-dns bench-allow bench-operate floods lifecycle \
	stress identity demo vmlinux vmlinux-check lint clean help FORCE

# Not of the trees within it, which are built by a make of their own.
-include $(shell find $(O) \( -path $(deb-dir) -o -path $(cross-dir) \) -prune -o \
	-name '*.d' -type f -print 2>/dev/null)

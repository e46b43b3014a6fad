#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# egressctl doctor where all is well, and where something is not: a hook that was
# detached, LSM programs without ftrace, somebody else's program. It switches hooks off
# that run, for the whole machine.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
stay=

doctor() {
	"$egressctl" doctor "$@" >$w/out 2>$w/err
	status=$?
}

found() { # level check text
	grep -Eq "^$1 +$2 .*$3" $w/out
}

nothing_missing() { is 0 && ! grep -q '^missing' $w/out && out 'Full enforcement is available'; }
no_trace() { none_left && [ -z "$(ls /sys/fs/bpf)$(find /run/egressctl -name 'prove-*')" ]; }

# link_of PROGRAM: the id of egressd's link of it
link_of() {
	bpftool -j link show pinned /sys/fs/bpf/egressctl/abi*/links-*/"$1" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])'
}

PATH=$PATH:/usr/sbin
prepare

doctor
check "as root without egressd: everything is there" nothing_missing
check "LSM hooks are proved" found ok lsm_hooks 'each refused what it must'
check "and cgroup hooks" found ok cgroup_hooks 'each refused what it must'
check "no hook is left unproved" [ "$(grep -c 'not proved' $w/out)" = 0 ]
check "and nothing is left behind" no_trace
as_tester "$egressctl" doctor >$w/out 2>$w/err
status=$?
check "others can do nothing without egressd, and are told" is 125
check "... why" found missing service 'only root can start sandboxes'

start_service
result $? "egressd starts"
"$egressctl" log >$w/log # the machine's own, before
doctor --json
python3 - $w/out <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["enforcement"] == "full" and d["status"] == 0, d
bad = [h for h in d["hooks"] if h["state"] not in ("proved", "absent")]
assert not bad, bad
assert sum(h["state"] == "proved" for h in d["hooks"]) > 60
# another kernel's, or of another form
absent = {h["program"] for h in d["hooks"] if h["state"] == "absent"}
assert absent <= {"inode_setattr_2", "inode_setattr_3", "inode_set_acl", "inode_remove_acl",
                  "file_truncate", "file_ioctl_compat"}, absent
END
result $? "egressd proves every hook"
as_tester "$egressctl" doctor >$w/out 2>$w/err
status=$?
check "a user sees it, too" nothing_missing
check "and what could not be looked at" found warning user 'not looked at without root'
"$egressctl" ps --json >$w/out
check "no sandbox of a proof is left" [ "$(tr -d '[:space:]' <$w/out)" = '[]' ]
"$egressctl" log | cmp -s - $w/log
result $? "nor an event in the log"

bpftool link detach id "$(link_of connect4)"
doctor
check "a hook that was detached is named" found missing cgroup_hooks 'silent: connect4:'
check "and the answer is no" is 1
stop_service

# foreign_lsm NAME CODE: somebody else's program for file_open
foreign_lsm() {
	cat >$w/"$1".c <<-END
		char LICENSE[] __attribute__((section("license"), used)) = "GPL";
		static long (*comm)(void *to, unsigned int size) = (void *)16;
		__attribute__((section("lsm/file_open"), used)) int $1(unsigned long long *ctx)
		{
		        char c[16] = {};
		        comm(c, sizeof(c));
		        $2
		}
	END
	clang -target bpf -O2 -g -c -o $w/"$1".o $w/"$1".c || return
	# Debian's bpftool attaches no LSM program
	python3 - $w/"$1".o /sys/fs/bpf/"$1" >$w/out 2>&1 <<-END
		import ctypes, sys
		bpf = ctypes.CDLL("libbpf.so.1")
		for f in ("bpf_object__open", "bpf_object__next_program", "bpf_program__attach"):
		    getattr(bpf, f).restype = ctypes.c_void_p
		obj = ctypes.c_void_p(bpf.bpf_object__open(sys.argv[1].encode()))
		if not obj or bpf.bpf_object__load(obj):
		    sys.exit(1)
		link = bpf.bpf_program__attach(ctypes.c_void_p(bpf.bpf_object__next_program(obj, None)))
		sys.exit(not link or bpf.bpf_link__pin(ctypes.c_void_p(link), sys.argv[2].encode()) != 0)
	END
}

# Asked before ours, which has the last word: what it refuses stays refused.
# (asm: the compiler would make arithmetic of it, which the verifier does not follow)
foreign_lsm others "if (c[0] != 'z' || c[1] != '-') return 0; __asm__ volatile(\"\"); return -1;"
result $? "control: somebody else's program refuses files to some"
start_service
doctor
check "egressd attaches it anew" nothing_missing
cp /bin/cat $w/z-cat
$w/z-cat $w/policy.yaml >$w/out 2>$w/err
status=$?
check "a refusal of others stays one, outside" both 127 'Operation not permitted'
/bin/cat $w/policy.yaml >$w/out
check "... and that program allows the rest" grep -q ^version $w/out
rm /sys/fs/bpf/others
if [ "$EGRESSCTL_VM" != 6.1 ]; then
	foreign_lsm positive "return c[0];"
	[ $? -ne 0 ] && grep -q 'R0' $w/out
	result $? "control: this kernel loads no program that could answer anything but 0 or an errno"
fi

sysctl -qw kernel.ftrace_enabled=0
doctor
check "without ftrace the answer is no" is 1
check "the LSM layer is silent" found missing lsm_hooks 'the LSM layer is silent'
check "and it says why" found missing ftrace 'ftrace_enabled is 0'
check "the cgroup layer is not" found ok cgroup_hooks 'each refused what it must'
sysctl -qw kernel.ftrace_enabled=1
doctor
check "with ftrace all is well again" nothing_missing

# somebody else's program, on the root of the hierarchy
echo '__attribute__((section("cgroup/connect4"), used)) int other(void *ctx) { return 1; }' |
	clang -target bpf -O2 -g -x c -c -o $w/other.o - &&
	bpftool prog load $w/other.o /sys/fs/bpf/other type cgroup/connect4 &&
	bpftool cgroup attach "$cgroups" connect4 pinned /sys/fs/bpf/other multi
result $? "control: another program is attached above"
doctor
check "it is no obstacle" is 0
check "but named" found warning agents "'other' \\(connect4\\) at $cgroups runs for sandboxes"
bpftool cgroup detach "$cgroups" connect4 pinned /sys/fs/bpf/other
rm /sys/fs/bpf/other
stop_service
check "nothing is left" no_trace
finish

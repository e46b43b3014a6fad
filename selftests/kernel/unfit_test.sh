#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A host, or a container, where egressctl cannot work: each time one message that names what is
# missing and what to do, 125, and nothing half done. Each is made in a mount namespace of its own,
# where the same command works as long as nothing is taken away.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
stay=

# within CHANGES COMMAND…: output in $w/out and $w/err
within() {
	local changes=$1
	shift
	(cd $w/work && unshare -m --propagation private sh -c "set -e; $changes; exec \"\$@\"" \
		sh "$@") >$w/out 2>$w/err </dev/null
	status=$?
}

one_line() { [ "$(wc -l <$w/err)" -eq 1 ] && [ ! -s $w/out ]; }
all_told() { # STATUS TEXT…
	local text
	is "$1" && one_line || return
	shift
	for text; do
		err "$text" || return
	done
}

# unfit NAME CHANGES HOW TEXT…: refused to a command and to the service; HOW goes before them
unfit() {
	local name=$1 changes=$2 how=$3
	shift 3
	within "$changes" $how "$egressctl" run -p $w/policy.yaml -- /bin/echo started
	check "$name: one message, with what to do" all_told 125 "$@"
	within "$changes" $how "$egressd"
	check "... from egressd, too" all_told 1 "$@"
	check "... and nothing is left" nothing_left
}

nothing_left() {
	none_left && [ -z "$(ls /sys/fs/bpf)" ] && [ ! -e /run/egressctl/control.sock ]
}

works() { # NAME CHANGES
	within "$2" "$egressctl" run -p $w/policy.yaml -- /bin/cat $w/secret
	check "$1" both 1 'Permission denied'
	check "... and nothing is left" nothing_left
}

doctor_says() { # CHANGES STATUS TEXT
	within "$1" "$egressctl" doctor
	check "... and doctor knows" eval "is $2 && out '$3'"
}

# The first hierarchy, which every kernel has without a controller.
legacy='mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd none /sys/fs/cgroup/systemd'
attach='in a container.* egressctl attach'

prepare
works "control: in a mount namespace of its own" true
works "where no BPF file system is mounted, one is" 'umount -a -t bpf'

no_bpffs='umount -a -t bpf; mount -t tmpfs none /sys/fs; mkdir /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup'
unfit "no BPF file system, and no place for one" "$no_bpffs" '' 'mount -t bpf bpf /sys/fs/bpf'
unfit "one that is read-only" 'mount -o remount,ro,bind /sys/fs/bpf' '' \
	'the BPF file system at /sys/fs/bpf is read-only' 'remount,rw /sys/fs/bpf'

unfit "cgroup v1 alone" "umount -a -t cgroup2; $legacy" '' \
	'no cgroup v2 file system' 'systemd.unified_cgroup_hierarchy=1'
doctor_says "umount -a -t cgroup2; $legacy" 125 '^missing *cgroup .*no cgroup v2'
works "both (hybrid)" "umount -a -t cgroup2; $legacy; mkdir /sys/fs/cgroup/unified
	mount -t cgroup2 none /sys/fs/cgroup/unified"
unfit "cgroup v2 that is read-only" "mount -o remount,ro,bind $cgroups" '' \
	"cgroup v2 at $cgroups is read-only" "$attach"

unfit "a kernel without type information" 'mount -t tmpfs none /sys/kernel/btf' '' \
	/sys/kernel/btf/vmlinux CONFIG_DEBUG_INFO_BTF=y
# what it says of itself under a personality for programs that cannot count to three
unfit "a kernel that is too old" true 'setarch --uname-2.6' 'Linux 2\.6\..* is too old: 6\.1'

few='-sys_admin,-bpf,-perfmon,-sys_resource,-sys_module,-net_admin'
unfit "a container without privileges" true "setpriv --bounding-set=$few --inh-caps=-all" \
	'no CAP_SYS_ADMIN' "$attach"
unfit "a container in a user namespace" true 'unshare -r' 'a user namespace' "$attach"

mkdir $w/alone
cp "$egressctl" $w/alone
unfit_alone() { (cd $w/work && exec $w/alone/egressctl run -p $w/policy.yaml -- /bin/echo started); }
unfit_alone >$w/out 2>$w/err
status=$?
check "egressctl without the program egressd" all_told 125 'egressd is not running' '\.\./sbin'
install -m 755 /bin/false $w/alone/egressd
unfit_alone >$w/out 2>$w/err
status=$?
check "... with one that does not serve" all_told 125 'alone/egressd ended early'
ln -sf "$egressd" $w/alone/egressd
unfit_alone >$w/out 2>$w/err
status=$?
check "... with it" prints started
"$egressd" --for-run refuse >$w/out 2>$w/err 3</dev/null
status=$?
check "what egressctl run starts, started by hand" all_told 1 'is not its socket'
check "... and nothing is left" nothing_left

# No service manager runs here.
"$egressctl" attach -p $w/policy.yaml --unit none.service >$w/out 2>$w/err
status=$?
check "a unit, where no systemd runs" all_told 125 \
	'no systemd runs here' 'its cgroup (--cgroup)'
as_tester "$egressctl" run -p $w/policy.yaml -- /bin/true >$w/out 2>$w/err
status=$?
check "a user, where no egressd runs" all_told 125 'egressd'
check "... and nothing is left" nothing_left
finish

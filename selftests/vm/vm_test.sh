#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# tools/vm: what a test that runs in it relies on.
# Prints ok/not ok lines and a count; exit status 1 when something failed.
set -u
cd "$(dirname "$0")/../.." || exit 1
vm=$PWD/tools/vm
kernels="6.1 6.12"
passed=0 failed=0 skipped=0

tmp=$(mktemp -d) || exit 1
# Names this run's emulators in the process list; the kernel ignores an argument it does not know.
mark=vmtest.$$
trap 'rm -rf "$tmp"' EXIT

result() { # status name
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $2"
	else
		failed=$((failed + 1))
		echo "not ok $2"
		sed 's/^/# /' "$tmp/err" | tail -20
	fi
}

guest() { # vm arguments; output in $tmp/out and $tmp/err, status in $status
	"$vm" --append "$mark" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
}

expect_status() { # wanted name
	[ "$status" = "$1" ]
	result $? "$2 (status $status, want $1)"
}

contains() { # file pattern name
	grep -q -- "$2" "$1"
	result $? "$3"
}

emulators() {
	pgrep -f -- "qemu-system-x86_64.* $mark" | while read -r pid; do
		# pgrep also finds setpriv before it has become the emulator, and zombies that init reaps.
		grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null || echo "$pid"
	done
}

# The kernel kills it when its parent has died: that takes a moment.
none_left() {
	local i
	for i in $(seq 100); do
		[ -z "$(emulators)" ] && return 0
		sleep 0.05
	done
	emulators | sed 's/^/# left over: /'
	return 1
}

start() { # vm arguments: in the background, until the command prints "ready"; pid in $vm_pid
	mkfifo "$tmp/ready"
	"$vm" --append "$mark" "$@" >"$tmp/ready" 2>"$tmp/err" </dev/null &
	vm_pid=$!
	read -r line <"$tmp/ready"
	rm "$tmp/ready"
	[ "$line" = ready ]
}

test_kernel() {
	guest --kernel "$1" -- sh -c '
		uname -r; pwd; cat /sys/kernel/security/lsm; echo
		modprobe -a veth dummy bridge sctp tun && ls -d /sys/module/veth /sys/module/dummy
		ip -o link show lo up
		cat /sys/fs/cgroup/cgroup.subtree_control
		for t in bpf cgroup2 tracefs securityfs; do grep -q " $t " /proc/mounts && echo "mount $t"; done
		echo "vm $EGRESSCTL_VM"
		echo to stderr >&2
		exit 7'
	expect_status 7 "$1: the exit status passes through"
	contains "$tmp/out" "^${1//./\\.}\\.[0-9]" "$1: that kernel runs"
	contains "$tmp/out" "^vm $1\$" "$1: the command is told so"
	contains "$tmp/out" "^$PWD\$" "$1: the current directory is the same"
	contains "$tmp/out" '\<bpf\>' "$1: lsm contains bpf"
	contains "$tmp/out" '^/sys/module/veth' "$1: veth loads"
	contains "$tmp/out" '^/sys/module/dummy' "$1: dummy loads"
	contains "$tmp/out" ' lo: ' "$1: lo is up"
	contains "$tmp/out" 'cpu .*memory .*pids' "$1: cgroup controllers are enabled"
	for t in bpf cgroup2 tracefs securityfs; do
		contains "$tmp/out" "^mount $t\$" "$1: $t is mounted"
	done
	contains "$tmp/err" '^to stderr$' "$1: stderr arrives"
	! grep -q 'to stderr' "$tmp/out"
	result $? "$1: and not on stdout"
}

test_output() {
	head -c 1000000 /dev/urandom >"$tmp/random"
	guest --share "$tmp" -- sh -c "cat '$tmp/random'; echo back >'$tmp/back'; echo gone >./vm_test.gone"
	expect_status 0 "success passes through"
	cmp -s "$tmp/random" "$tmp/out"
	result $? "1 MB of binary arrives intact"
	[ "$(cat "$tmp/back" 2>/dev/null)" = back ]
	result $? "a shared directory is written back"
	[ ! -e vm_test.gone ]
	result $? "what is written elsewhere vanishes"
}

test_endings() {
	guest -- sh -c 'sleep 1000 & yes >/dev/null & kill -9 $$'
	expect_status 137 "a signal that ends the command, with processes left behind"
	guest -- no-such-command
	expect_status 127 "a command that does not exist"
	guest -- sh -c 'echo c >/proc/sysrq-trigger'
	expect_status 125 "a guest that panics"
	contains "$tmp/err" 'Kernel panic' "shows its last words"
	guest --append lsm=landlock,yama -- sh -c '! grep -q bpf /sys/kernel/security/lsm'
	expect_status 0 "--append reaches the kernel"
	guest --count-instructions --kernel 6.1 -- true
	expect_status 125 "--count-instructions refuses 6.1"
	guest --memory nonsense -- true
	expect_status 125 "an emulator that does not start"
	"$vm" --append "$mark" -- yes 2>"$tmp/err" | head -1 >"$tmp/out"
	status=${PIPESTATUS[0]}
	expect_status 141 "a reader that goes away"
}

test_stops() {
	guest --timeout 1 -- sh -c 'trap "" TERM; echo begun; sleep 1000'
	expect_status 124 "a command that takes too long"
	contains "$tmp/out" '^begun$' "has its output shown"
	none_left
	result $? "and leaves no emulator"

	for s in TERM INT KILL; do
		start -- sh -c 'echo ready; sleep 1000'
		result $? "SIG$s: output streams while the command runs"
		[ -n "$(emulators)" ]
		result $? "SIG$s: the emulator is found while it runs"
		kill -$s "$vm_pid"
		wait "$vm_pid" 2>/dev/null
		none_left
		result $? "SIG$s to tools/vm leaves no emulator"
	done
}

# The shortest of many short rounds: a longer one contains a timer interrupt now and then.
count_program='
import os, time
def measure():
    start = time.perf_counter_ns()
    for _ in range(200):
        os.getppid()
    return time.perf_counter_ns() - start
print(os.cpu_count(), min(measure() for _ in range(200)))'

test_counting() {
	local first second
	guest --count-instructions -- /usr/bin/python3 -I -S -c "$count_program"
	expect_status 0 "--count-instructions runs"
	contains "$tmp/out" '^1 [0-9]' "on one CPU"
	first=$(cut -d ' ' -f 2 "$tmp/out")
	guest --count-instructions -- /usr/bin/python3 -I -S -c "$count_program"
	second=$(cut -d ' ' -f 2 "$tmp/out")
	echo "first: $first, second: $second" >>"$tmp/err"
	# Python itself takes a few instructions more or less from run to run.
	[ "$((first > 0 && first - second < first / 1000 && second - first < first / 1000))" = 1 ]
	result $? "and counts the same twice, within 0.1 %"
}

test_tree_below_tmp() {
	mkdir -p "$tmp/a tree/.git" "$tmp/a tree/sub"
	echo here >"$tmp/a tree/file"
	cd "$tmp/a tree/sub" || exit 1
	guest -- sh -c 'cat ../file && ls -A /tmp | wc -l'
	cd "$OLDPWD" || exit 1
	[ "$(tr -d ' ' <"$tmp/out")" = $'here\n1' ]
	result $? "a working tree below /tmp is visible, the rest of /tmp is not"
}

test_concurrent() {
	local a b
	"$vm" --append "$mark" -- sh -c 'exit 3' 2>"$tmp/err" &
	a=$!
	"$vm" --append "$mark" -- sh -c 'exit 4' 2>>"$tmp/err" &
	b=$!
	wait $a; a=$?
	wait $b; b=$?
	[ "$a $b" = "3 4" ]
	result $? "two at the same time"
}

"$vm" --fetch || exit 1
for k in $kernels; do test_kernel "$k"; done
test_output
test_endings
test_stops
test_counting
test_tree_below_tmp
test_concurrent

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# egressctl setup --boot, over a reboot: a VM whose kernel was told to leave BPF LSM out, then one with
# the words that GRUB's scripts made of the change. The VM has no boot loader of its own: tools/vm
# hands the words to the kernel. And what systemd makes of cgroups when it is told to keep the old ones.
set -u
cd "$(dirname "$0")/../.." || exit 1

without=landlock,lockdown,yama,apparmor
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0

result() { # STATUS NAME
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
	else
		echo "not ok $2"
		sed 's/^/# /' "$tmp/out" "$tmp/err" | tail -30
		failed=1
	fi
}

guest() { # ARGUMENT… of tools/vm; output in $tmp
	tools/vm --quick "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
}

# hierarchy WORDS…: what a command says, with a limit and without, and doctor
hierarchy() {
	guest --kernel "$kernel" --init systemd --append "$*" -- sh -c '
		egressctl="$EGRESSCTL_BUILD/egressctl"
		printf "version: 1\\nfiles: {default: rwxc}\\n" >/run/p.yaml
		"$egressctl" run -p /run/p.yaml -- echo started; echo "run $?"
		"$egressctl" run --limit pids=9 -p /run/p.yaml -- echo started; echo "limited $?"
		"$egressctl" doctor; echo "doctor $?"'
}

said() { # NAME LINE… of output, then of errors behind --
	local name=$1 file=$tmp/out line
	shift
	for line; do
		case $line in --) file=$tmp/err ;; *) grep -q -- "$line" "$file" || break ;; esac
		line=
	done
	[ -z "$line" ]
	result $? "$kernel: $name"
}

hierarchies() {
	hierarchy systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1
	said "cgroup v1 alone: nothing can run" '^run 125$' '^limited 125$' '^doctor 125$' \
		'^missing *cgroup ' -- '^egressctl: no cgroup v2 .*boot with systemd.unified'
	hierarchy systemd.unified_cgroup_hierarchy=0
	said "hybrid: all can, but limits of what cgroup v1 has" '^started$' '^run 0$' \
		'^limited 125$' '^doctor 0$' '^warning *controllers ' -- "controller 'pids'"
}

for kernel in ${KERNELS:-6.1 6.12}; do
	hierarchies
	guest --kernel "$kernel" --append "lsm=$without" -- selftests/vm/boot_guest.sh
	status=$?
	sed -n "s/^\(not ok\|ok\) /&$kernel: /p; /^#/p" "$tmp/out"
	[ $status = 0 ] || failed=1
	words=$(sed -n 's/^words //p' "$tmp/out")
	[[ $words == *" lsm="*,bpf ]]
	result $? "$kernel: the menu has words for the next boot: $words"
	guest --kernel "$kernel" --append "$words" -- sh -c '
		"$EGRESSCTL_BUILD/egressctl" doctor; echo "doctor $?"
		"$EGRESSCTL_BUILD/egressctl" setup --boot --yes; echo "setup $?"
		echo "list $(cat /sys/kernel/security/lsm)"'
	result $? "$kernel: it boots with them"
	grep -q '^Full enforcement is available' "$tmp/out" && grep -q '^doctor 0$' "$tmp/out"
	result $? "$kernel: doctor says full"
	list=,$(sed -n 's/^list //p' "$tmp/out"),
	for module in ${without//,/ } bpf; do
		[[ $list == *",$module,"* ]]
		result $? "$kernel: $module runs"
	done
	grep -q '^setup 1$' "$tmp/out" && grep -q 'BPF LSM is active already' "$tmp/err"
	result $? "$kernel: setup has nothing to do there"
done
exit $failed

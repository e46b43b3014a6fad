#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# egressctl setup --boot, over a reboot: a VM whose kernel was told to leave BPF LSM out, then one with
# the words that GRUB's scripts made of the change. The VM has no boot loader of its own: tools/vm
# hands the words to the kernel.
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
	tools/vm --append mitigations=off "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
}

for kernel in ${KERNELS:-6.1 6.12}; do
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

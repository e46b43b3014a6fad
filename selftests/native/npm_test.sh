#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A real `npm install`, held to names with --egress-only: on any kernel with cgroup BPF, this machine's
# own included. The registry is a host in a network namespace; nothing outside is asked.
# shellcheck source=selftests/kernel/hosts_lib.sh
. "$(dirname "$(readlink -f "$0")")/../kernel/hosts_lib.sh"
set -u

n=0 failed=0
registry=registry.npmjs.org

result() { # status name
	n=$((n + 1))
	[ "$1" -eq 0 ] && echo "ok $n - $2" && return
	echo "not ok $n - $2"
	failed=1
	{
		printf 'status %s\n' "$status"
		head -c 4000 "$dir/err" "$dir/out" "$dir/hosts/questions" "$dir/hosts/visits"
	} 2>/dev/null | sed 's/^/# /'
}

check() { # name condition…
	local name=$1
	shift
	"$@"
	result $? "$name"
}

# What this needs and a machine may lack, said without a program of egressctl's.
lacking() {
	[ "$(id -u)" = 0 ] || { echo "needs root"; return; }
	grep -q ' cgroup2 ' /proc/self/mounts || { echo "no cgroup2 is mounted"; return; }
	[ -e /sys/kernel/btf/vmlinux ] || { echo "the kernel has no BTF"; return; }
	unshare --mount --net true 2>/dev/null || { echo "no namespaces can be made"; return; }
	PATH=$PATH:/usr/sbin bpftool feature probe kernel 2>/dev/null |
		grep -q 'program_type cgroup_sock_addr is available' ||
		echo "no BPF programs for cgroups can be loaded"
}

# try OPTION… -- COMMAND…: in an empty project, under egressctl with OPTIONs; without any, outside
try() {
	rm -rf "$dir/project" "$dir/home/.npm"
	mkdir "$dir/project"
	hosts_forget
	if [ "$1" = -- ]; then
		shift
	else
		set -- "$EGRESSCTL_BUILD/egressctl" run --egress-only --json -v "$@"
	fi
	(cd "$dir/project" && exec "$@") >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	events=$(grep '"op":' "$dir/err")
}

installed() { [ "$status" -eq 0 ] && [ -e "$dir/project/node_modules/tiny-package/index.js" ]; }
ended_well() { [ "$status" -eq 0 ]; }
not_installed() { [ "$status" -ne 0 ] && [ ! -e "$dir/project/node_modules/tiny-package" ]; }
event() { grep -Fq -- "$1" <<<"$events"; }
no_event() { [ -z "$events" ]; }
not() { ! "$@"; }

why=$(lacking)
if [ -n "$why" ]; then
	echo "ok 1 - npm install with --egress-only # SKIP $why"
	echo "1..1"
	exit 0
fi
hosts_enter

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset SUDO_UID SUDO_GID SUDO_USER SUDO_COMMAND
dir=$(mktemp -d /tmp/egressctl-npm.XXXXXX) || exit 1
trap 'hosts_end; rm -rf "$dir"' EXIT
chmod 755 "$dir"
mkdir "$dir/home" "$dir/hosts"
export HOME=$dir/home
# a refused name is final: nothing is gained by asking again
export npm_config_fetch_retries=0 npm_config_update_notifier=false
hosts=$dir/hosts
hosts_npm tiny-package 1.0.0
hosts_begin "$dir/hosts" || { echo "Bail out! the test network does not start"; exit 1; }

try -- npm install tiny-package
check "control: npm install outside" installed
check "control: by the resolver" hosts_asked $registry

try -p npm -- npm install tiny-package
check "npm install through the policy npm" installed
check "from the registry, which it asked the resolver for" hosts_visited $registry
check "without one violation" no_event

try -p deny-all -- npm install tiny-package
check "under deny-all it fails" not_installed
check "with an event that names the host" event "\"op\":\"resolve\",\"name\":\"$registry\""
command="egressctl run --allow 'connect $registry:443' ..."
check "and the command that would allow it" event "\"allow_run\":\"$command\""
check "the resolver was not asked" not hosts_asked $registry
check "the registry was not visited" not hosts_visited $registry

try -p deny-all --allow "connect $registry:443" -- npm install tiny-package
check "that command does" installed
check "and nothing else is wanted" no_event

# by address a host is no better off
other=http://$hosts_foreign/
try -- curl -sS $other
check "control: outside, a host is reached by its address" hosts_visited $hosts_foreign
try -p npm -- curl -sS $other
check "through the policy it is not" not ended_well
check "with an event that has the address" event "\"address\":\"$hosts_foreign\",\"port\":80"
check "no connection reached it" not hosts_visited $hosts_foreign

echo "1..$n"
exit $failed

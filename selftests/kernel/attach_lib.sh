# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Sourced by the attach tests: a host to talk to, workloads that do what they are told.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/launch_lib.sh"

workload=$w/bin/workload.py
here=192.0.2.1
there=192.0.2.2   # two echo servers, at 7000 (allowed) and at 7001

attach_policies() {
	# where an ordinary user may execute them
	mkdir -p $w/bin
	cp "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/workload.py" "$egressctl" $w/bin
	egressctl=$w/bin/egressctl
	cat >$w/policy.yaml <<-END
		version: 1
		egress:
		  allow: ["$there:7000"]
		  listen: any
		files:
		  default: none
		  /: r
		  /usr: rx
		  /bin: rx
		  /lib: rx
		  /lib64: rx
		  /dev: rw
		  /proc: rw
		  $w/bin: rx
		  $w/ctl: rwxc
		  $w/secret: none
	END
	mkdir -p $w/ctl
	chmod 1777 $w/ctl
}

# attach_link: a network namespace behind a veth pair
attach_link() {
	# of another test in the same boot
	ip netns del there 2>/dev/null && ip link del there
	ip netns add there
	ip link add there type veth peer name eth0 netns there
	ip addr add $here/24 dev there
	ip link set there up
	ip -n there link set lo up
	ip -n there addr add $there/24 dev eth0
	ip -n there link set eth0 up
}

# attach_host: the same with servers
attach_host() {
	attach_link
	for port in 7000 7001; do
		ip netns exec there socat TCP-LISTEN:$port,fork,reuseaddr EXEC:cat &
		until ip netns exec there ss -Htln "sport = :$port" | grep -q .; do :; done
	done
}

# begin NAME CGROUP [COMMAND…]: a workload in a cgroup, run by COMMAND
begin() {
	local name=$1 cgroup=$2
	shift 2
	rm -f $w/ctl/$name $w/ctl/$name.ready
	mkdir -p "$cgroups$cgroup"
	mkfifo $w/ctl/$name.ready
	chmod 666 $w/ctl/$name.ready
	(
		echo $BASHPID >"$cgroups$cgroup/cgroup.procs"
		declare -F "${1:-}" >/dev/null && "$@" "$workload" $w/ctl/$name $w/ctl/$name.ready
		exec "$@" "$workload" $w/ctl/$name $w/ctl/$name.ready
	) </dev/null >$w/$name.log 2>&1 &
	workload_pid=$!
	read -r _ <$w/ctl/$name.ready
}

# is_ready NAME PID: it said so in $w/NAME.said; false when it has ended without
is_ready() {
	grep -q ready < <(exec tail --pid="$2" -n +1 -f $w/"$1".said 2>/dev/null)
}

# stopped CGROUP: a process in it that does not run, in $held; and how often it was put to sleep
stopped() {
	for held in $(cat "$cgroups$1/cgroup.procs" 2>/dev/null); do
		grep -q '^State:.T' /proc/"$held"/status 2>/dev/null || continue
		slept=$(awk '/^voluntary_ctxt/ { print $2 }' /proc/"$held"/status)
		return 0
	done
	return 1
}

# is_held CGROUP RESULT NAME: its first program waits, whoever tells it to go on
is_held() {
	local before
	until stopped "$1"; do :; done
	before=$slept
	kill -CONT "$held"
	until stopped "$1" && [ "$slept" -gt "$before" ]; do :; done
	check "$3: it waits, and does again after SIGCONT" [ ! -e "$2" ]
}

# from_memory COMMAND…: run by a copy of python in a memfd, as runc runs
from_memory() {
	exec python3 -c 'import os, sys
fd = os.memfd_create("copy")
os.write(fd, open(os.readlink("/proc/self/exe"), "rb").read())
os.execve(fd, ["python3"] + sys.argv[1:], os.environ)' "$@"
}

tell() { # NAME WORD…
	local name=$1
	shift
	echo "$*" | socat -t 60 - UNIX-CONNECT:$w/ctl/$name
}

# says NAME ANSWER TITLE WORD…
says() {
	local name=$1 want=$2 title=$3 got
	shift 3
	got=$(tell $name "$@")
	[ "$got" = "$want" ]
	result $? "$title"
	[ "$got" = "$want" ] || echo "# $*: $got, not $want"
}

# ctl WORD…: egressctl, its output in $w/out and $w/err
ctl() {
	"$egressctl" "$@" >$w/out 2>$w/err </dev/null
	status=$?
}

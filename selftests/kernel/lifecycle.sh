#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# There is no moment without enforcement: a sandbox tries what is refused all the time, while
# egressd is killed, started, replaced by one of other programs or another ABI and back, and
# policies and grants come and go. Then everything is uninstalled. lifecycle.sh [ROUNDS [PART]]:
# kills and starts, and which of the parts, else all; make lifecycle has 1,000 rounds.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

rounds=${1:-1} only=${2:-}
declare -A probe_pid
own=
egressd_next=$EGRESSCTL_BUILD/selftests/egressd_next
egressd_other=$EGRESSCTL_BUILD/selftests/egressd_other
load_every=50 # rounds; it takes an emulator half a minute
probe=$w/bin/probe
pins=/sys/fs/bpf/egressctl

# begin_probe NAME: in a sandbox of its own; says in $w/NAME.said
begin_probe() {
	rm -f $w/ctl/$1
	: >$w/$1.said
	mkfifo $w/ctl/$1
	(cd $w/ctl && exec "$egressctl" run -p $w/policy.yaml --name "$1" -- $probe until \
		$w/ctl/$1 $w $there) \
		>$w/$1.said 2>$w/$1.err </dev/null &
	probe_pid[$1]=$!
	is_ready $1 $! || sed 's/^/# /' $w/$1.err
}

# end_probe NAME TITLE: it was always answered as it should be
end_probe() {
	echo end 1<>$w/ctl/$1 # it may have ended
	wait "${probe_pid[$1]}"
	status=$?
	is 0 && grep -q '^tries [1-9][0-9]' $w/$1.said
	result $? "$2"
	sed 's/^/# /' $w/$1.said
}

# An egressd of other programs that is killed when it has attached that many of them.
half_start() {
	python3 - "$1" $pins/abi* "$egressd_other" <<-END
		import ctypes, os, select, subprocess, sys
		libc, create = ctypes.CDLL(None, use_errno=True), 0x100
		count, pins = int(sys.argv[1]), sys.argv[2]
		told = libc.inotify_init1(os.O_CLOEXEC)
		libc.inotify_add_watch(told, pins.encode(), create)
		p = subprocess.Popen(sys.argv[3:], stderr=subprocess.DEVNULL)
		poll = select.poll()
		poll.register(told, select.POLLIN)
		poll.register(os.pidfd_open(p.pid), select.POLLIN)
		links, n = None, 0
		while n < count and dict(poll.poll()).get(told):
		    os.read(told, 65536)
		    if not links:
		        links = next((d for d in os.listdir(pins) if d.startswith(f"links-{p.pid}-")), None)
		        links and libc.inotify_add_watch(told, os.path.join(pins, links).encode(), create)
		    n = len(os.listdir(os.path.join(pins, links))) if links else 0
		early = p.poll()
		p.kill()
		p.wait()
		sys.exit(0 if early is None else 1)
	END
}

killed() {
	local i
	for ((i = 0; i < rounds; i++)); do
		stop_service KILL
		start_service || break
		((i % load_every)) && continue
		stop_service KILL
		half_start $(((i + 1) * 37 % 71)) && start_service || break
		stop_service KILL
		egressd=$egressd_other start_service || break
		stop_service KILL
		start_service || break
	done
	[ $i -eq $rounds ]
	result $? "egressd is killed and started $rounds times"
	echo "# as often as every $load_every: killed as it starts, replaced by one of other programs"
	ctl ps
	check "it knows the sandbox" out 'probe$'
	check "links of dead ones are gone" [ "$(ls -d $pins/abi*/links-* | wc -l)" -eq 1 ]
}

changed() {
	local i
	sed "s|$w/bin: rx|&\n  /srv/no-such: r|" $w/policy.yaml >$w/other.yaml
	for ((i = 0; i < rounds * 5; i++)); do
		ctl switch probe $w/other.yaml
		is 0 || break
		ctl allow probe connect $there:7009 --for 1h
		is 0 || break
		ctl switch probe $w/policy.yaml
		is 0 || break
		ctl revoke probe
		is 0 || break
	done
	[ $i -eq $((rounds * 5)) ]
	result $? "its policy changes $((rounds * 10)) times, grants come and go"
}

ended() { # NAME
	wait "${probe_pid[$1]}"
	until [ -z "$(pgrep -f "$w/ctl/$1")" ]; do :; done
}

replaced() {
	own=$(basename $pins/abi*)
	begin_probe victim
	begin_probe lost
	stop_service KILL
	start_service "$egressd_next"
	result $? "an egressd of another ABI starts beside it"
	ctl ps
	check "and lists what it cannot change" out 'left .*probe$'
	ctl allow probe connect $there:7001
	check "it says so" is 1
	ctl kill victim
	check "one of another ABI can be killed" is 0
	ended victim
	begin_probe next
	check "both generations hold theirs" [ "$(ls -d $pins/abi* | wc -l)" -eq 2 ]
	ctl uninstall --check
	check "uninstall sees both" both 1 'sandboxes are running'
	stop_service KILL
	broken
	start_service
	result $? "the one before comes back, with half a record too"
	ended lost
	ctl ps
	check "it knows its sandbox again" out 'enforce .*probe$'
	check "not the one whose record is lost" [ "$(grep -c 'enforce' $w/out)" -eq 1 ]
	check "and lists the other" out 'left .*next$'
	end_probe next "the other was held all the time"
	until [ "$(echo $pins/abi*)" = $pins/$own ]; do :; done
	check "with its last sandbox its programs go" none_of_next
}

none_of_next() { [ "$(echo /run/egressctl/abi*)" = /run/egressctl/$own ]; }

# It does not start, and says why: an expression.
refuses() {
	"$egressd" >$w/out 2>$w/err
	status=$?
	check "$1 is refused" both 1 "$2"
}

foreign_pin() {
	local map=$pins/$own/map_ports
	mv $map $pins/kept
	bpftool map create $map type hash key 4 value 4 entries 1 name foreign
	refuses "a foreign pin" 'map_ports\|ports'
	check "and nothing is removed" [ -e $map ]
	rm $map
	mv $pins/kept $map
}

# What it finds is not as it was left.
broken() {
	local record
	chmod 777 /run/egressctl
	refuses "a state directory that others can write" 'writable by nobody else'
	chmod 755 /run/egressctl
	mount -o remount,ro /sys/fs/bpf
	refuses "a bpffs that is read-only" 'Read-only file system'
	mount -o remount,rw /sys/fs/bpf
	foreign_pin
	record=$(grep -l '"name":"lost"' /run/egressctl/$own/sandboxes/*)
	check "there is a record to break" [ -s "$record" ]
	echo '{"id":' >"$record"
}

uninstalled() {
	ctl uninstall
	check "not while egressd runs" both 1 'egressd is running'
	stop_service KILL
	ctl uninstall
	check "nor while a sandbox does" both 1 'sandboxes are running'
	end_probe probe "never a wrong answer, to the first sandbox, from the start to here"
	ctl uninstall --check
	check "then nothing runs" is 0
	ctl uninstall
	check "and it goes" is 0
	check "no pin is left" [ -z "$(ls /sys/fs/bpf)" ]
	check "no program" [ -z "$(bpftool -j link | grep -o '"attach_type":"lsm_mac"')" ]
	check "no cgroup" [ ! -e $cgroups/egressctl ]
	check "no state" [ ! -e /run/egressctl ]
	setpriv --reuid=$uid --regid=$uid --clear-groups "$egressctl" uninstall >$w/out 2>$w/err
	status=$?
	check "only root does that" both 125 'root is needed'
}

prepare
attach_policies
cp "$EGRESSCTL_BUILD/selftests/work/probe" $w/bin
cp /bin/true $w/tool
attach_host
$probe control $w $there >$w/out 2>$w/err
status=$?
check "control: outside, all of it works" is 0
start_service
begin_probe probe
for part in killed changed replaced; do
	[ -n "$only" ] && [ "$only" != $part ] || $part
done
uninstalled
finish

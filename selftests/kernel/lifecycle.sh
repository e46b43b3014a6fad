#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# There is no moment without enforcement: a sandbox tries what is refused all the time, while
# egressd is killed, started, replaced by one of another ABI and back, and policies and grants
# come and go. Then everything is uninstalled. Run by make lifecycle, not by make check: it takes minutes. lifecycle.sh [ROUNDS]: kills and starts.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

rounds=${1:-1}
declare -A probe_pid
egressd_next=$EGRESSCTL_BUILD/selftests/egressd_next
probe=$(dirname "$(readlink -f "$0")")/work/probe.py
pins=/sys/fs/bpf/egressctl

# begin_probe NAME: in a sandbox of its own; says in $w/NAME.said
begin_probe() {
	rm -f $w/ctl/$1
	mkfifo $w/ctl/$1
	(cd $w/ctl && exec "$egressctl" run -p $w/policy.yaml --name "$1" -- /usr/bin/python3 \
		$w/bin/probe.py $w/secret /usr/bin/env $there $w/ctl/$1) \
		>$w/$1.said 2>$w/$1.err </dev/null &
	probe_pid[$1]=$!
	until grep -q ready $w/$1.said; do
		kill -0 $! 2>/dev/null || break
	done
	grep -q ready $w/$1.said || sed 's/^/# /' $w/$1.err
}

# end_probe NAME TITLE: it was always answered as it should be
end_probe() {
	echo end >$w/ctl/$1
	wait "${probe_pid[$1]}"
	grep -q '^tries [1-9][0-9]' $w/$1.said && ! grep -q ^wrong $w/$1.said
	result $? "$2"
	sed 's/^/# /' $w/$1.said
}

# An egressd that is killed when it has attached that many programs.
half_start() {
	"$egressd" >>$w/service.log 2>&1 &
	local pid=$!
	until [ "$(ls $pins/abi*/links-$pid-* 2>/dev/null | wc -l)" -ge "$1" ]; do
		kill -0 $pid 2>/dev/null || return
	done
	kill -KILL $pid
	gone $pid
}

killed() {
	local i
	for ((i = 0; i < rounds; i++)); do
		stop_service KILL
		half_start $((i * 37 % 71))
		start_service || break
	done
	[ $i -eq $rounds ]
	result $? "egressd is killed and started $rounds times, and killed while it starts"
	ctl ps
	check "it knows the sandbox" out 'probe$'
	check "links of dead ones are gone" [ "$(ls -d $pins/abi*/links-* | wc -l)" -eq 1 ]
}

changed() {
	local i
	sed "s|$w/bin: rx|&\n  /srv/no-such: r|" $w/policy.yaml >$w/other.yaml
	for ((i = 0; i < rounds * 10; i++)); do
		ctl switch probe $w/other.yaml
		is 0 || break
		ctl allow probe connect $there:7009 --for 1h
		is 0 || break
		ctl switch probe $w/policy.yaml
		ctl revoke probe
		is 0 || break
	done
	[ $i -eq $((rounds * 10)) ]
	result $? "its policy changes $((rounds * 20)) times, grants come and go"
}

replaced() {
	stop_service KILL
	start_service "$egressd_next"
	result $? "an egressd of another ABI starts beside it"
	ctl ps
	check "and lists what it cannot change" out 'left .*probe$'
	ctl allow probe connect $there:7001
	check "it says so" is 1
	begin_probe next
	check "both generations hold theirs" [ "$(ls -d $pins/abi* | wc -l)" -eq 2 ]
	ctl uninstall --check
	check "uninstall sees both" both 1 'sandboxes are running'
	stop_service KILL
	start_service
	result $? "the one before comes back"
	ctl ps
	check "it knows its sandbox again" out 'enforce .*probe$'
	check "and lists the other" out 'left .*next$'
	end_probe next "the other was held all the time"
	until [ "$(ls -d $pins/abi* | wc -l)" -eq 1 ]; do :; done
	check "with its last sandbox its programs go" none_of_next
	begin_probe killed
	stop_service KILL
	start_service "$egressd_next"
	ctl kill killed
	check "one of another ABI can be killed" is 0
	until [ -z "$(pgrep -f "$w/ctl/killed")" ]; do :; done
	stop_service KILL
	start_service
}

none_of_next() { ! ls -d /run/egressctl/abi* | grep -qv "abi$(basename $pins/abi* | tr -dc 0-9)$"; }

# What it finds is not as it was left.
broken() {
	stop_service KILL
	(cd $w/ctl && "$egressd" --no-such 2>/dev/null)
	chmod 777 /run/egressctl
	"$egressd" >$w/out 2>$w/err
	status=$?
	check "a state directory that others can write is refused" both 1 'writable by nobody else'
	chmod 755 /run/egressctl
	mount -o remount,ro /sys/fs/bpf
	"$egressd" >$w/out 2>$w/err
	status=$?
	check "a bpffs that is read-only is refused" both 1 'Read-only file system'
	mount -o remount,rw /sys/fs/bpf
	local map
	map=$(echo $pins/abi*)/map_ports
	mv $map $pins/kept
	bpftool map create $map type hash key 4 value 4 entries 1 name foreign
	"$egressd" >$w/out 2>$w/err
	status=$?
	check "a foreign pin is refused" both 1 'map_ports\|ports'
	check "and nothing is removed" [ -e $map ]
	rm $map
	mv $pins/kept $map
	start_service
	result $? "as it was, it starts"
	begin_probe lost
	stop_service KILL
	local id
	id=$(find $cgroups/egressctl -name 's[0-9]*' -printf '%f\n' | sort -V | tail -1 | tr -d s)
	echo '{"id":' >"$(echo /run/egressctl/abi*/sandboxes)/$id"
	start_service
	result $? "half a record does not keep it from starting"
	until [ -z "$(pgrep -f "$w/ctl/lost")" ]; do :; done
	check "whose sandbox is ended" [ ! -e $cgroups/egressctl/s$id ]
	ctl ps
	check "others go on" out 'probe$'
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
cp "$probe" $w/bin/probe.py
attach_host
says_control() { python3 -c "
import socket
socket.create_connection(('$there', 7001)).close()
open('$w/secret').close()"; }
says_control
result $? "control: outside, all of it works"
start_service
begin_probe probe
killed
changed
replaced
broken
uninstalled
finish

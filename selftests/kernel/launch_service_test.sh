#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Enforcement does not depend on our processes: egressd killed and started again,
# the agent inside `egressctl run`, its supervisor killed.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
stay=

service() {
	"$egressd" >$w/out 2>$w/err
	status=$?
	check "a second egressd is refused" both 1 'another egressd is running'
	run_behind /bin/sh -c \
		"echo ready >fifo; read -r _ <fifo; cat $w/secret; read -r _ <fifo; exit 5"
	read -r _ <$w/work/fifo
	stop_service KILL
	echo go >$w/work/fifo
	start_service
	result $? "egressd starts after kill -9"
	"$egressctl" ps >$w/ps
	grep -q policy.yaml $w/ps
	result $? "and knows the sandbox that went on running"
	echo go >$w/work/fifo
	wait_launcher
	check "its command ended as it should" is 5
	check "and was refused what it tried in between" err 'Permission denied'
	"$egressctl" ps --json >$w/out
	check "nothing is left of it" none_left
	run -- /bin/cat $w/secret
	check "new runs work" both 1 'Permission denied'
	run_behind /bin/sh -c 'echo ready >fifo; while :; do :; done'
	read -r _ <$w/work/fifo
	stop_service TERM
	wait_launcher
	check "a stop ends what runs" is 137
	check "and leaves no cgroup" none_left
	check "and no program" [ ! -e /sys/fs/bpf/egressctl ]
}

# As root without a service: an agent for this run alone.
alone() {
	run -- /bin/sh -c "cat $w/secret; exit 6"
	check "without egressd, root runs it all the same" both 6 'Permission denied'
	check "no cgroup is left" none_left
	check "no program is left" [ -z "$(ls /sys/fs/bpf)" ]
	as_tester "$egressctl" run -p $w/policy.yaml -- /bin/true >$w/out 2>$w/err
	status=$?
	check "others are told what is missing" both 125 'egressd is not running'
	run_behind /bin/sh -c 'echo $$ >fifo; while :; do :; done'
	read -r pid <$w/work/fifo
	kill -KILL "$(pgrep -P $launcher egress-agent)"
	wait_launcher
	check "kill -9 of the supervisor ends the run" both 137 'supervisor was killed'
	gone "$pid"
	result $? "and the command"
	run -- /bin/true
	check "the next run cleans up behind it" [ -z "$(ls /sys/fs/bpf)" ]
}

prepare
start_service
result $? "egressd starts"
service
alone
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The canary: egressd sees by itself that a hook is silent, says so, makes no sandbox until
# it is not, and freezes those whose policy asks for it. It is quiet when all is well, and
# when something is refused. It switches hooks off that run, for the whole machine.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
stay=

PATH=$PATH:/usr/sbin
work=$EGRESSCTL_BUILD/selftests/work
declare -A in say pid

ctl() {
	"$egressctl" "$@" >$w/out 2>$w/err </dev/null
	status=$?
}

# ---- sandboxes that do as they are told -------------------------------------------------

write_box() {
	cat >$w/work/box.sh <<-END
		# box.sh NAME
		try() { if cat $w/secret >/dev/null 2>&1; then echo open; else echo refused; fi; }
		exec <\$1.in >\$1.say
		echo ready
		while read -r what; do
			case \$what in
			try) try ;;
			child) { read -r _ <\$1.go; try; } & echo begun ;;
			end) exit 7 ;;
			esac
		done
	END
	sed "1a on-failure: freeze" $w/policy.yaml >$w/freeze.yaml
}

# begin NAME POLICY: in a sandbox of its own; what its launcher says in $w/NAME.err
begin() {
	rm -f $w/work/$1.*
	mkfifo $w/work/$1.in $w/work/$1.say $w/work/$1.go
	exec {fd}<>$w/work/$1.in
	in[$1]=$fd
	exec {fd}<>$w/work/$1.say
	say[$1]=$fd
	(cd $w/work && exec "$egressctl" run --name "$1" -p "$2" -- /bin/sh box.sh "$1") \
		>$w/$1.out 2>$w/$1.err </dev/null &
	pid[$1]=$!
	answers "$1" ready
}

answers() { # NAME ANSWER
	local got
	read -r -t 120 got <&"${say[$1]}"
	[ "$got" = "$2" ]
}

asked() { # NAME WHAT ANSWER
	echo "$2" >&"${in[$1]}"
	answers "$1" "$3"
}

ended() { # NAME: its status in $status
	{
		wait "${pid[$1]}"
		status=$?
	} 2>/dev/null
}

cgroup_of() { echo "$cgroups/egressctl/s$("$egressctl" ps --json |
	python3 -c 'import json, sys
print(*[b["sandbox"] for b in json.load(sys.stdin) if b["name"] == sys.argv[1]])' "$1")"; }

# Asked for is at once, done is when each task has come to where it stops.
frozen() { # CGROUP
	grep -q 1 "$1/cgroup.freeze" || return 1
	until grep -q '^frozen 1' "$1/cgroup.events"; do :; done
}
not_frozen() { grep -q 0 "$1/cgroup.freeze"; }

# ---- what egressd says ---------------------------------------------------------------------

listen() { from=$(($(wc -l <$w/service.log) + 1)); }

told() { # FILE LINE TEXT: somebody is, from that line on
	local ok log
	exec {log}< <(exec timeout 120 tail -n +"$2" -f "$1")
	grep -q -m1 -- "$3" <&"$log"
	ok=$?
	kill $!
	exec {log}<&-
	return $ok
}

said() { told $w/service.log $from "$1"; } # in its log, since listen()

heard() { tail -n +$from $w/service.log | grep -q -- "$1"; }

# rounds RESULT
rounds() { "$egressctl" metrics | sed -n "s/^egressctl_canary_rounds_total{result=\"$1\"} //p"; }

another() { # RESULT: one more round of that kind
	local was
	was=$(rounds "$1")
	until [ "$(rounds "$1")" -gt "$was" ]; do :; done
}

rounds_all() { "$egressctl" metrics |
	awk '/^egressctl_canary_rounds_total/ { n += $2 } END { print n }'; }

any_other() { # one more round, of whatever kind
	local was
	was=$(rounds_all)
	until [ "$(rounds_all)" -gt "$was" ]; do :; done
}

metric() { [ "$("$egressctl" metrics | awk -v m="$1" '$1 == m { print $2 }')" = "$2" ]; }

refuses() { both 125 "no new sandboxes: .*$1"; }

# link_of PROGRAM: the id of egressd's link of it
pin_of() { echo /sys/fs/bpf/egressctl/abi*/links-*/"$1"; }
link_of() {
	bpftool -j link show pinned "$(pin_of "$1")" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])'
}

# ---- tests ---------------------------------------------------------------------------------

well() {
	check "the first round is over before egressd says READY" [ "$(rounds proved)" -ge 1 ]
	run -- /bin/true
	check "control: a sandbox is made" is 0
	begin froze $w/freeze.yaml
	result $? "one with on-failure: freeze runs"
	begin plain $w/policy.yaml
	result $? "one without it runs"
	asked froze try refused
	result $? "both are refused what they may not"
	asked plain try refused
	result $? "... the other one, too"
	asked froze try refused
	result $? "which freezes nobody"
	another proved && another proved
	check "nor do rounds that prove" not_frozen "$(cgroup_of froze)"
	# that it takes long may be said where it does
	check "nothing is said when all is well" [ -z "$(grep 'silent\|frozen' $w/service.log)" ]
	until metric egressctl_refusing 0; do :; done # a host that is slow has its moments
	check "no hook is said to be silent" [ -z "$("$egressctl" metrics |
		grep '^egressctl_hook_silent{.* 1$')" ]
	ctl ps --json
	check "its own sandbox is not listed" [ "$(grep -c '"sandbox"' $w/out)" = 2 ]
	# beside the one that starts the readers of policies
	check "one process at most is left of a round" [ "$(ps -o comm= --ppid "$service" |
		grep -vcx egressd-reader)" -le 1 ]
}

attached() {
	mkdir -p $cgroups/work
	mkfifo $w/held
	(echo $BASHPID >$cgroups/work/cgroup.procs && exec cat $w/held) &
	until grep -q . $cgroups/work/cgroup.procs; do :; done
	ctl attach -p $w/freeze.yaml --cgroup /work
	check "a workload is attached under such a policy" is 0
}

silent() {
	froze=$(cgroup_of froze) plain=$(cgroup_of plain)
	listen
	sysctl -qw kernel.ftrace_enabled=0
	said 'no new sandboxes: the LSM layer is silent.*kernel.ftrace_enabled=1'
	result $? "ftrace is switched off: egressd says which layer is silent, and what to do"
	run -- /bin/true
	check "run is refused, and says why" refuses 'the LSM layer is silent.*ftrace_enabled'
	ctl learn -- /bin/true
	check "learn is refused" refuses 'the LSM layer'
	ctl attach -p $w/policy.yaml --cgroup /elsewhere
	check "attach is refused" refuses 'the LSM layer'
	ctl switch plain $w/policy.yaml
	check "switch is refused" refuses 'the LSM layer'
	as_tester "$egressctl" enter -p $w/policy.yaml --pid $$ >$w/out 2>$w/err
	status=$?
	check "enter is refused" refuses 'the LSM layer'
	check "the one whose policy says so is frozen" frozen "$froze"
	check "so is the attached one" frozen $cgroups/work
	check "the other is not" not_frozen "$plain"
	asked plain child begun
	result $? "... and goes on, in silence"
	told $w/froze.err 1 'frozen (on-failure: freeze): the LSM layer'
	result $? "the launcher is told"
	sed 's/^/# /' $w/froze.err
	check "the other one's is not" [ ! -s $w/plain.err ]
	ctl ps
	check "ps shows it" out ' frozen .*froze$'
	check "and what is wrong" err 'no new sandboxes: the LSM layer'
	check "a metric for who is woken by one" metric egressctl_refusing 1
	check "of each hook" metric 'egressctl_hook_silent{hook="file_open",layer="lsm"}' 1
	check "the cgroup layer goes on" metric \
		'egressctl_hook_silent{hook="connect4",layer="cgroup"}' 0
	ctl doctor
	check "doctor says it, too" out 'the LSM layer is silent'
}

again() {
	listen
	sysctl -qw kernel.ftrace_enabled=1
	said 'every hook is proved again'
	result $? "it is switched on: egressd says that all is well"
	run -- /bin/cat $w/secret
	check "sandboxes are made, and hold" both 1 'Permission denied'
	check "the frozen one stays so" frozen "$froze"
	echo go >$w/work/plain.go
	answers plain refused
	result $? "a child that was born in silence is held, too"
	echo end >&"${in[plain]}"
	ended plain
	check "the other one ends as it wants to" is 7
	ctl kill froze
	ended froze
	check "the frozen one can be killed" is 137
	ctl detach --cgroup /work
	echo 0 >$cgroups/work/cgroup.freeze
	echo end >$w/held
	check "and the attached one let go" is 0
}

one_cgroup_hook() {
	listen
	bpftool link detach id "$(link_of connect4)"
	said 'a hook is silent: connect4 (cgroup: connect by IPv4)'
	result $? "a hook that was detached is named"
	run -- /bin/true
	check "and sandboxes are refused" refuses 'connect4 .*restart egressd'
	stop_service
	start_service --config $w/egressd.yaml
	run -- /bin/true
	check "a restart attaches it anew" is 0
}

one_lsm_hook() {
	local id
	id=$(link_of path_mkdir)
	listen
	rm "$(pin_of path_mkdir)"
	"$work/close_link" "$service" "$id"
	result $? "control: a link of an LSM program is taken from egressd"
	said 'a hook is silent: path_mkdir (LSM: make a directory)'
	result $? "it is named, and no other"
	run -- /bin/true
	check "sandboxes are refused" refuses 'path_mkdir'
}

# Killed in whatever it does, it leaves nothing of its rounds behind.
killed() {
	local i
	for i in 1 2 3; do
		any_other
		stop_service KILL
		start_service --config $w/egressd.yaml
		[ "$(find $cgroups/egressctl -name 'proof*' | wc -l)" -eq 1 ] || break
	done
	[ "$i" = 3 ] && [ "$(find $cgroups/egressctl -name 'proof*' | wc -l)" -eq 1 ]
	result $? "killed three times, it has one cgroup for proofs"
	check "and one directory" [ "$(find /run/egressctl -name 'prove-*' | wc -l)" -eq 1 ]
	run -- /bin/true
	check "the next one has all hooks" is 0
}

# Its link is silent from the start.
born_silent() {
	stop_service
	sysctl -qw kernel.ftrace_enabled=0
	listen
	start_service --config $w/egressd.yaml
	result $? "egressd starts where hooks are silent"
	check "and has said so when it does" heard 'no new sandboxes: the LSM layer'
	run -- /bin/true
	check "it makes no sandbox" is 125
	listen
	sysctl -qw kernel.ftrace_enabled=1
	said 'every hook is proved again'
	run -- /bin/true
	check "until they are not" is 0
	stop_service
}

alone() {
	run -- /bin/true
	check "without egressd, a run proves them first" is 0
	sysctl -qw kernel.ftrace_enabled=0
	run -- /bin/true
	check "and is refused, when they are silent" refuses 'the LSM layer'
	sysctl -qw kernel.ftrace_enabled=1
}

prepare
write_box
printf 'version: 1\ncanary: {every: 1s}\n' >$w/egressd.yaml
chmod 644 $w/egressd.yaml
chmod 755 $w # others must not be able to replace the settings
start_service --config $w/egressd.yaml
result $? "egressd starts"
well
attached
silent
again
one_cgroup_hook
one_lsm_hook
killed
born_silent
alone
check "nothing is left" none_left
check "of the proofs, too" [ -z "$(find /sys/fs/bpf /run/egressctl -name 'prove-*' -o -name 'links-*')" ]
finish

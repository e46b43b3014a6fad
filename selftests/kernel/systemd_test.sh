#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The service as it is installed, under systemd as PID 1: start, enforcement, journal, metrics, reload,
# restart under a running sandbox, watchdog. Each step waits for what it needs.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

config=/etc/egressctl/egressd.yaml
metrics=http://127.0.0.1:9477/metrics
violation=6f1f0a4c5d0b4f3c9a3e1d9a7c2b8e51 # JOURNAL_ID_VIOLATION
silence=5a0d5e7f0c1c4c0fa2a5c2f6d3b9e814 # JOURNAL_ID_SILENT
PATH=$PATH:/usr/sbin

property() { systemctl show --value -p "$1" egressd; }
journal() { journalctl --sync && journalctl -u egressd -o cat --no-pager; }

# wait_journal TEXT N: until the service's journal has N lines with it
wait_journal() {
	grep -q -m "$2" -- "$1" < <(journalctl -u egressd -o cat -n all -f) &&
		[ "$(journal | grep -c -- "$1")" -ge "$2" ]
}

value() { "$egressctl" metrics | awk -v m="$1" '$1 == m { print $2 }'; }

configure() {
	printf 'version: 1\nmetrics: {listen: 127.0.0.1:9477}\n' >$config
	printf '%s\n' "$@" >>$config
}

install_service() {
	make -s -C "$(dirname "$0")/../.." -o all install O="$EGRESSCTL_BUILD" >$w/out 2>$w/err
	status=$?
	check "make install" is 0
	systemd-tmpfiles --create egressctl.conf
	check "tmpfiles makes its directories" [ "$(stat -c %a:%U /run/egressctl /var/log/egressctl |
		tr '\n' ' ')" = '755:root 750:root ' ]
	configure 'stop: keep'
	# the unit's own is a minute: long for a test that waits for it
	mkdir -p /run/systemd/system/egressd.service.d
	printf '[Service]\nWatchdogSec=10\nRestart=no\n' >/run/systemd/system/egressd.service.d/test.conf
	systemctl daemon-reload
	systemctl start egressd >$w/out 2>$w/err
	status=$?
	check "the service starts" is 0
	if [ $status -ne 0 ]; then
		journal | sed 's|^|# |'
		finish
	fi
	pid=$(property MainPID)
	check "its binary is the installed one" \
		[ "$(readlink /proc/"$pid"/exe)" = /usr/local/sbin/egressd ]
	check "it sees the paths that its clients see" \
		[ "$(readlink /proc/"$pid"/ns/mnt)" = "$(readlink /proc/1/ns/mnt)" ]
	check "it cannot gain rights, and calls are filtered" \
		[ "$(awk '/^(NoNewPrivs|Seccomp):/ { printf $2 }' /proc/"$pid"/status)" = 12 ]
	"$egressctl" doctor --json >$w/out 2>$w/err
	status=$?
	check "all that its hooks refuse can be proved from within the unit" is 0
	# with no_new_privs nothing gains rights, and so nothing can be refused them
	check "each one but for one" [ "$(python3 -c 'import json, sys
print(*[h["program"] for h in json.load(sys.stdin)["hooks"] if h["state"] in ("untried", "silent")])' \
		<$w/out)" = exec_gain ]
	property StatusText >$w/out
	check "it says what it serves with" out "settings from $config"
}

violations() {
	local name=$'s p\n\033[31mEGRESSCTL_OP=none'
	echo SECRET >"$w/$name"
	chmod 644 "$w/$name"
	printf '  "%s/s*EGRESSCTL_OP=none": none\n' $w >>$w/policy.yaml
	run --name job -- /bin/cat $w/secret
	check "a run is enforced" both 1 'Permission denied'
	run -- /bin/cat "$w/$name"
	check "another one" both 1 'Permission denied'
	journalctl --sync
	journalctl -o json --no-pager MESSAGE_ID=$violation EGRESSCTL_SEQ=1 EGRESSCTL_COMM=cat >$w/out
	python3 - $w/out $w <<-'END' 2>$w/err
		import json, sys
		e, hostile = [json.loads(l) for l in open(sys.argv[1])]
		want = dict(PATH=sys.argv[2] + "/secret", VERDICT="denied", OP="open", REASON="rule",
		            EXE="/usr/bin/cat", UID="0", OWNER_UID="0", EVENT=e["EGRESSCTL_SANDBOX"] + ".1")
		for k, v in want.items():
		    assert e["EGRESSCTL_" + k] == v, (k, e)
		assert e["EGRESSCTL_RULE"].startswith("policy.yaml:"), e
		assert e["_SYSTEMD_UNIT"] == "egressd.service" and e["PRIORITY"] == "4", e
		assert e["MESSAGE"].startswith("denied open "), e
		assert hostile["EGRESSCTL_OP"] == "open", hostile # one, and not the name's
		assert "\\x0a\\x1b[31mEGRESSCTL_OP=none" in hostile["EGRESSCTL_PATH"], hostile
		assert not set("\n\x1b") & set(hostile["MESSAGE"]), hostile
	END
	status=$?
	check "both are in the journal, field by field, whatever a file is called" is 0
}

# What operators do, through the unit's filters.
operated() {
	run_behind /bin/sh -c "while echo ready >fifo; read -r word <fifo; [ \$word = go ]; do
		cat $w/secret; done; exit 3"
	read -r _ <$w/work/fifo
	turn
	"$egressctl" explain >$w/said 2>&1
	result $? "explain"
	check "has the file and the command" grep -q "egressctl allow [0-9.]* *" $w/said
	"$egressctl" allow last >$w/said 2>&1
	result $? "allow last"
	turn
	"$egressctl" revoke last >$w/said 2>&1
	result $? "revoke"
	turn
	echo end >$w/work/fifo
	wait_launcher
	check "the file was read between them" [ "$status $(grep -c SECRET $w/out) $(
		grep -c 'Permission denied' $w/err)" = '3 1 2' ]
	run --report $w/report.json -- /bin/cat $w/policy.yaml
	check "run --report" grep -q "$w/policy.yaml" $w/report.json
	(cd $w/work && "$egressctl" learn -o $w/learned.yaml -- /bin/cat $w/policy.yaml) >$w/out 2>$w/err
	status=$?
	check "learn" is 0
	"$egressctl" check $w/learned.yaml >$w/out 2>$w/err
	status=$?
	check "gives a policy" is 0
	sh -c "\"$egressctl\" enter -p $w/policy.yaml --pid \$\$ && exec cat $w/secret" >$w/out 2>$w/err
	status=$?
	check "enter" both 1 'Permission denied'
}

turn() {
	echo go >$w/work/fifo
	read -r _ <$w/work/fifo
}

numbers() {
	sysctl -qw kernel.bpf_stats_enabled=1
	run_behind_named $'a"b\\c\nEND 1' /bin/sh -c "cat $w/secret; echo ready >fifo; read -r _ <fifo"
	read -r _ <$w/work/fifo
	sysctl -qw kernel.bpf_stats_enabled=0
	curl -sS $metrics >$w/out 2>$w/err
	status=$?
	check "the listener answers" is 0
	check "a name with a quote and a newline stays a label" \
		out '^egressctl_sandbox_info{sandbox="[0-9]*",name="a\\"b\\\\c�END 1",'
	check "what was refused is counted" \
		[ "$(awk '$1 == "egressctl_decisions_total{op=\"open\",verdict=\"denied\"}" { print $2 }' \
			$w/out)" -ge 3 ]
	sysctl -qw kernel.bpf_stats_enabled=1
	"$egressctl" metrics >$w/out 2>$w/err
	status=$?
	check "egressctl metrics has how long hooks take" \
		out '^egressctl_hook_seconds_total{hook="[a-z_0-9]*"} 0\.0*[1-9]'
	sysctl -qw kernel.bpf_stats_enabled=0
	for m in sandboxes 'sandbox_generation{' 'decisions_total{' events_total events_suppressed_total \
		events_lost_total dns_queries_total dns_failed_total 'map_entries{map="sandboxes"}' \
		'map_entries{map="dfa"}'; do
		check "metrics has $m" out "^egressctl_$m.* [0-9]"
	done
	promtool check metrics <$w/out >$w/promtool 2>$w/err
	status=$?
	check "promtool accepts it without a word" [ "$status $(cat $w/promtool $w/err)" = "0 " ]
	as_tester "$egressctl" metrics >$w/out 2>$w/err
	status=$?
	check "metrics of everybody are not for a user" both 1 'root is needed'
	echo go >$w/work/fifo
	wait_launcher
	check "the run under all this ended well" is 0
}

run_behind_named() { # NAME COMMAND…
	local name=$1
	shift
	rm -f $w/work/fifo
	mkfifo $w/work/fifo
	(cd $w/work && exec "$egressctl" run --name "$name" -p $w/policy.yaml -- "$@") \
		>$w/launched 2>&1 </dev/null &
	launcher=$!
}

reload() {
	local i pid
	pid=$(property MainPID)
	configure 'stop: keep' 'sandboxes: {per-user: 1}' 'socket: {group: tester}'
	systemctl reload egressd
	wait_journal 'settings read again' 1
	result $? "a reload is done"
	check "the group holds" [ "$(stat -c %G:%a /run/egressctl/control.sock)" = tester:660 ]
	configure 'stop: keep' 'metrics: {listen: 127.0.0.1:9477}' 'stopp: end'
	systemctl reload egressd
	wait_journal "$config:4:1: duplicate key" 1
	result $? "a file with a mistake is said, with its place"
	check "and changes nothing" [ "$(value egressctl_reloads_total) $(
		value egressctl_reloads_failed_total) $(stat -c %G /run/egressctl/control.sock)" = \
		"1 1 tester" ]
	rm $config
	ln -s /etc/passwd $config
	systemctl reload egressd
	wait_journal 'is a symbolic link' 1
	result $? "a link in its place is refused"
	rm $config
	# by default it may try its own listeners, of which there is none
	sed '1a egress: {loopback: none}' $w/policy.yaml >$w/held.yaml
	configure 'stop: end' "attach: [{cgroup: first-*.service, policy: $w/held.yaml}]"
	for ((i = 0; i < 500; i++)); do
		kill -HUP "$pid"
	done
	wait_journal 'settings read again' 2
	"$egressctl" ps >$w/out 2>$w/err
	status=$?
	check "it serves after 500 of them" is 0
	check "as the same process" [ "$(property MainPID)" = "$pid" ]
}

restart() {
	run_behind /bin/sh -c \
		"for i in 1 2; do echo ready >fifo; read -r _ <fifo; cat $w/secret; done
		 echo ready >fifo; read -r _ <fifo; exit 5"
	read -r _ <$w/work/fifo
	stops=$(journal | grep -c 'Deactivated successfully')
	systemctl restart egressd
	result $? "the service restarts under a sandbox, which 'stop: end' does not mean"
	check "having stopped in order" \
		[ "$(journal | grep -c 'Deactivated successfully')" = $((stops + 1)) ]
	echo go >$w/work/fifo
	read -r _ <$w/work/fifo
	check "which was refused what it tried then" err 'Permission denied'
	"$egressctl" ps >$w/out
	check "and is known" out policy.yaml
}

# unit NAME: one whose first instructions try what is refused, with mounts of its own
unit() {
	printf '[Service]\nType=oneshot\nPrivateTmp=yes\nExecStart=/usr/local/bin/first %s 127.0.0.1 1 %s\n' \
		$w/secret $w/work/"$1".did >/run/systemd/system/"$1".service
	systemctl daemon-reload
	systemctl start --no-block "$1"
}

# A unit that runs, by the names that systemctl takes; it has mounts of its own.
attached_unit() {
	mkdir -p $w/bin $w/ctl
	cp "$(dirname "$0")/workload.py" $w/bin
	mkfifo $w/ctl/worker.ready
	printf '[Service]\nPrivateTmp=yes\nExecStart=%s %s %s\n' $workload $w/ctl/worker \
		$w/ctl/worker.ready >/run/systemd/system/worker.service
	sed "1a egress: {allow: ['$there:7000']}" $w/policy.yaml >$w/unit.yaml
	systemctl daemon-reload
	systemctl start worker
	read -r _ <$w/ctl/worker.ready
	says worker ok "control: a unit reads a file" open $w/secret
	says worker ok "control: it connects" tcp a $there 7001
	"$egressctl" attach -p $w/policy.yaml --unit wroker >$w/out 2>$w/err
	status=$?
	check "a unit that is not there: the nearest is told" \
		both 125 'wroker.service has no cgroup: it does not run; the nearest is worker.service'
	"$egressctl" attach -p $w/policy.yaml --cgroup /init.scope >$w/out 2>$w/err
	status=$?
	check "process 1 is not attached" both 125 'process 1 runs in'
	"$egressctl" attach -p $w/unit.yaml --unit worker --name worker >$w/out 2>$w/err
	status=$?
	check "attach --unit, without a suffix" is 0
	check "says what it found" out '^sandbox [0-9]*: 2 tasks, '
	"$egressctl" show --json worker >$w/out 2>$w/err
	status=$?
	check "its task is in it" \
		out '"pid": *'"$(systemctl show --value -p MainPID worker)"'[,}]'
	says worker EACCES "the file is refused" open $w/secret
	says worker EPERM "and a connection" tcp b $there 7001
	ctl allow worker connect $there:7001
	check "allow, through the service" is 0
	says worker ok "it connects" tcp b $there 7001
	ctl show worker
	check "show has the connection" out "$there:7001"
	ctl revoke worker
	check "revoke ends it" out '1 revoked, 1 connections ended'
	says worker ECONNABORTED "at once" told b
	"$egressctl" detach --unit worker.service --json >$w/out 2>$w/err
	status=$?
	check "detach --unit, with it" out '"sandbox": '
	"$egressctl" detach --unit worker >$w/out 2>$w/err
	status=$?
	says worker ok "then it reads the file again" open $w/secret
	check "which is done once" both 1 'system.slice/worker.service is not attached'
	systemctl stop worker
	"$egressctl" attach -p $w/policy.yaml --unit worker >$w/out 2>$w/err
	status=$?
	check "one that does not run" both 125 'worker.service has no cgroup: it does not run'
}

# With egressd dead: a unit that a pattern means waits for it.
held_unit() {
	unit free
	systemctl start free
	cp $w/work/free.did $w/out
	check "control: a unit that no pattern means" out '^open 0 connect ECONNREFUSED$'
	unit first-of-all
	is_held /system.slice/first-of-all.service $w/work/first-of-all.did "a unit"
	systemctl start egressd
	status=$?
	check "egressd starts beside it" is 0
	if [ $status -ne 0 ]; then
		journal | tail -n 30 | sed 's|^|# |'
		finish
	fi
	systemctl start first-of-all # waits for the one that is starting
	cp $w/work/first-of-all.did $w/out
	check "the next egressd lets it begin, under its policy" out '^open EACCES connect EPERM$'
}

# Somebody takes a hook away: what wakes an operator.
canary() {
	bpftool link detach id "$(bpftool -j link show pinned /sys/fs/bpf/egressctl/abi*/links-*/connect4 |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')"
	wait_journal 'a hook is silent: connect4' 1
	result $? "the canary finds a hook that is silent"
	journalctl -u egressd -o json --no-pager MESSAGE_ID=$silence >$w/out
	check "the entry is an alert" out '"PRIORITY" *: *"1"'
	check "and names the hook" out '"EGRESSCTL_HOOK" *: *"connect4"'
	property StatusText >$w/out
	check "systemctl status says it" out '^no new sandboxes: a hook is silent: connect4'
	systemctl restart egressd
	property StatusText >$w/out
	check "a restart attaches it anew" out "settings from $config"
}

# egressd stays away, and its sandbox does not notice.
watchdog() {
	kill -STOP "$(property MainPID)"
	wait_journal 'Watchdog timeout' 1
	result $? "the watchdog ends a service that hangs"
	until [ "$(property ActiveState)" = failed ]; do
		read -r _ < <(journalctl -f -n 1 _PID=1)
	done
	check "with that result" [ "$(property Result)" = watchdog ]
	check "its sandbox goes on" [ "$(sandboxes | wc -l)" = 1 ]
	echo go >$w/work/fifo
	read -r _ <$w/work/fifo
	echo go >$w/work/fifo
	wait_launcher
	check "under its rules" [ "$status $(grep -c 'Permission denied' $w/err)" = '5 2' ]
}

prepare
install -m 755 "$EGRESSCTL_BUILD"/selftests/work/first /usr/local/bin
attach_host
install_service
violations
operated
numbers
canary
reload
attached_unit
restart
watchdog
held_unit
finish

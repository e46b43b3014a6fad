#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# An egressd that starts takes over the programs that are loaded, if they are its own, all of
# them, and in force; else it loads its own beside them, and then takes those away.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"

PATH=$PATH:/usr/sbin
pins=/sys/fs/bpf/egressctl
other=$EGRESSCTL_BUILD/selftests/egressd_other

links() { (cd $pins/abi* && ls -d links-*) 2>/dev/null; }

# programs: the ids of all that are attached, by one bpftool for all
programs() {
	for pin in "$(echo $pins/abi*/links-*)"/[a-z]*; do
		case ${pin##*/} in map_* | prog_*) continue ;; esac
		echo "link show pinned $pin"
	done | bpftool -j batch file - | grep -o '"prog_id":[0-9]*' | sort
}

again() { # SIGNAL: as it was
	stop_service "$1"
	start_service
}

same() { # NAME: the load that was remembered
	check "$1: the load is the same" [ "$(links)" = "$load" ]
	check "... and each of its programs" [ "$(programs)" = "$ids" ]
}

anew() { # NAME
	check "$1: it is loaded anew" [ "$(links | wc -l)" -eq 1 -a "$(links)" != "$load" ]
	load=$(links) ids=$(programs)
}

holds() {
	run -- /bin/cat $w/secret
	check "$1: refused what it may not" both 1 'Permission denied'
	run -- /bin/cat $w/work/open
	check "... and not what it may" prints open
}

# A sandbox that tries again and again when it is told to, from before to after.
begin_held() {
	rm -f $w/work/in $w/work/say
	mkfifo $w/work/in $w/work/say
	chmod 666 $w/work/in $w/work/say
	exec {in}<>$w/work/in {say}<>$w/work/say
	cat >$w/work/held.sh <<-END
		exec <in >say
		while read -r _; do
			if cat $w/secret >/dev/null 2>&1; then echo open; else echo refused; fi
		done
	END
	(cd $w/work && exec "$egressctl" run -p $w/policy.yaml -- /bin/sh held.sh) >/dev/null 2>&1 &
	launcher=$!
	asked
}

asked() {
	local got
	echo >&"$in"
	read -r -t 300 got <&"$say"
	[ "$got" = refused ]
}

"$egressctl" uninstall >/dev/null 2>&1
prepare
echo open >$w/work/open
start_service
result $? "egressd starts, where nothing is loaded"
load=$(links) ids=$(programs)
check "control: programs are attached" [ "$(wc -l <<<"$ids")" -gt 60 ]
holds "the first"

again TERM
same "stopped and started"
holds "the second"

begin_held
result $? "a sandbox runs"
again KILL
same "killed beside a sandbox"
asked
result $? "it is held by the one that took over"
holds "beside it, another"

# ---- an attached workload, and the sockets that its cgroup covers -------------------------

mkdir -p "$cgroups/work"
mkfifo $w/go
(echo $BASHPID >"$cgroups/work/cgroup.procs" && exec sh -c 'while read -r what <'$w/go'; do
	case $what in end) exit ;; esac
	timeout 60 bash -c "</dev/tcp/127.0.0.1/7" 2>'$w/work/said'; echo done >'$w/work/told'
done') &
mkfifo $w/work/told
chmod 666 $w/work/told
until grep -q . "$cgroups/work/cgroup.procs"; do :; done
tried() { echo try >$w/go && read -r _ <$w/work/told && grep -q "$1" $w/work/said; }
tried 'Connection refused'
result $? "control: a workload reaches a port where nobody listens"
sed '1a egress: {loopback: none}' $w/policy.yaml >$w/closed.yaml
"$egressctl" attach -p $w/closed.yaml --cgroup /work >$w/out 2>$w/err
status=$?
check "it is attached" is 0
tried 'Operation not permitted'
result $? "its connection is refused"
ids=$(programs)
again KILL
same "killed beside an attached workload"
tried 'Operation not permitted'
result $? "its connection still is"
"$egressctl" detach --cgroup /work >$w/out 2>$w/err
status=$?
check "it is detached" is 0
tried 'Connection refused'
result $? "and its connection free"
echo end >$w/go
ids=$(programs)

# ---- not to be taken over -----------------------------------------------------------------

# Those for cgroups alone, which are loaded in a moment: what looks at them is the same.
again_egress() {
	stop_service "$1"
	start_service --egress-only
}

again_egress TERM
same "fewer programs are wanted"
bpftool link detach pinned "$(echo $pins/abi*/links-*/connect4)"
again_egress TERM
anew "a program was detached"
rm $pins/abi*/links-*/getpeername4
again_egress KILL
anew "a program is missing"
rm $pins/abi*/links-*/map_scratches
again_egress KILL
anew "a map is missing"
again_egress KILL
same "and with all of them"
again TERM
anew "more programs are wanted"
holds "after that"

begin_held
result $? "a sandbox runs beside it"
stop_service KILL
egressd=$other start_service
anew "an egressd of another build"
asked
result $? "the sandbox is held through that"
again KILL
anew "and back"
asked
result $? "through that, too"

# A host that is too slow to prove anything in time knows of no silence.
silent_start() {
	for _ in 1 2 3; do
		again KILL
		grep -q 'silent: they are loaded anew' $w/service.log && return
	done
	sed 's/^/# /' $w/service.log
	return 1
}

# Nothing new begins until the canary has seen in a round of its own that what was silent is not.
proved() {
	local i
	for ((i = 0; i < 200; i++)); do
		run -- /bin/true
		is 0 && return
	done
	return 1
}

sysctl -qw kernel.ftrace_enabled=0
silent_start
result $? "silent ones are not trusted"
sysctl -qw kernel.ftrace_enabled=1
load=
anew "silent ones"
asked
result $? "the sandbox is held again"
proved
result $? "and others can begin"
exec {in}>&-
kill $launcher
wait_launcher

# ---- records that cannot be read ------------------------------------------------------------

for of in sandboxes versions; do
	begin_held
	result $? "$of: a sandbox runs"
	stop_service KILL
	for record in /run/egressctl/abi*/$of/*; do
		echo '{"id":' >"$record"
	done
	start_service
	grep -q "/$of/[0-9]* is of no use and dropped" $w/service.log
	result $? "$of: a record that cannot be read is said"
	wait_launcher
	exec {in}>&-
	check "$of: and its sandbox is ended" none_left
	holds "$of: after that"
done

# ---- away ------------------------------------------------------------------------------------

stop_service
check "the programs stay as they were told to" [ -n "$(links)" ]
chown $uid $pins
start_service >$w/out
check "pins in a directory of somebody else's are not taken over" [ $? -ne 0 ]
check "... and it says whose" grep -q "$pins.*$uid" $w/service.log
chown 0 $pins
check "and what is there stays" [ "$(programs | wc -l)" -gt 60 ]
"$egressctl" uninstall >$w/out 2>$w/err
status=$?
check "uninstall removes them" is 0
check "and leaves nothing" [ ! -e $pins ]
check "no sandbox either" none_left

# A workload that carries no mark is found by its cgroup.
sleep infinity &
echo $! >"$cgroups/work/cgroup.procs"
printf 'version: 1\negress: {loopback: none}\nfiles: {default: rwxc}\n' >$w/net.yaml
start_service --egress-only
"$egressctl" attach -p $w/net.yaml --cgroup /work >$w/out 2>$w/err
status=$?
check "a workload is attached with egress rules alone" is 0
stop_service KILL
"$egressctl" uninstall >$w/out 2>$w/err
status=$?
check "uninstall is refused while it runs" sh -c \
	"[ $status -eq 1 ] && grep -q 'an attached workload is running' $w/err"
start_service --egress-only
"$egressctl" detach --cgroup /work >$w/out 2>$w/err
status=$?
check "it is detached again" is 0
stop_service
"$egressctl" uninstall >$w/out 2>$w/err
status=$?
check "and uninstall leaves nothing" [ $status -eq 0 -a ! -e $pins ]
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# All at once, on a kernel with full preemption, and no verdict is wrong: threads that interrupt
# each other within decisions (work/stress.c says what they try), while directories above are
# moved, policies are exchanged, grants come and go, other sandboxes begin, end, and have no
# memory. Here with as many threads, and as long, as a run of all tests can bear; `make stress`
# sets EGRESSCTL_STRESS_THREADS and EGRESSCTL_STRESS_SECONDS.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

seconds=${EGRESSCTL_STRESS_SECONDS:-20}
threads=${EGRESSCTL_STRESS_THREADS:-10} # of root's in one sandbox
users=$((threads > 16 ? 16 : threads)) # of a user's in another, and half as many in none
stress=$w/bin/stress
s=$w/stress
declare -A pid_of

stress_prepare() {
	local kind path
	prepare
	attach_policies
	cp "$EGRESSCTL_BUILD"/selftests/work/{stress,flood} $w/bin
	mkdir -p $s
	$stress names $s >$w/names
	while read -r kind path; do
		case $kind in
		d) mkdir -p "$path" ;;
		f) echo content >"$path" ;;
		x) cp $stress "$path" ;;
		esac
	done <$w/names
	chmod -R a+rwX $s
	{
		sed "s|^  allow: .*|  allow: [\"$there:7000\", \"$there:7000/udp\"]|" $w/policy.yaml |
			sed "s|^  listen: .*|&\n  unix: [$s/open.sock]|"
		echo "  $s/open: rwxc"
		echo "  $s/shut: none"
		echo "  $s/long: rwxc"
		echo "  $s/open.tool: rx"
		# those for themselves, beside what is allowed
		sed -n 's/^f \(.*\/long\/.*\/shut.*\)/  \1: none/p' $w/names
		echo "privileges: [sys_nice]" # some threads of root's are woken in real time
	} >$w/stress.yaml
	# whatever it has besides, the verdicts are the same
	sed "s|$w/bin: rx|&\n  /srv/no-such: r|; s|7000/udp\"|&, \"$there:7010-7030\"|" \
		$w/stress.yaml >$w/other.yaml
}

# begin_part NAME COMMAND…: goes on until it is told to end; says in $w/NAME.said
begin_part() {
	local name=$1
	shift
	rm -f $w/ctl/$name
	: >$w/$name.said
	mkfifo $w/ctl/$name
	chmod 666 $w/ctl/$name
	(cd $w/ctl && exec "$@" $w/ctl/$name) >$w/$name.said 2>$w/$name.err </dev/null &
	pid_of[$name]=$!
	is_ready $name $!
	result $? "$name begins"
	sed 's/^/# /' $w/$name.err
}

# end_part NAME: its status
end_part() {
	echo end 1<>$w/ctl/$1 # it may have ended
	wait "${pid_of[$1]}"
	status=$?
	grep -v ready $w/$1.said | sed "s/^/# $1: /"
	sed 's/^/# /' $w/$1.err
}

# end_tries NAME TITLE: it tried, and no answer was wrong
end_tries() {
	end_part $1
	is 0 && grep -q '^tries [1-9]' $w/$1.said
	result $? "$2"
}

# As an operator does; each must succeed. What takes too long on a host whose processor is not to be
# had is said, and asked for once more.
operate() {
	asked switch hot $w/other.yaml && asked allow hot connect $there:7009 --for 1h &&
		asked switch hot $w/stress.yaml && asked revoke hot
}

asked() {
	ctl "$@"
	is 0 && return
	sed "s|^|# $*: |" $w/err
	ctl "$@"
	is 0
}

# One that begins, tries a little, and ends; its limits in the arguments. Where none may begin
# it is said and asked for once more, as above.
brief() {
	begun "$@"
	is 125 || return
	sed "s|^|# run: |" $w/err
	begun "$@"
}

begun() {
	(cd $w/ctl && exec "$egressctl" run -p $w/stress.yaml "$@") >$w/out 2>$w/err </dev/null
	status=$?
}

while_they_try() {
	local end=$((SECONDS + seconds)) rounds=0 operated=0 tried=0 starved=0
	while [ $SECONDS -lt $end ] || [ $rounds -eq 0 ]; do
		rounds=$((rounds + 1))
		operate && operated=$((operated + 1))
		brief -- $stress try 4 $s $there
		is 0 && tried=$((tried + 1)) || sed 's/^/# /' $w/out $w/err
		brief --limit memory=16M -- $w/bin/flood memory 1 $w/secret
		is 0 && out ' 0 wrong' && starved=$((starved + 1))
	done
	echo "# $rounds rounds"
	check "policies and grants are exchanged all the time" [ $operated -eq $rounds ]
	check "sandboxes begin and end, no verdict in them is wrong" [ $tried -eq $rounds ]
	check "nor in those that have no memory" [ $starved -eq $rounds ]
}

# Only one datagram and one connection came to what is refused: those of the control.
served() {
	end_part serve
	grep -q '^allowed [1-9][0-9]* [1-9][0-9]* [1-9]' $w/serve.said
	result $? "what is allowed arrives"
	grep -q '^refused 1 1$' $w/serve.said
	result $? "nothing that is refused does"
	grep -q '^free [1-9][0-9]* [1-9]' $w/serve.said
	result $? "an outsider's does"
}

stress_prepare
grep -q '(full)' /sys/kernel/debug/sched/preempt
result $? "control: this kernel preempts whatever it does"
attach_link
begin_part serve ip netns exec there $stress serve $s
echo x >/dev/tcp/$there/7001 && echo x >/dev/udp/$there/7001
result $? "control: the server answers where the sandbox may not go"
start_service || { echo "Bail out! egressd does not start"; exit 1; }
begin_part move $stress move $s
begin_part free $stress free $((users / 2)) $s $there
begin_part hot "$egressctl" run -p $w/stress.yaml --name hot -- $stress try $threads $s $there
begin_part warm setpriv --reuid=$uid --regid=$uid --init-groups --reset-env -- \
	"$egressctl" run -p $w/stress.yaml -- $stress try $users $s $there
while_they_try
end_tries hot "$threads threads of root: no verdict is wrong"
grep -q ' [1-9][0-9]* threads in real time' $w/hot.said
result $? "some of them were woken in real time"
end_tries warm "$users threads of a user: no verdict is wrong"
end_tries free "$((users / 2)) threads outside: nothing is refused"
end_part move
check "directories were moved all the time" grep -q '^moves [1-9]' $w/move.said
served
check "egressd goes on" kill -0 $service
stop_service
finish

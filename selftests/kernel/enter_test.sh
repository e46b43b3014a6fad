#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# An ordinary user puts a tree of own processes under a policy, for good; whose tree may not enter.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

# as the user tester, in a cgroup of the user's session
session() { setpriv --reuid=$uid --regid=$uid --clear-groups --reset-env "$@"; }

# What a job hook of a CI runner does: its parent enters, and the answer comes back to the hook.
hook() {
	cat >$w/hook <<-END
		#!/bin/bash
		cat $w/secret && echo before
		"$egressctl" enter -p $w/policy.yaml && echo entered
		cat $w/secret || echo refused
		sh -c 'cat $w/secret' || echo child
		"$egressctl" enter -p $w/policy.yaml || echo "again \$?"
		"$egressctl" why || echo "why \$?"
		cat /proc/self/cgroup
	END
	chmod 755 $w/hook
	(
		mkdir -p $cgroups/user.slice/job
		echo $BASHPID >$cgroups/user.slice/job/cgroup.procs
		exec setpriv --reuid=$uid --regid=$uid --clear-groups --reset-env $w/hook
	) >$w/out 2>$w/err </dev/null
	status=$?
	check "control: the tree reads before it enters" out '^before'
	check "the answer comes to a caller in the tree" out '^entered'
	check "from then on it is refused" out '^refused'
	check "and to what it starts" out '^child'
	check "once is for good" out '^again 125'
	check "why says where its denials are" out '^why 125'
	check "and not that it is no sandbox" err 'not set in this sandbox.*by egressctl explain$'
	check "it is in the sandbox's cgroup" out '^0::/egressctl/s[0-9]'
	until none_left; do :; done
	check "the sandbox ends with its last process" none_left
}

# its_user WORD…: egressctl as the user whose tree it is
its_user() {
	session "$egressctl" "$@" >$w/out 2>$w/err </dev/null
	status=$?
}

asked() {
	its_user explain
	check "explain shows its user what was refused" out "$there:7001"
	its_user allow last
	check "allow last is about it" out "allowed connect $there:7001[ /,]"
	says one ok "which is made then" tcp new $there 7001
	says one EACCES "and nothing else" open $w/secret
	its_user revoke last
	check "it is taken back" out '1 revoked'
	says one EPERM "and refused again" tcp new $there 7001
}

tree() {
	begin one /user.slice/session setpriv --reuid=$uid --regid=$uid --clear-groups
	says one ok "control: a file" thread open $w/secret
	says one ok "control: connections" tcp bad $there 7001
	says one ok "control: to where it will be allowed" tcp good $there 7000
	session "$egressctl" enter -p $w/policy.yaml --pid $workload_pid >$w/out 2>$w/err </dev/null
	status=$?
	check "a tree beside the caller's enters" is 0
	says one EACCES "a file is refused" open $w/secret
	says one EACCES "to a thread" thread open $w/secret
	says one EACCES "to a child" child open $w/secret
	says one ok "an allowed connection goes on, in the cgroup it was made in" echo good
	its_user show --json last
	check "and show has it" out '"port": 7000,'
	says one ECONNABORTED "another one is ended" echo bad
	says one EPERM "a new one is judged" tcp new $there 7001
	asked
	says one ok "and made" tcp new $there 7000
	ctl detach last
	check "nothing gets it out again" both 1 'nothing gets out of it'
	ctl deny last open $w/bin
	check "root denies it something" is 0
	says one EACCES "which holds" open $workload
	stop_service KILL
	says one EACCES "nor the end of egressd" open $w/secret
	start_service
	result $? "the next one starts"
	says one EPERM "nor the next one" tcp new $there 7001
	says one ok "which knows what is allowed" echo good
	ctl grants
	check "and what root denied" out 'denied open'
	session "$egressctl" allow last connect $there:7001 >$w/out 2>$w/err
	status=$?
	check "its user is granted what is theirs to grant" is 0
	says one ok "which holds" tcp new $there 7001
	says one EACCES "and undoes nothing that root denied" open $workload
	tell one end
	until none_left; do :; done
	check "it ends with its last process" none_left
}

# Who began the tree ends, and so does egressd: what is left of the tree is held all the same.
orphans() {
	local first
	begin orphan /user.slice/session setpriv --reuid=$uid --regid=$uid --clear-groups \
		sh -c '/usr/bin/python3 "$@" & wait' sh
	first=$workload_pid
	session "$egressctl" enter -p $w/policy.yaml --pid $first >$w/out 2>$w/err </dev/null
	status=$?
	check "a tree enters whose first process will end" is 0
	kill -KILL $first
	wait $first 2>/dev/null
	stop_service KILL
	start_service
	result $? "egressd starts where no first process is left"
	ctl ps
	check "it knows the sandbox" out 'policy.yaml'
	says orphan EACCES "which is held" open $w/secret
	says orphan EPERM "by all its rules" tcp new $there 7001
	stop_service KILL
	echo no record >"$(ls -d /run/egressctl/abi*/sandboxes/* | tail -n 1)"
	start_service
	result $? "it starts with a record that is of no use"
	until none_left; do :; done
	check "whose sandbox is ended" none_left
}

# enter_as_tester PID
enter_as_tester() {
	session "$egressctl" enter -p $w/policy.yaml --pid "$1" >$w/out 2>$w/err </dev/null
	status=$?
}

refused() {
	sleep 1000 &
	local other=$!
	enter_as_tester $other
	check "somebody else's process is refused" both 125 'belongs to another user'
	kill $other
	enter_as_tester 1
	check "and process 1" both 125 'process 1 cannot enter'
	enter_as_tester 4000000
	check "and what is not there" both 125 'no process 4000000'
	begin two /user.slice/session setpriv --reuid=$uid --regid=$uid --clear-groups \
		--inh-caps=+net_raw --ambient-caps=+net_raw
	enter_as_tester $workload_pid
	check "one that has capabilities" both 125 'has capabilities'
	says two ok "which goes on as it was" open $w/secret
	tell two end
	begin three /user.slice/session setpriv --reuid=$uid --regid=$uid --clear-groups \
		/usr/bin/python3 -c 'import ctypes, signal, sys
ctypes.CDLL(None).prctl(4, 0)   # PR_SET_DUMPABLE
open(sys.argv[3], "w").write("ready\n")
signal.pause()'
	enter_as_tester $workload_pid
	check "one that is not to be looked at" both 125 'protected from its own user'
	kill -KILL $workload_pid
	cp /bin/sleep $w/bin/set-uid
	chmod 4755 $w/bin/set-uid
	mkfifo -m 666 $w/ctl/set-uid
	session bash -c "$w/bin/set-uid 1000 & echo \$! >$w/ctl/set-uid; wait" &
	local tree=$! child
	read -r child <$w/ctl/set-uid
	until grep -q set-uid /proc/"$child"/comm; do :; done
	enter_as_tester $tree
	check "a tree with a set-uid program in it" both 125 'belongs to another user'
	check "none of it stays inside" none_left
	check "it is where it was" grep -qv egressctl /proc/$tree/cgroup
	kill -KILL "$child"
}

prepare
attach_policies
attach_host
start_service || exit 1
hook
tree
orphans
refused
stop_service
finish

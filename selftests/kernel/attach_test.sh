#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A running workload under a policy: the tasks, threads, files and sockets it has already, what it
# starts, what is moved in; refused attaches; egressd killed and started; detached again.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

before() {
	begin one /work.slice/one
	says one ok "control: a file" open $w/secret
	says one ok "control: a thread" thread open $w/secret
	says one ok "control: a connection" tcp good $there 7000
	says one ok "control: a connection that will be refused" tcp bad $there 7001
	says one ok "control: it answers" echo bad
	says one ok "control: a socket made before" socket plain tcp
	says one ok "control: a socket for datagrams" socket dgram udp
	says one ok "control: a file that is kept open" keep file $w/secret
	says one ok "control: a listener" listen in 7100
	ip netns exec there socat TCP:$here:7100 EXEC:cat &
	says one ok "control: a connection from outside" accept in from
	says one ok "control: it is answered" echo from
}

attached() {
	ctl attach -p $w/policy.yaml --cgroup /work.slice/one --name one
	check "attach" is 0
	check "says what it found" out '^sandbox [0-9]*: 2 tasks, [0-9]* sockets$'
	says one EACCES "a file is refused" open $w/secret
	says one EACCES "to a thread that was there before" thread open $w/secret
	says one EACCES "to a child" child open $w/secret
	says one ok "an allowed file is opened" open $w/policy.yaml
	says one ok "a file that was open is read" pread file
	says one ok "an allowed connection goes on" echo good
	says one ECONNABORTED "another one is ended" echo bad
	says one EPERM "a socket that was there before is judged" connect plain $there 7001
	says one EPERM "a datagram from one that was there before" sendto dgram $there 7001
	says one EPERM "a new connection is judged" tcp new $there 7001
	says one ok "an allowed one is made" tcp new $there 7000
	says one ok "a connection that came in goes on" echo from
	"$egressctl" log --json >$w/out 2>&1
	check "events name the sandbox's policy" out '"op":"open".*secret'
}

# What an operator asks about it, and what is allowed to it then.
asked() {
	says one EPERM "a connection is refused" tcp new $there 7001
	ctl explain
	check "explain shows it" out "$there:7001"
	ctl allow last
	check "allow last is about it" out "allowed connect $there:7001[ /,]"
	says one ok "which is made then" tcp new $there 7001
	says one EACCES "and nothing else" open $w/secret
	ctl revoke last
	check "it is taken back" out '1 revoked'
	says one EPERM "and refused again" tcp new $there 7001
	ctl ps
	kept=$(echo /run/egressctl/denials/"$(awk '$NF == "one" { print $1 }' $w/out)"-*)
	check "what it was refused is in a file" [ -s "$kept" ]
}

moved_in() {
	begin two /elsewhere
	says two ok "control: a task outside" open $w/secret
	says two ok "control: with a connection of another cgroup" tcp far $there 7001
	echo "$workload_pid" >$cgroups/work.slice/one/cgroup.procs
	says two EACCES "moved in it is marked" open $w/secret
	says two EACCES "with all its threads" thread open $w/secret
	says two ECONNABORTED "and its connection is ended" echo far
	echo "$workload_pid" >$cgroups/elsewhere/cgroup.procs
	says two EACCES "moved out it stays so" open $w/secret
	says two EPERM "and makes no connection from there" tcp new $there 7000
	tell two end
	mkdir $cgroups/work.slice/one/below
	begin three /work.slice/one/below
	says three EACCES "a cgroup made below it is in it" open $w/secret
	says three EPERM "and its sockets" tcp new $there 7001
	tell three end
	python3 - $cgroups/work.slice/one $w/secret <<-END
		import ctypes, os, struct, sys
		# clone3() with CLONE_INTO_CGROUP
		fd = os.open(sys.argv[1], os.O_RDONLY)
		args = struct.pack("11Q", 1 << 33, 0, 0, 0, 17, 0, 0, 0, 0, 0, fd)
		pid = ctypes.CDLL(None).syscall(435, args, len(args))
		if pid:
		    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
		try:
		    os.open(sys.argv[2], os.O_RDONLY)
		except PermissionError:
		    os._exit(0)
		os._exit(1)
	END
	result $? "a child cloned into the cgroup is marked before it runs"
}

# What a workload has in cgroups below its own, and in other networks than its first process.
scattered() {
	socat TCP-LISTEN:7200,fork,reuseaddr EXEC:cat &
	local listener=$!
	until ss -Htln "sport = :7200" | grep -q .; do :; done
	begin six /six
	says six ok "control: a connection" tcp bad $there 7001
	mkdir $cgroups/six/below
	begin seven /six/below
	says seven ok "control: one of a cgroup below" tcp bad $there 7001
	says seven ok "control: an allowed one" tcp good $there 7000
	begin eight /six ip netns exec there
	says eight ok "control: one in another network" tcp bad $here 7200
	begin nine /nine ip netns exec there
	says nine ok "control: one of somebody else there" tcp bad $here 7200
	ctl attach -p $w/policy.yaml --cgroup /six
	check "a workload in several cgroups and networks is attached" is 0
	says six ECONNABORTED "its first process is told" told bad
	says seven ECONNABORTED "one in a cgroup below, too" told bad
	says eight ECONNABORTED "one in another network, too" told bad
	says seven ok "what is allowed goes on" echo good
	says nine ok "and what is not its own" echo bad
	ctl deny last connect $there:7000
	check "an address is denied" is 0
	says seven ECONNABORTED "who uses it is told" told good
	for name in six seven eight nine; do tell $name end; done
	for name in six/below six nine; do
		until rmdir $cgroups/$name 2>/dev/null; do :; done
	done
	kill $listener
}

refused() {
	ctl attach -p $w/policy.yaml --cgroup /
	check "the root cgroup is refused" both 125 'the root cgroup'
	ctl attach -p $w/policy.yaml --cgroup $cgroups
	check "by its mount point as well" both 125 'the root cgroup'
	ctl attach -p $w/policy.yaml --cgroup /agent.slice
	check "an ancestor of egressd is refused" both 125 'egressd itself runs in'
	ctl attach -p $w/policy.yaml --cgroup /egressctl
	check "the sandboxes' own is refused" both 125 "egressctl's own sandboxes"
	ctl attach -p no-such-policy --cgroup /elsewhere
	check "an unknown policy is refused" is 2
	ctl attach -p $w/policy.yaml --cgroup /no/such
	check "an unknown cgroup is refused" both 125 'no cgroup /no/such'
	ctl attach -p $w/policy.yaml --cgroup /elsewhere/../work.slice
	check "a path with .. is refused" both 2 "without '//'"
	ctl attach -p $w/policy.yaml --cgroup /work.slice/one/below
	check "one that is in a sandbox already" both 125 'detach it first'
	ctl attach -p $w/policy.yaml --cgroup /work.slice
	check "one with a sandbox below" both 125 'in one sandbox only'
	as_tester "$egressctl" attach -p $w/policy.yaml --cgroup /elsewhere >$w/out 2>$w/err
	status=$?
	check "for root only" both 125 'only root attaches'
	begin four /four
	tell four packet raw >/dev/null
	ctl attach -p $w/policy.yaml --cgroup /four
	check "a socket that nothing can judge" both 125 "kind 'packet'"
	says four ok "nothing stays of it" open $w/secret
	says four ok "not for children either" child open $w/secret
	tell four end
}

# What a container runtime looks like, a hostile workload of root's can look like, too.
disguised() {
	begin five /five from_memory
	says five ok "control: a workload that runs from a memfd" open $w/secret
	ctl attach -p $w/policy.yaml --cgroup /five
	says five EACCES "it is refused all the same" open $w/secret
	says five EACCES "and its thread" thread open $w/secret
	tell five end
	gone "$workload_pid" || :
	until rmdir $cgroups/five 2>/dev/null; do :; done
}

restarted() {
	stop_service KILL
	says one EACCES "with egressd dead it is refused" open $w/secret
	in_agent start_service
	check "egressd starts again" [ -n "$service" ]
	says one EACCES "and refused under the next one" open $w/secret
	says one EPERM "connections as well" tcp new $there 7001
	says one ok "allowed ones not" tcp new $there 7000
	stop_service
	says one EACCES "a clean stop leaves it as it is" open $w/secret
	says one EPERM "connections as well" tcp new $there 7001
	in_agent start_service
	ctl ps
	check "the next one knows it" out ' one$'
}

detached() {
	as_tester "$egressctl" detach one >$w/out 2>$w/err
	status=$?
	check "detach is for root only" both 125 'only root detaches'
	ctl detach nobody
	check "an unknown one is told" is 1
	ctl detach one
	check "detach" out '^sandbox [0-9]*: detached, it goes on without a policy$'
	check "what it was refused is forgotten" [ ! -e "$kept" ]
	says one ok "a file is opened" open $w/secret
	says one ok "by a thread" thread open $w/secret
	says one ok "by a child" child open $w/secret
	says one ok "a connection is made" tcp new $there 7001
	says one ok "a socket made before" sendto dgram $there 7001
	says one ok "a connection made before goes on" echo good
	ctl attach -p $w/policy.yaml --cgroup /work.slice/one
	check "and attached anew" is 0
	says one EACCES "it is refused again" open $w/secret
	tell one end
	gone "$workload_pid" || :
	rmdir $cgroups/work.slice/one/below
	until rmdir $cgroups/work.slice/one 2>/dev/null; do :; done
	until ctl ps && ! out '^ *[0-9]'; do :; done
	check "the sandbox ends with its cgroup" is 0
}

# in_agent COMMAND…: in the cgroup that egressd is to run in
in_agent() {
	mkdir -p $cgroups/agent.slice/egressd
	echo $$ >$cgroups/agent.slice/egressd/cgroup.procs
	"$@"
	echo $$ >$cgroups/cgroup.procs
}

prepare
attach_policies
attach_host
in_agent start_service || exit 1
before
attached
asked
moved_in
scattered
refused
disguised
restarted
detached
stop_service
finish

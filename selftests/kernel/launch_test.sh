#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A run through egressd is like a run without it: status, signals, jobs,
# environment, descriptors. And it cannot be left.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"

exit_status() {
	run -- /bin/true
	check "exit status 0" is 0
	run -- /bin/sh -c 'exit 3'
	check "exit status 3" is 3
	run -- no-such-command-at-all
	check "127 when not found" both 127 'no-such-command-at-all: command not found'
	run -- /no/such/file
	check "127 for a path that does not exist" is 127
	touch $w/work/plain
	run -- $w/work/plain
	check "126 when not executable" both 126 'plain: cannot execute: Permission denied'
	cp /bin/true $w/true
	run -- $w/true
	check "126 when the policy gives no x" both 126 'true: cannot execute'
	run -- /bin/sh -c 'kill -KILL $$'
	check "128 + n when a signal ended it" is 137
	run -- /bin/sh -c 'kill -TERM $$'
	check "the launcher dies of the same signal" is 143
	[ ! -e $w/work/core ]
	result $? "and leaves no core"
}

bad_input() {
	run -p $w/missing.yaml -- /bin/true
	check "2 for a policy that does not exist" is 2
	printf 'version: 1\nfiles:\n  /usr: rz\n' >$w/bad.yaml
	run -p $w/bad.yaml -- /bin/true
	check "2 for a bad policy, with its place" both 2 'bad.yaml:3:'
	: >$w/empty.yaml
	run -p $w/empty.yaml -- /bin/true
	check "2 for an empty policy" is 2
	printf 'version: 1\negress:\n  allow: ["example.com:443/udp"]\n' >$w/name.yaml
	run -p $w/name.yaml -- /bin/true
	check "2 for a name where no server name can be seen" both 2 'name.yaml:3:.*example.com'
	run --limit memory=lots -- /bin/true
	check "2 for a bad limit" both 2 "'lots' is not"
	run --keep-fd 77 -- /bin/true
	check "2 for a descriptor that is not open" both 2 'descriptor 77 is not open'
	run --no-such-option -- /bin/true
	check "2 for an unknown option" both 2 "unknown option '--no-such-option'"
	run --
	check "2 without a command" both 2 'a command was expected'
}

entry() {
	run -- /bin/cat /proc/self/cgroup
	check "the command begins in the cgroup of its sandbox" out '^0::/egressctl/s[0-9]*$'
	run -- /bin/cat $w/secret
	check "its first access is judged" both 1 'secret: Permission denied'
	check "a summary names the log" err 'refused; see: egressctl log --sandbox'
	"$egressctl" log --json >$w/out 2>&1
	check "and the log has it" out "$w/secret"
	run -v -- /bin/cat $w/secret
	check "-v prints it as it happens" err "denied open $w/secret"
	run --audit -- /bin/cat $w/secret
	check "--audit refuses nothing" out SECRET
	run --fail-fast -- /bin/sh -c "cat $w/secret; while :; do :; done"
	check "--fail-fast ends it" both 137 'fail-fast'
	run -- /bin/pwd
	check "the working directory stays" prints $w/work
}

environment() {
	export AWS_SECRET_ACCESS_KEY=x GITHUB_TOKEN=y PLAIN=z
	run -- /usr/bin/env
	check "plain variables stay" out '^PLAIN=z$'
	! grep -Eq 'AWS_SECRET|GITHUB_TOKEN' $w/out
	result $? "those that look like secrets do not"
	check "EGRESSCTL_SANDBOX names the sandbox" out '^EGRESSCTL_SANDBOX=[1-9]'
	sed '$a env: {keep: [GITHUB_TOKEN], set: {CI: "1"}}' $w/policy.yaml >$w/env.yaml
	"$egressctl" run -p $w/env.yaml -- /usr/bin/env >$w/out 2>$w/err
	check "keep" out '^GITHUB_TOKEN=y$'
	check "set" out '^CI=1$'
	unset AWS_SECRET_ACCESS_KEY GITHUB_TOKEN PLAIN
}

descriptors() {
	exec 9<$w/policy.yaml
	run -- /bin/sh -c 'readlink /proc/self/fd/9'
	check "other descriptors are closed" is 1
	run --keep-fd 9 -- /bin/sh -c 'readlink /proc/self/fd/9'
	check "--keep-fd keeps one" prints $w/policy.yaml
	exec 9<&-
	run -- /bin/sh -c 'ls /proc/self/fd | wc -l'
	check "0, 1, 2 and the one of ls" prints 4
	python3 - "$egressctl" $w/policy.yaml >$w/out 2>$w/err <<-END
		import socket, subprocess, sys
		a = socket.socket()
		a.bind(("127.0.0.1", 0))
		a.listen()
		b = socket.create_connection(a.getsockname())
		sys.exit(subprocess.run([sys.argv[1], "run", "-p", sys.argv[2], "--", "/bin/true"],
		                        stdin=b).returncode)
	END
	status=$?
	check "a network socket as standard input is refused" both 125 'descriptor 0 is a network'
}

signals() {
	local sig
	for sig in TERM HUP USR1 INT; do
		run_behind /bin/sh -c "trap 'exit 42' $sig; echo ready >fifo; while :; do :; done"
		read -r _ <$w/work/fifo
		kill -$sig $launcher
		wait_launcher
		check "SIG$sig sent to the launcher reaches the command" is 42
	done
}

# The launcher stops when the command does and continues it.
jobs_of_a_shell() {
	python3 - "$egressctl" $w/policy.yaml >$w/out 2>$w/err <<-'END'
		import os, signal, sys
		pid = os.fork()
		if not pid:
		    os.setpgid(0, 0)
		    os.execv(sys.argv[1], [sys.argv[1], "run", "-p", sys.argv[2], "--", "/bin/sh",
		                           "-c", "kill -TSTP $$; exit 9"])
		_, st = os.waitpid(pid, os.WUNTRACED)
		print("stopped" if os.WIFSTOPPED(st) and os.WSTOPSIG(st) == signal.SIGTSTP else st)
		os.kill(pid, signal.SIGCONT)
		_, st = os.waitpid(pid, 0)
		print(os.waitstatus_to_exitcode(st))
	END
	check "it stops and continues with the command" [ "$(tr '\n' ' ' <$w/out)" = 'stopped 9 ' ]
	python3 - "$egressctl" $w/policy.yaml >$w/out 2>$w/err <<-'END'
		import os, pty, sys
		pid, fd = pty.fork()
		if not pid:
		    os.execv(sys.argv[1], [sys.argv[1], "run", "-p", sys.argv[2], "--", "/bin/bash",
		                           "--norc", "-ic", "sleep 1000 & kill %1; wait; tty; echo JOB"])
		data = b""
		try:
		    while True:
		        data += os.read(fd, 4096)
		except OSError:
		    pass
		_, st = os.waitpid(pid, 0)
		print(data.decode(errors="replace"))
		sys.exit(os.waitstatus_to_exitcode(st))
	END
	status=$?
	check "a shell on a terminal has job control" prints_job
}

prints_job() { is 0 && out JOB && out /dev/pts && ! out 'no job control'; }

endings() {
	run_behind /bin/sh -c 'echo $$ >fifo; while :; do :; done'
	read -r pid <$w/work/fifo
	kill -KILL $launcher
	wait_launcher
	gone "$pid"
	result $? "kill -9 of the launcher ends the command"
	run -- /bin/sh -c 'setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!'
	gone "$(cat $w/out)"
	result $? "what the command leaves behind ends with it"
	run_behind /bin/sh -c 'echo ready >fifo; while :; do :; done'
	read -r _ <$w/work/fifo
	"$egressctl" ps >$w/ps
	id=$(awk '$7 ~ /policy.yaml/ { print $1; exit }' $w/ps)
	"$egressctl" kill "$id"
	wait_launcher
	check "egressctl ps and kill" both 137 'killed by egressctl kill'
	check "no cgroup is left" none_left
}

limits() {
	run --limit time=300ms -- /bin/sh -c 'while :; do :; done'
	check "limit on time" both 137 'time limit'
	run --limit pids=4 -- /bin/sh -c 'cat /sys/fs/cgroup$(cut -d: -f3 </proc/self/cgroup)/pids.max'
	check "limit on tasks" prints 4
	run --limit memory=64M --limit cpu=50% -- /bin/sh -c \
		'cd /sys/fs/cgroup$(cut -d: -f3 </proc/self/cgroup); echo $(cat memory.max cpu.max)'
	check "limits on memory and processor" prints '67108864 50000 100000'
}

# A hybrid host: cgroup v1 has the controller, v2 does not.
make_hybrid() {
	mkdir -p $w/v1
	local file
	# whoever ran before may have left directories that use it
	find "$cgroups" -depth -name cgroup.subtree_control | while read -r file; do
		echo -io >"$file"
	done 2>/dev/null
	mount -t cgroup -o blkio cgroup $w/v1 2>/dev/null
}

hybrid() {
	if ! grep -qw blkio <(awk -v d=$w/v1 '$2 == d' /proc/self/mounts); then
		n=$((n + 1))
		echo "ok $n - a limit that only cgroup v1 has is refused # SKIP no cgroup v1"
		return
	fi
	run --limit io=100 -- /bin/true
	check "a limit that only cgroup v1 has is refused" both 125 "controller 'io'"
	umount $w/v1
}

users() {
	(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml -- /usr/bin/id -u) \
		>$w/out 2>$w/err
	status=$?
	check "an ordinary user runs a command" prints $uid
	(cd $w/work && as_tester "$egress_run" -p $w/policy.yaml -- /bin/cat $w/secret) \
		>$w/out 2>$w/err
	status=$?
	check "egress-run does the same" both 1 'Permission denied'
	as_tester "$egressctl" log >$w/out 2>&1
	check "and sees its own violations" out "$w/secret"
	run_behind /bin/sh -c 'echo ready >fifo; while :; do :; done'
	read -r _ <$w/work/fifo
	as_tester "$egressctl" ps --json >$w/out
	check "but not the sandboxes of others" [ "$(cat $w/out)" = '[]' ]
	id=$("$egressctl" ps | awk '$7 ~ /policy.yaml/ { print $1; exit }')
	as_tester "$egressctl" kill "$id" >$w/out 2>$w/err
	status=$?
	check "and cannot end them" both 1 'none of yours is live'
	kill $launcher
	wait_launcher
	(cd $w/work && SUDO_UID=$uid SUDO_GID=$uid "$egressctl" run -p $w/policy.yaml -- \
		/bin/sh -c 'id -un; echo $HOME') >$w/out 2>$w/err
	status=$?
	check "under sudo it runs as the caller" [ "$(tr '\n' ' ' <$w/out)" = "tester $w/home " ]
}

nested() {
	# where the policy lets them be executed
	cp "$egressctl" "$egress_run" $w/work
	run -- ./egressctl run -p $w/policy.yaml -- /bin/true
	check "egressctl run inside says what it is" both 125 'this is a sandbox already'
	run -- ./egress-run -p $w/policy.yaml -- /bin/true
	check "egress-run too" both 125 'this is a sandbox already'
	run -- python3 -c '
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("/run/egressctl/control.sock")'
	check "the control socket is out of reach" both 1 'PermissionError: \[Errno 1\]'
}

prepare
make_hybrid
start_service
result $? "egressd starts"
exit_status
bad_input
entry
environment
descriptors
signals
jobs_of_a_shell
endings
hybrid
limits
users
nested
stop_service
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What an ordinary user may not do with sandboxes of the own: show a set-uid program what to believe,
# hide a file from a rule, have looked at what is not the user's.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

session() { setpriv --reuid=$uid --regid=$uid --clear-groups --reset-env "$@"; }

# Programs that would say by what rights they run.
programs() {
	for name in plain set-uid set-gid caps; do
		cp "$(readlink -f /usr/bin/python3)" $w/bin/$name
	done
	chmod 4755 $w/bin/set-uid
	chmod 2755 $w/bin/set-gid
	python3 - $w/bin/caps <<-END
		import os, struct, sys
		# VFS_CAP_REVISION_2, effective: cap_net_raw
		os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
	END
	cat >$w/bin/rights.py <<-END
		import os
		status = dict(l.split(":", 1) for l in open("/proc/self/status"))
		print(os.geteuid(), os.getegid(), int(status["CapPrm"], 16))
	END
	chmod 644 $w/bin/rights.py
}

# tries [COMMAND…]: what the user is told of each program, in $w/out
tries() {
	cat >$w/bin/tries <<-END
		for name in plain set-uid set-gid caps; do
			echo \$name: \$($w/bin/\$name -I $w/bin/rights.py 2>&1)
		done
	END
	chmod 755 $w/bin/tries
	session "$@" sh $w/bin/tries >$w/out 2>$w/err </dev/null
	status=$?
}

controls() {
	tries
	check "control: a program has its user's rights" out "^plain: $uid $uid 0$"
	check "control: a set-uid program has its owner's" out "^set-uid: 0 $uid"
	check "control: a set-gid program has its group's" out "^set-gid: $uid 0 0$"
	check "control: a file's capabilities are gained" out "^caps: $uid $uid 8192$"
}

# refused WHERE
refused() {
	check "$1: a program runs" out "^plain: $uid $uid 0$"
	check "$1: a set-uid program does not" out '^set-uid: .*Operation not permitted'
	check "$1: nor a set-gid one" out '^set-gid: .*Operation not permitted'
	check "$1: nor one that has capabilities" out '^caps: .*Operation not permitted'
}

entered() {
	cat >$w/bin/hook <<-END
		"$egressctl" enter -p $w/policy.yaml || exit
		exec "\$@"
	END
	chmod 755 $w/bin/hook
	mkdir -p $cgroups/user.slice/job
	(
		echo $BASHPID >$cgroups/user.slice/job/cgroup.procs
		tries sh $w/bin/hook
	)
	refused "entered"
	"$egressctl" log --json >$w/out 2>&1
	check "an event says so" out '"op":"exec".*"reason":"rights"'
	check "with the program's path" out "bin/set-uid"
	until none_left; do :; done
}

launched() {
	tries "$egressctl" run -p $w/policy.yaml --
	check "run: a set-uid program runs without its rights" out "^set-uid: $uid $uid 0$"
	check "run: a set-gid one, too" out "^set-gid: $uid $uid 0$"
	tries "$egressctl" run -p $w/policy.yaml --new-privileges --
	check "run --new-privileges is refused" both 125 'no_new_privs is not set'
	(cd $w/work && exec "$egressctl" run -p $w/policy.yaml -- $w/bin/plain -I $w/bin/rights.py) \
		>$w/out 2>$w/err </dev/null
	status=$?
	check "root's own is not asked" out '^0 0'
}

permitted() {
	mkdir -p /etc/egressctl
	printf 'version: 1\nsandboxes: {new-privileges: true}\n' >/etc/egressctl/egressd.yaml
	stop_service
	start_service || return
	tries "$egressctl" run -p $w/policy.yaml --new-privileges --
	check "permitted by egressd.yaml, set-uid programs gain" out "^set-uid: 0 $uid"
	(
		echo $BASHPID >$cgroups/user.slice/job/cgroup.procs
		tries sh $w/bin/hook
	)
	check "in a tree that entered, too" out "^set-uid: 0 $uid"
	rm /etc/egressctl/egressd.yaml
	until none_left; do :; done
}

# A lease makes an open without waiting fail: not for who looks what a rule is bound to.
leased() {
	mkdir -p $w/work/dir
	echo secret >$w/work/dir/file
	ln $w/work/dir/file $w/work/other
	chown -R tester $w/work/dir $w/work/other
	cat >$w/lease.yaml <<-END
		version: 1
		files:
		  default: rwxc
		  $w/work/dir/file: none
	END
	mkfifo $w/ctl/leased
	chmod 666 $w/ctl/leased
	session /usr/bin/python3 -c '
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
open(sys.argv[2], "w").write("ready\n")
signal.pause()' $w/work/dir/file $w/ctl/leased &
	local holder=$!
	read -r _ <$w/ctl/leased
	cat >$w/bin/other.py <<-END
		import errno, os
		try:
		    os.open("$w/work/other", os.O_RDONLY | os.O_NONBLOCK)
		    print("open")
		except OSError as e:
		    print(errno.errorcode[e.errno])
	END
	session /usr/bin/python3 $w/bin/other.py >$w/out 2>$w/err
	check "control: a lease is held" out EAGAIN
	(cd $w/work && exec setpriv --reuid=$uid --regid=$uid --clear-groups --reset-env \
		"$egressctl" run -p $w/lease.yaml -- /usr/bin/python3 $w/bin/other.py) >$w/out 2>$w/err </dev/null
	status=$?
	check "a rule is bound to a file that somebody has a lease on" out '^EACCES$'
	kill $holder
}

prepare
attach_policies
programs
start_service || exit 1
controls
entered
launched
leased
permitted
stop_service
finish

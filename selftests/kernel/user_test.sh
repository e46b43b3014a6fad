#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What an ordinary user may not do with sandboxes of the own: show a set-uid program what to believe,
# hide a file from a rule, have looked at what is not the user's, have more of them than others are left
# with, take a policy from where somebody else put it. Who sees whose sandboxes: see_test.sh.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

other=61235 # of the user other

session() { as $uid "$@"; }
as() { # UID COMMAND…
	local who=$1
	shift
	setpriv --reuid="$who" --regid="$who" --clear-groups --reset-env "$@"
}

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
	printf 'version: 1\nsandboxes: {new-privileges: true, per-user: 2}\n' >/etc/egressctl/egressd.yaml
	stop_service
	start_service || return
	tries "$egressctl" run -p $w/policy.yaml --new-privileges --
	check "permitted by egressd.yaml, set-uid programs gain" out "^set-uid: 0 $uid"
	(
		echo $BASHPID >$cgroups/user.slice/job/cgroup.procs
		tries sh $w/bin/hook
	)
	check "in a tree that entered, too" out "^set-uid: 0 $uid"
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

# holds UID NAME: a sandbox of that user, until somebody writes to $w/ctl/NAME
holds() {
	mkfifo -m 666 $w/ctl/"$2" $w/ctl/"$2".ready
	(cd $w/ctl && as "$1" "$egressctl" run -p $w/policy.yaml -- \
		sh -c "echo ready >$2.ready; read -r _ <$2") >$w/"$2".log 2>&1 </dev/null &
	holder=$!
	read -r _ <$w/ctl/"$2".ready
}

# runs UID [COMMAND…]: one that ends at once, output in $w/out and $w/err
runs() {
	local who=$1
	shift
	(cd $w/work && as "$who" "$egressctl" run "$@") >$w/out 2>$w/err </dev/null
	status=$?
}

# Of two users and root, with two sandboxes for each of the users.
quotas() {
	local first
	grep -q ^other: /etc/passwd || echo "other:x:$other:$other::/:/bin/sh" >>/etc/passwd
	holds $uid one
	first=$holder
	holds $uid two
	runs $uid -p $w/policy.yaml -- true
	check "a user has as many sandboxes as the settings say" both 125 \
		'2 sandboxes of this user run already'
	runs $other -p $w/policy.yaml -- id -u
	check "another one has as many beside" prints $other
	runs 0 -p $w/policy.yaml -- id -u
	check "and root any number" prints 0
	as $other "$egressctl" ps --json >$w/out 2>$w/err
	status=$?
	check "whose the sandboxes are, others do not see" prints '[]'
	"$egressctl" ps --json >$w/out 2>$w/err
	check "root does" [ "$(grep -o '"uid":' $w/out | wc -l)" = 2 ]
	echo end >$w/ctl/one
	wait $first
	runs $uid -p $w/policy.yaml -- id -u
	check "one that has ended makes room" prints $uid
	echo end >$w/ctl/two
	wait $holder
}

under_sudo() {
	echo "tester ALL=(root) NOPASSWD: ALL" >/etc/sudoers.d/egressctl-tests
	chmod 440 /etc/sudoers.d/egressctl-tests
	grep -q ^tester: /etc/shadow || echo 'tester:*:20000:0:99999:7:::' >>/etc/shadow
	(cd $w/work && session sudo -n id -u) >$w/out 2>$w/err
	status=$?
	check "control: sudo gives root" prints 0
	(cd $w/work && session sudo -n "$egressctl" run -p $w/policy.yaml -- id -u) >$w/out 2>$w/err
	status=$?
	check "sudo egressctl run: as the user who called" prints $uid
	rm /etc/sudoers.d/egressctl-tests
}

# place DIRECTORY WORD: a policy there that is called mine, and says WORD
place() {
	mkdir -p "$1"
	{ cat $w/policy.yaml; echo "env: {set: {FROM: $2}}"; } >"$1/mine.yaml"
}

# taken UID WORD NAME: which one -p mine means
taken() {
	# shellcheck disable=SC2016 # the shell inside knows it
	runs "$1" -p mine -- sh -c 'echo $FROM'
	check "$3" prints "$2"
}

found() {
	local etc=/etc/egressctl/policies shipped=/usr/local/share/egressctl/policies
	place $w/work here
	place $w/work/policies below
	cp $w/work/mine.yaml $w/work/mine
	chown -R $uid $w/work/mine* $w/work/policies
	# shellcheck disable=SC2016
	runs $uid -p ./mine.yaml -- sh -c 'echo $FROM'
	check "control: a policy in the working directory, as a path" prints here
	runs $uid -p mine -- true
	check "by its name none is taken from there" both 2 'mine'
	runs 0 -p mine -- true
	check "for root neither" both 2 'mine'
	place $shipped shipped
	taken $uid shipped "one that came with egressctl is found"
	place $w/home/.config/egressctl/policies own
	chown -R $uid $w/home/.config
	taken $uid own "the user's own before it"
	taken 0 shipped "which is not for root"
	place $etc etc
	taken $uid etc "and that of the host before all"
	rm -f $etc/mine.yaml $shipped/mine.yaml
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
quotas
under_sudo
found
rm /etc/egressctl/egressd.yaml
stop_service
finish

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Sourced by the launch tests: TAP, a policy, egressd, waiting without sleeping.
set -u

egressctl=$EGRESSCTL_BUILD/egressctl
egressd=$EGRESSCTL_BUILD/egressd
egress_run=$EGRESSCTL_BUILD/egress-run
w=/srv/launch
uid=61234 # of the user tester
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
n=0 failed=0 status=0

result() { # status name
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
		return
	fi
	echo "not ok $n - $2"
	failed=1
	{
		echo "status $status"
		head -c 2000 $w/out $w/err
	} 2>/dev/null | sed 's/^/# /'
}

finish() {
	echo "1..$n"
	exit $failed
}

prepare() {
	[ -n "$stay" ] || "$egressctl" uninstall >/dev/null 2>&1 # what others left loaded
	rm -rf $w
	rm -f /etc/egressctl/egressd.yaml # of an earlier test in this boot
	mkdir -p $w/work $w/home
	chmod 1777 $w $w/work
	grep -q ^tester: /etc/passwd ||
		echo "tester:x:$uid:$uid::$w/home:/bin/sh" >>/etc/passwd
	grep -q ^tester: /etc/group || echo "tester:x:$uid:" >>/etc/group
	chown $uid:$uid $w/home
	echo SECRET >$w/secret
	chmod 644 $w/secret
	cat >$w/policy.yaml <<-END
		version: 1
		files:
		  default: none
		  /: r
		  /usr: rx
		  /bin: rx
		  /lib: rx
		  /lib64: rx
		  /dev: rw
		  /proc: rw
		  /tmp: rwxc
		  $w/work: rwxc
		  $w/secret: none
	END
}

# run ARGUMENT…: egressctl run in $w/work, output in $w/out and $w/err
run() {
	{
		(cd $w/work && exec "$egressctl" run -p $w/policy.yaml "$@") \
			>$w/out 2>$w/err </dev/null
		status=$?
	} 2>/dev/null # what the shell has to say about signals
}

# The launcher under test in the background of the script; its pid in $launcher.
run_behind() {
	rm -f $w/work/fifo
	mkfifo $w/work/fifo
	chmod 666 $w/work/fifo
	(cd $w/work && exec "$egressctl" run -p $w/policy.yaml -- "$@") >$w/out 2>$w/err </dev/null &
	launcher=$!
}

# Its status in $status.
wait_launcher() {
	{
		wait $launcher
		status=$?
	} 2>/dev/null
}

as_tester() { setpriv --reuid=$uid --regid=$uid --init-groups --reset-env -- "$@"; }

# check NAME CONDITION…: a command that must succeed
check() {
	local name=$1
	shift
	"$@"
	result $? "$name"
}

is() { [ "$status" -eq "$1" ]; }
out() { grep -q -- "$1" $w/out; }
err() { grep -q -- "$1" $w/err; }
both() { is "$1" && err "$2"; }
prints() { is 0 && [ "$(cat $w/out)" = "$1" ]; }

# Wait until a process has ended, whoever its parent is.
gone() {
	python3 - "$1" <<-END
		import os, select, sys
		try:
		    fd = os.pidfd_open(int(sys.argv[1]))
		except ProcessLookupError:
		    sys.exit(0)
		p = select.poll()
		p.register(fd, select.POLLIN)
		sys.exit(0 if p.poll(60000) else 1)
	END
}

# What is loaded once is there for the next one: a load takes an emulator most of a minute. Empty
# where a test looks at what is left.
stay=--stay-loaded

# Start egressd and wait until it says READY; its pid in $service.
start_service() {
	python3 - "$w/service" "$egressd" $stay "$@" <<-END
		import os, select, socket, subprocess, sys
		path = sys.argv[1] + ".notify"
		if os.path.exists(path):
		    os.unlink(path)
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(path)
		log = open(sys.argv[1] + ".log", "ab")
		p = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log, start_new_session=True,
		                     env=dict(os.environ, NOTIFY_SOCKET=path))
		open(sys.argv[1] + ".pid", "w").write(str(p.pid))
		# or its end; it says more than that it is ready
		end, ready = os.pidfd_open(p.pid), False
		while not ready and s in select.select([s, end], [], [], 300)[0]:
		    ready = b"READY=1" in s.recv(4096).split(b"\n")
		# not waited for: it lives on
		os._exit(0 if ready else 1)
	END
	local ok=$?
	service=$(cat $w/service.pid)
	[ $ok -eq 0 ] || sed 's/^/# /' $w/service.log
	return $ok
}

stop_service() {
	kill -"${1:-TERM}" "$service"
	gone "$service"
}

sandboxes() { # directories of live sandboxes
	find "$cgroups" -mindepth 2 -maxdepth 2 -path '*/egressctl*/s[0-9]*' -type d
}

none_left() { [ -z "$(sandboxes)" ]; }

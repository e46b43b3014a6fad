#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A kernel without BPF LSM: --without-lsm and without-lsm:. Each cell of the matrix in
# docs/without-lsm.md: it succeeds outside, and inside it is refused with its errno, or succeeds
# where that mode does not hold it. Listed in selftests/boots.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
stay=

prepare
if grep -qw bpf /sys/kernel/security/lsm; then
	echo "1..0 # SKIP this boot has BPF LSM: it needs the options in selftests/boots"
	exit 0
fi
abi=$(python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')
echo "# Landlock ABI $abi"

# try.py ACT TARGET: "ok" or the name of an errno
cat >$w/try.py <<'END'
import errno, fcntl, os, socket, subprocess, sys
act, target = sys.argv[1:]
def connect(family, to):
    socket.socket(family, socket.SOCK_STREAM).connect(to)
acts = {
    "read": lambda: open(target).read(),
    "list": lambda: os.listdir(target),
    "write": lambda: os.close(os.open(target, os.O_WRONLY)),
    "execute": lambda: subprocess.run([target], check=True),
    "create": lambda: os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)),
    "remove": lambda: os.unlink(target),
    "rename": lambda: os.rename(target, target + ".moved"),
    "move": lambda: os.rename(target, os.environ["HOME"] + "/sub/moved"),
    "ioctl": lambda: fcntl.ioctl(open(target), 0x80045200, bytes(4)), # RNDGETENTCNT
    "truncate": lambda: os.truncate(target, 3),
    "chmod": lambda: os.chmod(target, 0o640),
    "unix": lambda: connect(socket.AF_UNIX, target),
    "abstract": lambda: connect(socket.AF_UNIX, "\0" + target),
    "signal": lambda: os.kill(int(target), 0),
    "mount": lambda: subprocess.run(["mount", "-t", "tmpfs", "none", target], check=True,
                                    stderr=subprocess.DEVNULL),
    "tcp": lambda: connect(socket.AF_INET, ("127.0.0.1", int(target))),
}
try:
    acts[act]()
    print("ok")
except OSError as e:
    print(errno.errorcode[e.errno])
except subprocess.CalledProcessError:
    print("failed")
END

# Listeners and a process of the host's.
mkfifo $w/port
python3 - $w <<'END' &
import signal, socket, sys
w = sys.argv[1]
keep = []
for family, to in ((socket.AF_UNIX, w + "/sock"), (socket.AF_UNIX, "\0egressctl-nolsm"),
                   (socket.AF_INET, ("127.0.0.1", 0))):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.bind(to)
    s.listen(64)
    keep.append(s)
with open(w + "/port", "w") as f:
    f.write("%d\n" % keep[2].getsockname()[1])
signal.pause()
END
host=$!
read -r port <$w/port

# What acts are about, as it was: a control outside must not spoil the try inside.
scene() {
	rm -rf $w/read $w/work/* $w/keys
	mkdir -p $w/read/sub $w/work/sub
	echo text >$w/read/file
	echo text >$w/read/sub/file
	printf '#!/bin/sh\n' >$w/read/prog
	chmod 755 $w/read/prog
	cp $w/read/prog $w/work/prog
	echo text >$w/work/file
	echo text >$w/work/.env
	mkdir -p $w/keys
	echo text >$w/keys/a.key
	echo text >$w/keys/b
}
export HOME=$w/work
cat >>$w/policy.yaml <<-END
	  $w/work/.env: none
	  "**/id_rsa": none
	  $w/absent: rw
	  "$w/keys/*.key": none
	  /dev/random: r
END
mode=--without-lsm=landlock
scene

# cell WHAT INSIDE ACT TARGET: it succeeds outside, and inside comes to this
cell() {
	local what=$1 want=$2
	shift 2
	scene
	[ "$(python3 $w/try.py "$@" 2>$w/err)" = ok ]
	result $? "control: $what"
	[ "$1" = mount ] && umount "$2"
	scene
	run $mode -- python3 $w/try.py "$@"
	check "$mode: $what: $want" prints "$want"
}

echo "# refuse: the default, and by word"
run -- /bin/true
check "refused" both 125 'BPF LSM is not active'
check "... and what else there is" err '--without-lsm landlock'
run --without-lsm refuse -- /bin/true
check "by word" both 125 'BPF LSM is not active'
run --without-lsm maybe -- /bin/true
check "no such mode" both 2 "got 'maybe', expected refuse, landlock or egress"
run --without-lsm egress --egress-only -- /bin/true
check "two at once" both 2 'expected it or --without-lsm'

echo "# landlock: what is told, before the command"
run $mode -- /bin/true
check "it runs" is 0
check "Landlock holds" err "Landlock (ABI $abi) holds rules for paths"
check "closed where files may be made: by line" err \
	"not held: $w/policy.yaml:14 \"$w/work/.env: none\": it lies in $w/work, where"
check "a pattern at any depth" err "not held: $w/policy.yaml:15 .*any depth"
check "a name that is not there" err "narrower: $w/policy.yaml:16 .*nothing is there yet"
check "a directory that was narrowed" err "narrower: $w/policy.yaml:4 .*cannot be listed"
check "what Landlock has no word for" err 'not held: unix sockets with a path'
run $mode --json -- /bin/true
check "and for machines" err '^{"unheld":\[{"wider":true,"why":'
run $mode -- grep NoNewPrivs /proc/self/status
check "no_new_privs, of root too" out 'NoNewPrivs:[[:space:]]*1'
run $mode --new-privileges -- /bin/true
check "which cannot be kept" both 125 '--new-privileges: Landlock'

run $mode --audit -- /bin/true
check "nor can anything be reported instead" both 125 'audit: Landlock refuses'

# Without it each run loads its own programs, which takes an emulator long.
printf 'version: 1\nwithout-lsm: landlock\n' >$w/egressd.yaml
start_service --config $w/egressd.yaml
result $? "egressd starts"
check "and says how" grep -q 'held by Landlock, where it can (without-lsm: landlock)' $w/service.log

echo "# landlock: what is held"
cell "read what is closed" EACCES read $w/secret
cell "read what is open" ok read $w/read/file
cell "list a narrowed directory" EACCES list $w
cell "list an open one" ok list $w/read
cell "write where it may be read" EACCES write $w/read/file
cell "write in the workspace" ok write $w/work/file
cell "execute where it may be read" EACCES execute $w/read/prog
cell "execute in the workspace" ok execute $w/work/prog
cell "make a file outside of it" EACCES create $w/read/new
cell "make a file in it" ok create $w/work/new
cell "remove outside of it" EACCES remove $w/read/file
cell "remove in it" ok remove $w/work/file
cell "rename outside of it" EACCES rename $w/read/file
cell "rename in it" ok rename $w/work/file
cell "move it out of there" EACCES move $w/read/file
cell "move it within the workspace" ok move $w/work/file
cell "what a pattern closes" EACCES read $w/keys/a.key
cell "what it leaves open" ok read $w/keys/b
cell "the environment of others" EACCES read /proc/$host/environ
cell "mount something" failed mount $w/read/sub
cell "reach the network" EPERM tcp $port
sed '$a egress: {allow: ["127.0.0.1:'"$port"'"], loopback: [own, '"$port"']}' \
	$w/policy.yaml >$w/open.yaml
"$egressctl" run $mode -p $w/open.yaml -- python3 $w/try.py tcp "$port" >$w/out 2>$w/err
status=$?
check "what the policy allows is reached" prints ok

echo "# landlock: what depends on the kernel"
since() { [ "$abi" -ge "$1" ] && echo "$2" || echo ok; }
cell "truncate where it may be read" "$(since 3 EACCES)" truncate $w/read/file
cell "truncate in the workspace" ok truncate $w/work/file
cell "ioctl of a device to be read" "$(since 5 EACCES)" ioctl /dev/random
cell "ioctl of one to be written" ok ioctl /dev/urandom
cell "an abstract socket of others" "$(since 6 EPERM)" abstract egressctl-nolsm
cell "a signal to others" "$(since 6 EPERM)" signal $host

echo "# landlock: what is not held, and was told"
cell "what is closed in the workspace" ok read $w/work/.env
cell "the mode of a file that may be read" ok chmod $w/read/file
cell "a socket by its path" ok unix $w/sock

echo "# egress"
mode=--without-lsm=egress
run $mode -- /bin/true
check "it says what is not enforced" both 0 'files and unix sockets are not enforced'
cell "the network is" EPERM tcp $port
cell "paths are not" ok read $w/secret

echo "# require: full"
sed '$a require: full' $w/policy.yaml >$w/full.yaml
for mode in landlock egress; do
	"$egressctl" run --without-lsm $mode -p $w/full.yaml -- touch $w/work/ran >$w/out 2>$w/err
	status=$?
	check "$mode: not started" both 125 "$w/full.yaml:19:.*\"require: full\""
	check "$mode: indeed" [ ! -e $w/work/ran ]
	"$egressctl" run --without-lsm $mode -p $w/policy.yaml -- touch $w/work/ran >$w/out 2>$w/err
	status=$?
	check "$mode: without the key it is" [ -e $w/work/ran ]
	rm -f $w/work/ran
done
"$egressctl" run --without-lsm landlock -p $w/full.yaml -- /bin/true >$w/out 2>$w/err
status=$?
check "the list comes with the refusal" err "not held: $w/full.yaml:14 "

echo "# egressd.yaml"
scene
as_tester "$egressctl" run -p $w/policy.yaml -- python3 $w/try.py read $w/secret >$w/out 2>$w/err
status=$?
check "an ordinary user's run is held" prints EACCES
check "and told" err "not held: $w/policy.yaml:14 "
as_tester "$egress_run" -p $w/policy.yaml -- python3 $w/try.py read $w/read/file >$w/out 2>$w/err
status=$?
check "what is open is open, by egress-run too" prints ok
run_behind sh -c 'read -r x <fifo'
until "$egressctl" ps 2>/dev/null | grep -q policy; do :; done
"$egressctl" allow last "open $w/secret r" >$w/out 2>$w/err
status=$?
check "a path cannot be granted" err 'held by Landlock, which cannot be changed'
echo go >$w/work/fifo
wait_launcher
check "the run ends" is 0
run_behind sh -c "read -r x <fifo; cat $w/late"
until "$egressctl" ps 2>/dev/null | grep -q policy; do :; done
echo text >$w/late
echo go >$w/work/fifo
wait_launcher
check "what is made later in a narrowed directory is refused" both 1 'late: Permission denied'
check "control: it is there" cat $w/late
stop_service
kill $host
check "nothing is left" none_left
finish

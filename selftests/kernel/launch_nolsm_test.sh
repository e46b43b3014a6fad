#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A kernel whose command line leaves BPF LSM out: refused with what to do about
# it, and --egress-only. Listed in selftests/boots.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
stay=

prepare
lsms=$(cat /sys/kernel/security/lsm)
if grep -qw bpf <<<"$lsms"; then
	echo "1..0 # SKIP this boot has BPF LSM: it needs the options in selftests/boots"
	exit 0
fi

run -- /bin/true
check "refused, with what to add to the kernel command line" both 125 "add lsm=$lsms,bpf"
check "and the way without" err '--egress-only'
"$egressd" >$w/out 2>$w/err
status=$?
check "egressd refuses too" both 1 "add lsm=$lsms,bpf"
check "nothing is left" none_left

"$egressctl" doctor >$w/out 2>$w/err
status=$?
check "doctor: a part can be enforced" is 1
check "... and what to add for the rest" out "add lsm=$lsms,bpf"
check "... cgroup hooks are proved" out '^ok *cgroup_hooks .*each refused what it must'
check "... and nothing is left of it" [ -z "$(ls /sys/fs/bpf)" ]

# A listener of the host; its port comes through a fifo.
mkfifo $w/port
python3 - $w/port <<'END' &
import socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
with open(sys.argv[1], "w") as f:
    f.write("%d\n" % s.getsockname()[1])
while True:
    s.accept()[0].close()
END
listener=$!
read -r port <$w/port
connect="import socket; socket.create_connection(('127.0.0.1', $port))"
python3 -c "$connect"
result $? "control: the host's listener answers"
run --egress-only -- python3 -c "$connect"
check "--egress-only: the network is refused" both 1 'PermissionError: \[Errno 1\]'
check "and it says what is not enforced" err 'files and unix sockets are not enforced'
run --egress-only -- /bin/cat $w/secret
check "files are not" out SECRET
sed '$a egress: {allow: ["127.0.0.1:'"$port"'"], loopback: [own, '"$port"']}' \
	$w/policy.yaml >$w/open.yaml
"$egressctl" run --egress-only -p $w/open.yaml -- python3 -c "$connect" >$w/out 2>$w/err
status=$?
check "what the policy allows is reached" is 0
printf 'version: 1\negress: {allow: ["127.0.0.1:%d"], loopback: [own, %d]}\n' $port $port \
	>$w/net.yaml
"$egressctl" run --egress-only -v -p $w/net.yaml -- python3 -c "$connect" >$w/out 2>$w/err
status=$?
check "a policy without files needs none" is 0
check "and nothing is said of what it lacks" [ "$(grep -c 'files section' $w/err)" = 0 ]
kill $listener
check "nothing is left" none_left
finish

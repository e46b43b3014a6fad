#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# ps, show, log, explain, why, kill: who sees what, and that nothing a program calls itself or
# its files reaches a terminal.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
# shellcheck source=selftests/kernel/hosts_lib.sh
. "$(dirname "$(readlink -f "$0")")/hosts_lib.sh"
hosts_enter
other=61235 # of the user other
here=$(dirname "$(readlink -f "$0")")

as_other() { setpriv --reuid=$other --regid=$other --clear-groups --reset-env -- "$@"; }

# see WHO COMMAND…: egressctl COMMAND… of that user, output in $w/out and $w/err
see() {
	local who=$1
	shift
	case $who in
	root) "$egressctl" "$@" ;;
	*) "as_$who" "$egressctl" "$@" ;;
	esac >$w/out 2>$w/err </dev/null
	status=$?
}

# json EXPRESSION: true of the object on $w/out
json() { python3 -c 'import json, sys; o = json.load(open(sys.argv[1])); sys.exit(not eval("(" + sys.argv[2] + ")"))' $w/out "$1"; }
# controls, those of C1 in UTF-8 or alone, and what turns the direction of text
no_escape() {
	! LC_ALL=C grep -qaP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]|(?<![\x80-\xff])[\x80-\xbf]' \
		$w/out $w/err
}
nothing() { is 0 && [ ! -s $w/out ]; }

prepare
rm -rf /var/log/egressctl # numbers of sandboxes begin again at each boot
grep -q ^other: /etc/passwd || echo "other:x:$other:$other::$w/home:/bin/sh" >>/etc/passwd
mkdir -p $w/hosts $w/secrets $w/bin $w/home/.ssh
touch $w/home/.ssh/id_ed25519 $w/secrets/$'\033[2J\nend of sandbox'
chown -R $uid:$uid $w/home
cp "$egressctl" "$here/work/see.py" $w/bin
chmod -R a+rX $w/bin
echo "127.0.0.1 localhost" >$w/hosts/hosts
hosts=$w/hosts
hosts_network && hosts_dnsmasq data.test missing.test || { echo "Bail out! no network"; exit 1; }
# ends with the network namespace: it is the last one to be in it
ip netns exec hosts python3 -c '
import os, socket
s = socket.create_server(("'$hosts_site'", 9000))
if os.fork():
    os._exit(0)
while True:
    c, _ = s.accept()
    n = 1000
    while n:
        n -= len(c.recv(n))
    c.sendall(b"y" * 5000)
    keep = c' </dev/null >/dev/null 2>&1
cat >$w/policy.yaml <<-END2
	version: 1
	description: what see_test looks at
	egress:
	  allow: [{host: data.test, ports: [9000], tls: off}, "other.data.test:443"]
	files:
	  default: none
	  /usr: rx
	  /bin: rx
	  /lib: rx
	  /lib64: rx
	  /etc: r
	  /dev: rw
	  /proc: rw
	  /tmp: rwxc
	  $w/bin: rx
	  $w/work: rwxc
	  $w/home/.ssh: none
END2

# ---- without a service -----------------------------------------------------------------

(cd $w/work && "$egressctl" run -p $w/policy.yaml -- /bin/sh -c "
	cat $w/secret; ls /run/egressctl/denials; echo >>\$EGRESSCTL_DENIALS; rm -f \$EGRESSCTL_DENIALS
	chmod 777 \$EGRESSCTL_DENIALS; mv \$EGRESSCTL_DENIALS /tmp; $w/bin/egressctl why 20") \
	>$w/out 2>$w/err </dev/null
status=$?
check "why, as root without a service" out "^  tried    open $w/secret for r"
check "which says what would allow it" out "egressctl run --allow 'open $w/secret r' \.\.\."
check "the names of others' denials cannot be listed" out '^  tried    open /run/egressctl/denials for r'
check "and its own not be changed" [ "$(grep -c '^  refused  by builtin "/run/egressctl/denials' $w/out)" -ge 4 ]
check "nothing of it stays" [ -z "$(ls /run/egressctl/denials)" ]
see root why
check "outside, why says what it is" both 125 'this is no sandbox'

# ---- with one ----------------------------------------------------------------------------

start_service || { echo "Bail out! egressd does not start"; exit 1; }
mkfifo -m 666 $w/work/fifo $w/work/hold
exec 3<>$w/work/fifo
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml --name build -- \
	/usr/bin/python3 $w/bin/see.py; status=$?; echo ended >&3; exit $status) \
	>$w/behind 2>&1 </dev/null &
launcher=$!
read -r word <&3
cp $w/behind $w/out
check "nothing that should be refused was done" [ "$word $(cat $w/behind)" = "ready " ]

see tester ps --json
check "a user sees an own sandbox" json 'len(o) == 1 and o[0]["name"] == "build" and o[0]["denied"] == 4'
id=$(python3 -c 'import json; print(json.load(open("'$w'/out"))[0]["sandbox"])')
see tester ps
check "with its uptime, mode and denials" out "^ *$id tester .* enforce  *4 .* build$"
see other ps --json
check "others do not" [ "$(cat $w/out)" = '[]' ]
for what in "show build" "show $id" "kill $id" "explain $id.1"; do
	# shellcheck disable=SC2086
	see other $what
	check "nor can they $what" is 1
	check "and they are told of none" [ "$(grep -c 'nearest\|tester' $w/err)" -eq 0 ]
done
see root show biuld
check "a wrong name is told the nearest" both 1 "the nearest is $id (build)"

see root show --json build
check "show: the policy" json 'o["policy_files"] == ["'$w/policy.yaml'"] and o["mode"] == "enforce"'
check "the processes" json 'any("see.py" in p["command"] for p in o["processes"])'
check "the live connection, its name and its bytes" json '[f for f in o["flows"] if f["name"] == "data.test" and
	f["port"] == 9000 and f["sent"] == 1000 and f["received"] == 5000 and f["state"] == "established"]'
check "the denials by rule" json 'sum(d["count"] for d in o["denials"]) == 4 and
	any(d["rule"] == "policy.yaml:17" for d in o["denials"])'
check "and no grant" json 'o["grants"] == [] and o["counters"]["lost"] == 0'
see tester show
check "for people, the same of the newest" out 'data.test 192.0.2.80:9000'
check "without a byte that a terminal acts on" no_escape

event() { grep "$1" $w/log | python3 -c 'import json, sys; e = json.loads(sys.stdin.readline()); print("%d.%d" % (e["sandbox"], e["seq"]))'; }
see tester log --json build
check "log by name" [ "$(wc -l <$w/out)" -eq 4 ]
cp $w/out $w/log
check "events name who started it" out "\"parents\":\[{\"pid\":$launcher\|\"comm\":\"egressctl\"}\]"
see tester log --json --op open build
check "by operation" [ "$(grep -c '"op":"open"' $w/out) of $(wc -l <$w/out)" = "2 of 2" ]
see tester log --verdict audit build
check "by verdict" nothing
see tester log --until 2020-01-01T00:00:00Z build
check "by time" nothing
see tester log --json --since 1d build
check "since yesterday all" [ "$(wc -l <$w/out)" -eq 4 ]
see tester log --since 2120-01-01T00:00:00Z build
check "since a time to come none" nothing
see other log "$id"
check "of others no more than of none" both 1 "nothing of sandbox $id is in the log, and there is no sandbox '$id': none of yours is live"
see tester log 99999
check "an unknown one is told, with the nearest" both 1 "nothing of sandbox 99999 .* '99999'; the nearest is $id (build)"
see root log 99999
check "root, too" both 1 "nothing of sandbox 99999 .* '99999'; the nearest is $id (build)"
see root report 99999
check "in place of an empty report" both 1 "nothing of sandbox 99999 .* '99999'; the nearest is $id (build)"
check "of which nothing is printed" [ ! -s $w/out ]
see root explain 99999.1
check "its events, too" both 1 "no event 99999.1 .* the nearest is $id (build)"
see root log $id
check "for people: four, escaped" [ "$(grep -c '^20' $w/out)" -eq 4 ]
check "whatever the files are called" no_escape

see tester explain --json "$(event 169.254)"
check "explain: metadata looks like an attack" json 'o["looks"] == "attack" and o["kind"] == "metadata"'
see tester explain --json "$(event '.ssh/id')"
check "a secret too, with the rule" json 'o["kind"] == "secret" and o["refused_by"]["text"] == "'$w'/home/.ssh: none"'
see tester explain --json "$(event missing.test)"
check "a missing host like a missing allowance" json 'o["looks"] == "missing" and
	any(a.get("line") == "egress: {allow: [\"missing.test:443\"]}" for a in o["allow"])'
check "to be had for ten minutes" json '{"lasts": "10m", "command": "egressctl allow '"$(event missing.test)"'"} in o["allow"]'
see tester explain
check "by default the newest" out "open \"$w/secrets/\\\\x1b\[2J\\\\x0aend of sandbox\" for r"
check "escaped" no_escape
cp $w/out $w/first
as_tester "$egressctl" explain - <$w/log >$w/out 2>&1 && tail -1 $w/log |
	as_tester "$egressctl" explain - >$w/out
# whether there is a file to save to is asked of egressd
but_save() { sed '/--save$/d; s/^ *\(for good\|or\)  *in /in /' "$1"; }
check "and the same from its line of the log" [ "$(but_save $w/out)" = "$(but_save $w/first)" ]
see root explain $id.99
check "no such event: the newest is told" both 1 "the newest of sandbox $id is $id.4"
see root explain nonsense
check "no event at all" both 2 'expected SANDBOX.SEQ'

# One that asks and does not read holds up nobody.
cat >$w/bin/unread.py <<-END3
	import json, socket
	def connect():
	    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	    s.connect("/run/egressctl/control.sock")
	    s.settimeout(60)
	    return s
	ps = json.dumps({"op": "ps"}).encode()
	s = connect()
	s.send(json.dumps({"op": "explain", "ref": "99.1"}).encode())
	s.recv(65536)
	try:
	    for _ in range(4096):
	        s.send(ps, socket.MSG_DONTWAIT)
	    s.send(b"nonsense", socket.MSG_DONTWAIT)
	except BlockingIOError:
	    pass
	t = connect()
	t.send(ps)
	print("answered" if t.recv(65536) else "closed")
END3
chmod a+r $w/bin/unread.py
as_tester /usr/bin/python3 $w/bin/unread.py >$w/out 2>$w/err
check "who reads no answers keeps nobody waiting" out '^answered$'

see tester kill --mine --json
check "kill --mine" json "o == [{'sandbox': $id}]"
wait_launcher
check "ends it" is 137
read -r word <&3 # as its shell ended
see tester explain --json "$(event missing.test)"
check "what is over is explained from the log" json 'o["looks"] == "missing"'
check "with what is left to do" json 'all(a["lasts"] != "10m" for a in o["allow"])'

# ---- what the owner of a sandbox chooses, root looks at -----------------------------------

name=$'\xc2\x9b2J\xe2\x80\xaename'
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml --name "$name" -- \
	/bin/sh -c 'echo ready >fifo; read -r _ <hold'; echo ended >&3) >$w/behind 2>&1 </dev/null &
launcher=$!
read -r word <&3
see root ps
[ "$word" = ready ] || sed 's/^/# /' $w/behind
check "ps: a name acts on no terminal" out '\\xc2\\x9b2J\\xe2\\x80\\xaename$'
check "nor in ps for people" no_escape
see root ps --json
check "nor as JSON" no_escape
check "where programs read what it is" json 'o[0]["name"] == "\x9b2J\u202ename"'
see root show --json last
check "nor in show" no_escape
see root allow last connect 192.0.2.80:81 --note $'\xc2\x9b31m'
check "a note neither" is 0
check "when it is given" no_escape
see root show --json last
check "show has what was granted" json 'len(o["grants"]) == 1 and
	"192.0.2.80:81" in o["grants"][0]["rule"] and o["grants"][0]["note"] == "\x9b31m"'
check "escaped, too" no_escape
see root grants
check "nor when it is listed" out '\\xc2\\x9b31m'
check "with the others" no_escape
see root report last
check "nor a policy, in a report" no_escape
see root show $'\xc2\x9b'
check "nor what is asked for" no_escape
see tester kill --mine
read -r word <&3
wait_launcher

# ---- sockets of another sandbox -----------------------------------------------------------

# two listeners, a named one and one on loopback, of a sandbox whose neighbour would talk to them
cat >$w/bin/listens.py <<-END4
	import socket, sys
	u = socket.socket(socket.AF_UNIX)
	u.bind("theirs.sock")
	u.listen()
	t = socket.create_server(("127.0.0.1", 7070))
	open("fifo", "w").write("ready\n")
	open("hold").read()
END4
cat >$w/bin/talks.py <<-END5
	import socket
	for family, address in (socket.AF_UNIX, "theirs.sock"), (socket.AF_INET, ("127.0.0.1", 7070)):
	    try:
	        socket.socket(family).connect(address)
	        print("done:", address)
	    except PermissionError:
	        pass
END5
chmod a+r $w/bin/*.py
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml --name theirs -- \
	/usr/bin/python3 $w/bin/listens.py; echo ended >&3) >$w/behind 2>&1 </dev/null &
launcher=$!
read -r word <&3
[ "$word" = ready ] || sed 's/^/# /' $w/behind
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml --name asks -- \
	/usr/bin/python3 $w/bin/talks.py) >$w/out 2>$w/err </dev/null
check "another sandbox's sockets are not to be had" [ "$(grep -c done: $w/out)" -eq 0 ]
see root log --json --op unix
grep theirs.sock $w/out >$w/log
see root explain --json "$(event theirs.sock)"
check "explain: another sandbox's unix socket" json 'o["looks"] == "attack" and o["kind"] == "sandbox"'
see root explain "$(event theirs.sock)"
check "in words" out "it is another sandbox's socket"
see root log --json --op connect
grep ':7070\|"port":7070' $w/out >$w/log
see root explain --json "$(event 7070)"
check "and another's listener on loopback" json 'o["kind"] == "sandbox" and o["reason"] == "foreign"'
see tester kill --mine
read -r word <&3
wait_launcher

# ---- data in names ------------------------------------------------------------------------

cat >$w/bin/tunnel.py <<-END6
	import os, socket
	for _ in range(20):
	    try:
	        socket.getaddrinfo(os.urandom(5).hex() + ".out.missing.test", 443, socket.AF_INET)
	    except OSError:
	        pass
END6
chmod a+r $w/bin/tunnel.py
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml --name tunnel -- \
	/usr/bin/python3 $w/bin/tunnel.py) >$w/out 2>$w/err </dev/null
see root log --json --op resolve
grep out.missing.test $w/out >$w/all
tail -n 1 $w/all >$w/log
see root explain --json "$(event missing.test)"
check "twenty names below one domain look like a tunnel" json 'o["looks"] == "attack" and o["kind"] == "tunnel"'
head -n 1 $w/all >$w/log
see root explain --json "$(event missing.test)"
check "the first of them does not" json 'o["looks"] == "missing"'

setpriv --reuid=$uid --regid=$uid --init-groups --reset-env "$egressctl" log -f --json \
	>$w/follow 2>&1 </dev/null &
follower=$!
end=$((SECONDS + 120))
until [ -s $w/follow ] || [ $SECONDS -ge $end ]; do :; done # what there was
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml -- /bin/sh -c \
	"cat $w/secret; env -i EGRESSCTL_DENIALS=\$EGRESSCTL_DENIALS $w/bin/egressctl why --json 1") >$w/out 2>$w/err
check "why, as a user of the service" json 'o["tried"] == "open '$w/secret' for r" and o["parents"][0]["comm"] == "sh"'
followed() { grep -q "\"path\":\"$w/secret\"" $w/follow; }
until followed || [ $SECONDS -ge $end ]; do :; done
check "log -f shows a user what is refused from then on" followed
kill $follower
newest=$(python3 -c 'import json, sys
print(max(json.loads(line)["sandbox"] for line in open(sys.argv[1])))' /var/log/egressctl/events.jsonl)
stop_service
"$egressctl" uninstall >/dev/null # all that a boot takes away
start_service
(cd $w/work && as_tester "$egressctl" run -p $w/policy.yaml -- /bin/cat $w/secret) >$w/out 2>$w/err
check "after a boot numbers go on" err "sandbox $((newest + 2))\$" # one is egressd's own
see root explain "$id.1"
check "and an older event is what it was" out "^$id.1 .*"
stop_service
kill "$(cat $hosts/dnsmasq.pid)"
finish

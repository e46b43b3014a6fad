#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What an operator does to a live sandbox: allow, deny, revoke, grants, switch. One task in the
# sandbox does what it is told (grants_act.py); a host on the other side of a link answers.
# shellcheck source=selftests/kernel/names_lib.sh
. "$(dirname "$(readlink -f "$0")")/names_lib.sh"

far=203.0.113.9 # not in the policy
near=203.0.113.10

# ctl ARGUMENT…: egressctl
ctl() {
	"$egressctl" "$@" >$w/out 2>$w/err </dev/null
	status=$?
}

# does STATUS NAME TEXT ARGUMENT…: egressctl says TEXT (an expression), on stdout or stderr
does() {
	local want=$1 name=$2 text=$3
	shift 3
	ctl "$@"
	is "$want" && grep -Eq -- "$text" $w/out $w/err
	result $? "$name"
}

# in the sandbox: what came of it in $answer
ask() {
	echo "$*" >$w/work/fifo
	read -r answer <$w/work/answers
}

# gets ANSWER NAME WORD…: in the sandbox
gets() {
	local want=$1 name=$2
	shift 2
	ask "$@"
	[ "$answer" = "$want" ]
	local ok=$?
	[ $ok -eq 0 ] || echo "# $*: $answer, not $want"
	status=0
	result $ok "$name"
}

# reported NAME PATTERN: the newest events have it
reported() {
	"$egressctl" log --json >$w/events 2>&1
	tail -n 6 $w/events | grep -Eq -- "$2"
	local ok=$?
	[ $ok -eq 0 ] || tail -n 3 $w/events | sed 's/^/# /'
	result $ok "$1"
}

actor() { # VARIABLE for launchers…: the task, and the sandbox's number in $id
	rm -f $w/work/answers $w/work/fifo
	mkfifo $w/work/answers $w/work/fifo
	chmod 666 $w/work/answers $w/work/fifo
	(cd $w/work && exec "$@" "$egressctl" run -p $w/policy.yaml --name actor -- \
		$python grants_act.py fifo answers) >$w/actor.out 2>$w/actor.err </dev/null &
	launcher=$!
	read -r answer <$w/work/answers
	id=$(sandboxes | sed 's,.*/s,,' | sort -n | tail -n 1)
}

quit() {
	echo quit >$w/work/fifo
	wait_launcher
}

policies() {
	cat >>$w/policy.yaml <<-END
		egress:
		  loopback: own
		  allow:
		    - $near:8081
		    - good.example.test
		  deny: [203.0.113.53]
	END
	sed '/^egress/,$d' $w/policy.yaml >$w/silent.yaml
	echo 'egress: {allow: []}' >>$w/silent.yaml
	sed '/203.0.113.53/d' $w/policy.yaml >$w/setup.yaml
	echo "    - $far:8082" >>$w/setup.yaml
	mkdir $w/deep && echo SECRET >$w/deep/secret && chmod -R a+rX $w/deep
	sed -i "s,^  $w/secret: none,&\n  $w/deep: none," $w/*.yaml
	echo 'files: []' >$w/bad.yaml
	cp "$here"/work/grants_act.py $w/cert.pem $w/work
	ln $w/secret $w/work/hard
	mkdir $w/policies
	cp -r "$EGRESSCTL_POLICY_DIR"/. $w/policies
	cp $w/policy.yaml $w/policies/actor.yaml
	export EGRESSCTL_POLICY_DIR=$w/policies
}

start_site() {
	rm -f $w/ready && mkfifo $w/ready
	ip netns exec site $python "$here/work/grants_site.py" $w/ready 8081 8082 8083 </dev/null &
	echo $! >$w/proxy.pid
	read -r -t 120 answer <$w/ready
	$python -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.bind('\0far')
s.listen()
open('$w/ready', 'w').write('ready\n')
while True:
    s.accept()" &
	echo $! >$w/sniff.pid # names_end() ends it
	read -r -t 120 answer <$w/ready
}

# outside, what is refused below works
controls() {
	local line
	rm -f $w/work/answers $w/work/fifo
	mkfifo $w/work/answers $w/work/fifo
	(cd $w/work && exec $python grants_act.py fifo answers) &
	launcher=$!
	read -r answer <$w/work/answers
	while read -r line; do
		# shellcheck disable=SC2086
		gets ok "control: $line" $line
	done <<-END
		bare $far 8082
		sendto $far 8082
		bare 203.0.113.53 8082
		tls a bad.example.test 443 bad.example.test
		get $w/secret
		get $w/work/hard
		unix @far
	END
	quit
}

by_event() {
	gets EACCES "a file by another name than the denied one" get $w/work/hard
	gets EPERM "an address is refused" bare $far 8082
	reported "with an event" '"op":"connect".*"address":"203.0.113.9"'
	does 0 "allow last" "g[0-9]+ sandbox $id: allowed connect $far:8082" allow last --note "try it"
	gets ok "and it connects" tcp a $far 8082
	gets EACCES "what a path's rule is bound to stays so" get $w/work/hard
	gets ok "and talks" say a
	does 0 "grants shows it" "connect $far:8082(/tcp)?, 9m.*try it" grants
	does 0 "grants --json" '"left_ms": [0-9]+' grants --json
	gets ok "it waits for more" wait a
	does 0 "revoke" "1 revoked, 1 connections ended" revoke "$(newest)"
	gets ECONNABORTED "and it is told at once" waited a
	gets EPERM "a new connection is refused" bare $far 8082
	gets EACCES "a file is refused" get $w/secret
	reported "with an event" '"op":"open".*secret'
	ctl log --json
	event=$(sed -n 's/.*"sandbox":\([0-9]*\).*/\1/p' $w/out | tail -n 1).$(
		sed -n 's/.*"seq":\([0-9]*\).*/\1/p' $w/out | tail -n 1)
	does 0 "allow EVENT" "allowed open $w/secret r" allow "$event"
	gets ok "and it opens" get $w/secret
	gets EACCES "for reading only" get $w/secret w
	ctl revoke "$id"
	gets EACCES "until it is revoked" get $w/secret
	gets EPERM "an address" bare $far 8083
	kill -STOP "$service"
	gets EPERM "another, while egressd looks elsewhere" bare $far 8082
	"$egressctl" allow last >$w/out 2>$w/err </dev/null &
	local asks=$!
	kill -CONT "$service"
	wait $asks
	status=$?
	is 0 && grep -q "allowed connect $far:8082" $w/out
	result $? "allow last is about what was last when it was typed"
	ctl revoke "$id"
}

# The number of the newest grant.
newest() { "$egressctl" grants | grep -Eo '^g[0-9]+' | sort -V | tail -n 1; }

by_rule() {
	does 0 "a CIDR" "connect 203.0.113.8/30:8082" allow "$id" connect 203.0.113.8/30:8082
	gets ok "opens an address in it" bare $far 8082
	gets EPERM "at its port alone" bare $far 8083
	does 0 "by name of the sandbox, UDP" "8082/udp" allow actor connect $far:8082/udp
	gets ok "a datagram" sendto $far 8082
	gets ok "a connected one" udp u $far 8082
	gets ok "is answered" say u
	gets ok "it waits for more" wait u
	does 0 "revoke both" "2 revoked" revoke "$id"
	gets ECONNABORTED "a connected datagram socket is told, too" waited u
	gets EDESTADDRREQ "and connected no more" say u
	gets EPERM "nor does another" sendto $far 8082
	gets EACCES "a closed directory" get $w/deep/secret
	does 0 "a file in it" "open $w/deep/secret r" allow "$id" open $w/deep/secret r
	gets ok "opens" get $w/deep/secret
	does 0 "revoke" revoked revoke "$id"
	gets EACCES "and is closed again" get $w/deep/secret
	gets EPERM "somebody else's abstract socket" unix @far
	does 0 "allow unix" "unix @far" allow "$id" unix @far
	gets ok "is reached" unix @far
	does 0 "policy=NAME" "sandbox $id" allow policy=$w/policy.yaml connect $far:8083
	gets ok "is every sandbox under it" bare $far 8083
	does 0 "a sandbox's grants" "2 revoked" revoke "$id"
	gets EPERM "are revoked as one" bare $far 8083
	gets EPERM "the socket too" unix @far
}

by_name() {
	gets ok "an allowed name" tls good good.example.test 443 good.example.test
	gets no-name "another is not resolved" tls bad bad.example.test 443 bad.example.test
	reported "with an event" '"op":"resolve".*bad.example.test'
	does 0 "allow last" "connect bad.example.test:443" allow last
	gets ok "it loads, at the same address" tls bad bad.example.test 443 bad.example.test
	gets ok "and talks" say bad
	does 0 "revoke" "1 revoked" revoke "$(newest)"
	gets ECONNABORTED "its next packet is its last" say bad
	reported "with an event" '"op":"packet".*"reason":"revoked"|"reason":"revoked".*"op":"packet"'
	gets ok "the other name's flow at the address goes on" say good
	gets no-name "the name is unknown again" tls bad bad.example.test 443 bad.example.test
	ctl allow "$id" connect bad.example.test
	gets ok "allowed again" tls bad bad.example.test 443 bad.example.test
	ctl revoke "$id"
	ctl allow "$id" connect other.example.test
	ctl allow "$id" connect proxy.example.test
	gets ok "a third name has its address" tls other other.example.test 443 other.example.test
	gets ECONNABORTED "another grant by name does not revive the revoked flow" say bad
	ctl revoke "$id"
	gets ok "nor does all that end what the policy allows" say good
}

# A listener of the host: what stays on this machine ends like everything else.
this_host() {
	$python "$here/work/grants_site.py" $w/ready 8084 </dev/null &
	local site=$!
	read -r -t 120 answer <$w/ready
	gets EPERM "a listener of the host" bare 127.0.0.1 8084
	does 0 "allow it" "connect 127.0.0.1:8084" allow "$id" connect 127.0.0.1:8084
	does 0 "by UDP, too" "8084/udp" allow "$id" connect 127.0.0.1:8084/udp
	gets ok "it connects" tcp h 127.0.0.1 8084
	gets ok "and talks" say h
	gets ok "a connected datagram socket" udp d 127.0.0.1 8084
	gets ok "talks" say d
	gets ok "a connection of its own" own o
	ctl allow "$id" connect $far:8083
	ctl revoke "$(newest)"
	gets ok "another grant's end is nothing to it" say h
	gets ok "nor to the datagrams" say d
	gets ok "it waits" wait h
	gets ok "they wait" wait d
	does 0 "revoke" "2 revoked, 2 connections ended" revoke "$id"
	gets ECONNABORTED "it is told at once" waited h
	gets ECONNABORTED "they, too" waited d
	gets EPERM "a new connection is refused" bare 127.0.0.1 8084
	gets ok "its own goes on" say o
	gets ok "a name is resolved all the same" tls good good.example.test 443 good.example.test
	ctl allow "$id" connect 127.0.0.1:8084 --for 2s
	gets ok "for two seconds" tcp h 127.0.0.1 8084
	gets ok "it waits again" wait h
	gets ECONNABORTED "it is told when they are over" waited h
	kill $site
	wait $site
}

expiry() {
	ctl allow "$id" connect $far:8082 --for 2s
	gets ok "for two seconds" tcp a $far 8082
	gets ok "it waits" wait a
	gets ECONNABORTED "it is told when they are over" waited a
	gets EPERM "and not let in again" bare $far 8082
	does 0 "no grant is left" '^$|^\[\]$' grants --json
}

# Nobody but the kernel sees to it; then another egressd does.
without_egressd() {
	gets ok "a name's flow" tls good good.example.test 443 good.example.test
	ctl allow "$id" connect $far:8083 --for run --note kept
	ctl allow "$id" connect other.example.test --for run
	ctl deny "$id" connect $near:8081
	ctl allow "$id" connect $far:8082 --for 20s
	ctl allow "$id" connect $far:8082/udp --for 20s
	ctl allow "$id" connect bad.example.test --for 20s
	ctl allow "$id" open $w/secret r --for 20s
	gets ok "TCP" tcp a $far 8082
	gets ok "UDP" udp u $far 8082
	gets ok "a granted name's flow" tls bad bad.example.test 443 bad.example.test
	gets ok "a file" get $w/secret
	gets ok "what is granted for longer" tcp k $far 8083
	gets ok "by name, too" tls other other.example.test 443 other.example.test
	stop_service KILL
	rm -f /run/egressctl/denials/"$id"-*
	gets EACCES "egressd is dead, and the file is closed" until EACCES get $w/secret
	gets EPERM "no connection" bare $far 8082
	gets EPERM "no datagram" sendto $far 8082
	gets EPERM "none of a connected socket" say u
	gets ok "what is granted for longer goes on" say k
	gets ok "by name, too" say other
	gets ok "what the policy allows, too, at the address of what is over" say good
	gets EPERM "what is denied is" bare $near 8081
	start_service
	result $? "egressd is back"
	gets ECONNABORTED "the flow by address is ended" say a
	gets ECONNABORTED "the flow by the granted name, too" say bad
	does 0 "grants go on" "connect $far:8083(/tcp)?, .*kept" grants
	does 0 "denials too" "denied connect $near:8081(/tcp)?, as long" grants
	gets ok "with their flows" say k
	gets ok "by name, too" say other
	gets EPERM "what was denied is" bare $near 8081
	does 0 "all are revoked" "3 revoked" revoke "$id"
	does 0 "an event that only the log has" "allowed open $w/secret r" allow "$event"
	does 0 "can be allowed all the same" "1 revoked" revoke "$id"
	gets ECONNABORTED "the flow ends" say k
	gets ECONNABORTED "by name, too" say other
	gets ok "and what was denied is allowed" bare $near 8081
}

denial() {
	gets ok "an allowed flow" tcp n $near 8081
	gets ok "waits" wait n
	does 0 "deny" "denied connect $near, as long" deny "$id" connect $near
	gets ECONNABORTED "it is told" waited n
	gets EPERM "and not let in again" bare $near 8081
	does 1 "no grant lifts a denial" "denied by" allow "$id" connect $near:8081
	gets ok "a name" tls good good.example.test 443 good.example.test
	ctl deny "$id" connect good.example.test
	gets ECONNABORTED "denied, its flow ends" say good
	gets no-name "and it is unknown" tls good good.example.test 443 good.example.test
	ctl revoke "$id"
	gets ok "revoked, it is back" tls good good.example.test 443 good.example.test
	ctl allow "$id" open $w/secret rw --for 1h
	ctl deny "$id" open $w/secret w
	gets ok "a grant, of which something is denied" get $w/secret
	gets EACCES "that is gone" get $w/secret w
	ctl deny "$id" open $w/secret
	gets EACCES "then all of it" get $w/secret
	ctl revoke "$id"
	does 1 "what the policy denies, no grant opens" "203.0.113.53.*denied by" \
		allow "$id" connect 203.0.113.53:8082
	gets EPERM "and it is refused" bare 203.0.113.53 8082
}

# What one grant lent is not another's to keep.
overlap() {
	gets EACCES "a file is closed" get $w/secret
	ctl allow "$id" open $w/secret r
	local first
	first=$(newest)
	ctl allow "$id" open $w/secret w
	gets ok "two grants open it for reading" get $w/secret
	gets ok "and writing" get $w/secret w
	ctl revoke "$first"
	gets EACCES "without the first, nothing is read" get $w/secret
	gets ok "and it is written" get $w/secret w
	ctl revoke "$id"
}

switching() {
	ctl switch "$id" $w/setup.yaml
	gets ok "a setup policy with the network" tcp a $far 8082
	gets ok "a download begins" down a
	gets ok "and goes on" wait a
	gets EPERM "nothing else" bare $far 8083
	does 2 "switch to a policy with a mistake" "bad.yaml:1" switch "$id" $w/bad.yaml
	does 2 "to one that is not there" "nowhere" switch "$id" $w/nowhere.yaml
	gets ok "changes nothing" bare $far 8082
	does 0 "switch to the one without" "sandbox $id: under .*silent.yaml now, [1-9]" \
		switch "$id" $w/silent.yaml
	gets ECONNABORTED "the download is told" waited a
	gets EPERM "no network" bare $far 8082
	gets no-name "no name" tls good good.example.test 443 good.example.test
	ctl allow "$id" connect $far:8083
	does 0 "switch keeps what was granted" under switch "$id" $w/policy.yaml
	gets ok "it is" bare $far 8083
	does 0 "--drop-grants does not" under switch "$id" $w/policy.yaml --drop-grants
	gets EPERM "it is gone" bare $far 8083
	gets ok "and the policy holds" bare $near 8081
}

mistakes() {
	does 1 "an unknown sandbox" "no live sandbox '$((id + 90))'; the nearest is $id" \
		allow $((id + 90)) connect $far:8082
	does 1 "an unknown name" "'actr'; the nearest is $id \(actor\)" switch actr $w/policy.yaml
	does 1 "an unknown event" "no event $id.999999: the newest of sandbox $id is $id\.[0-9]+$" \
		allow "$id.999999"
	does 1 "almost last" "'lsat' is no event and no sandbox; the nearest is last" allow lsat
	does 1 "almost a sandbox" "'actr'; the nearest is $id \(actor\)" allow actr
	does 2 "a sandbox, and no rule" "expected a RULE after the sandbox" allow actor
	does 2 "a policy, and no rule" "expected a RULE after the policy" allow policy=actor
	local grant
	ctl allow "$id" connect $far:8083
	grant=$(sed -n 's/^\(g[0-9]*\) .*/\1/p' $w/out)
	does 1 "an unknown grant" "no grant g999 .*; the nearest is g[0-9]+:" revoke g999
	does 0 "a known one, as JSON" '"revoked": 1' revoke --json "$grant"
	does 1 "an unknown policy" "under the policy 'nobody'" allow policy=nobody connect $far:1
	does 1 "one that is nearly known" "under the policy '$w/polcy.yaml'; the nearest is $w/policy.yaml" \
		allow policy=$w/polcy.yaml connect $far:1
	does 2 "a verb nobody knows" "expected" allow "$id" dance $far
	does 2 "one that is nearly known" "the nearest is connect" allow "$id" conect $far:1
	does 2 "a destination without a port" "port" allow "$id" connect $far
	does 2 "a path without a permission" "PERM" allow "$id" open $w/secret
	does 2 "a path that the kernel never sees" "empty name" allow "$id" open /a//b r
	does 2 "a time" "'soon' is not" allow "$id" connect $far:1 --for soon
	does 2 "newlines in a rule" "" allow "$id" connect $'x:1\n  - "*"'
	does 2 "a rule in a path" "" allow "$id" open $'/x: rwxc\n  /' rwxc
	does 0 "of what could be YAML, only a path is left" 'open /srv/x": rwxc, "/": none # r,' \
		allow "$id" open '/srv/x": rwxc, "/": none #' r
	gets ok "and nothing else is said" get $w/policy.yaml
	ctl allow "$id" connect $far:8083 --note $'\e[2Jn\n- "*"'
	! grep -q $'\e' $w/out && grep -qF '\x1b[2J' $w/out
	result $? "a note is escaped"
	ctl revoke "$id"
	gets EPERM "nothing was slipped in" bare $far 8082
}

limits() {
	local i
	for i in {1..16}; do
		"$egressctl" allow "$id" connect "$far:$((9000 + i))"
	done >$w/out 2>&1
	does 1 "the seventeenth grant" "may have 16 grants" allow "$id" connect $far:9999
	does 0 "all sixteen" "16 revoked" revoke "$id"
	for i in {1..15}; do
		"$egressctl" allow "$id" connect "n$i.example.test:$((9000 + i))"
	done >$w/out 2>&1
	does 1 "one name too many" "16 classes" allow "$id" connect n99.example.test
	does 0 "the same again only gets its time" "n1.example.test:9001, 19m|20m" \
		allow "$id" connect n1.example.test:9001 --for 20m
	does 0 "and all are there" "15 revoked" revoke "$id"
	gets ok "a flow by name from before" tls good good.example.test 443 good.example.test
}

# A sandbox may be called like a grant.
called_g1() {
	(cd $w/work && exec "$egressctl" run -p $w/policy.yaml --name g4000000 -- sleep 1000) \
		</dev/null >/dev/null 2>&1 &
	local run=$! end=$((SECONDS + 120))
	until "$egressctl" allow g4000000 connect $far:8083 >$w/out 2>&1 || [ $SECONDS -ge $end ]; do
		:
	done
	does 1 "revoke g4000000 is about a grant" "no grant g4000000" revoke g4000000
	does 0 "sandbox=g4000000 about the sandbox" "1 revoked" revoke sandbox=g4000000
	"$egressctl" kill g4000000
	wait $run
}

# Under several policies it is under each of them, and what --allow makes is one more.
several() {
	(cd $w/work && exec "$egressctl" run -p actor -p $w/policy.yaml --allow "open $w/secret r" \
		--name several -- sleep 1000) </dev/null >/dev/null 2>&1 &
	local run=$! end=$((SECONDS + 120)) name
	until "$egressctl" show several >$w/out 2>&1 || [ $SECONDS -ge $end ]; do :; done
	does 0 "ps has all names" " actor\+$w/policy.yaml\+--allow " ps
	for name in actor $w/policy.yaml --allow actor+$w/policy.yaml+--allow; do
		does 0 "policy=$name" "allowed connect $far:8083" \
			allow policy=$name connect $far:8083
		"$egressctl" grants several >$w/out 2>&1
		out "connect $far:8083"
		result $? "is the one under several"
		"$egressctl" revoke several >/dev/null
		"$egressctl" revoke "$id" >/dev/null
	done
	does 1 "a part of a name is none" "the nearest is actor" \
		allow policy=actr connect $far:8083
	"$egressctl" kill several
	wait $run
}

# No update is lost when several change the same sandbox.
together() {
	local i pids=()
	for i in 1 2; do
		(for k in {1..7}; do
			"$egressctl" allow "$id" connect "$far:$((9000 + 10 * i + k))" >/dev/null ||
				exit 1
		done) &
		pids+=($!)
	done
	wait "${pids[@]}"
	[ "$("$egressctl" grants | wc -l)" -eq 14 ]
	result $? "two operators at once: every grant is there"
	does 0 "and all can be revoked" "14 revoked" revoke "$id"
}

saving() {
	printf '# mine\nversion: 1\nextends: [actor] # what it was\nfiles:\n  /opt: r # why\n' \
		>$w/policies/saved.yaml
	ctl switch "$id" saved
	does 0 "--save" "rule is saved" allow "$id" connect $far:8082 --save --note $'for\n- "*": x'
	does 0 "a path" "rule is saved" allow "$id" open $w/secret r --save
	grep -q '^# mine$' $w/policies/saved.yaml &&
		grep -q '# what it was$' $w/policies/saved.yaml &&
		grep -q '# why$' $w/policies/saved.yaml && "$egressctl" check $w/policies/saved.yaml >$w/out
	result $? "comments are kept, and the note is one"
	(cd $w/work && "$egressctl" run -p saved -- $python -c "
import socket
socket.create_connection(('$far', 8082))
print(open('$w/secret').read())") >$w/out 2>$w/err
	status=$?
	is 0 && out SECRET
	result $? "a run under it needs no grant"
	"$egressctl" run -p saved -- $python -c "
import socket
socket.create_connection(('$far', 8083))" >$w/out 2>$w/err
	status=$?
	both 1 PermissionError
	result $? "and has no more"
	does 0 "what is there is not written again" "has that rule already" \
		allow "$id" connect $far:8082 --save
	ctl revoke "$id"
	(cd $w/policies && "$egressctl" switch "$id" ./saved.yaml >$w/out)
	printf 'version: 1\nextends: [actor]\nfiles:\n  /opt: r\n' >$w/saved.yaml
	(cd $w && "$egressctl" allow "$id" connect $far:8083 --save) >$w/out 2>$w/err
	status=$?
	both 0 "policies/saved.yaml: the rule is saved"
	result $? "a relative path is the file that was read"
	grep -q 8083 $w/policies/saved.yaml && ! grep -q 8083 $w/saved.yaml
	result $? "and not one of the same name here"
	sed -i /opt/d $w/policies/saved.yaml
	does 1 "a policy with less in it is not the one" "not what the sandbox runs under" \
		allow "$id" connect $far:8084 --save
	chown $uid $w/saved.yaml
	ctl switch "$id" $w/saved.yaml
	does 1 "root does not write to a user's file" "belongs to another user" \
		allow "$id" connect $far:8084 --save
	ctl revoke "$id"
	ctl switch "$id" $w/policy.yaml
}

# Another user's sandbox is nobody's business.
users() {
	does 0 "root denies" denied deny "$id" connect $far:8083
	does 0 "root denies a path" denied deny "$id" open $w/deep
	local root_owned
	root_owned=$(newest)
	as_tester "$egressctl" allow "$id" connect $far:8082 >$w/out 2>$w/err
	status=$?
	both 1 "no sandbox"
	result $? "a user allows nothing in root's sandbox"
	as_tester "$egressctl" revoke "$root_owned" >$w/out 2>$w/err
	status=$?
	both 1 "no grant"
	result $? "nor revokes"
	as_tester "$egressctl" switch "$id" $w/policy.yaml >$w/out 2>$w/err
	status=$?
	both 1 "no sandbox"
	result $? "nor switches"
	[ -z "$(as_tester "$egressctl" grants)" ]
	result $? "nor sees"
	ctl revoke "$id"
}

# ctl as the user whose sandbox it is
mine() { # STATUS NAME TEXT ARGUMENT…
	local want=$1 name=$2 text=$3
	shift 3
	as_tester $w/egressctl "$@" >$w/out 2>$w/err
	status=$?
	is "$want" && grep -Eq -- "$text" $w/out $w/err
	result $? "$name"
}

# reload NAME: egressd reads its settings again, and says so
reload() {
	: >$w/service.log
	kill -HUP "$service"
	local end=$((SECONDS + 120))
	until grep -q 'settings read again' $w/service.log || [ $SECONDS -ge $end ]; do :; done
	grep -q 'settings read again' $w/service.log
	result $? "$1"
}

# The owner of the host decides what owners of sandboxes may grant.
authority() {
	gets EPERM "a user's sandbox" bare $far 8082
	mine 0 "its owner allows" "allowed connect $far:8082" allow "$id" connect $far:8082
	gets ok "and it connects" bare $far 8082
	mine 0 "and revokes" "1 revoked" revoke "$id"
	does 0 "root denies an address" denied deny "$id" connect $near
	mine 1 "a user does not revoke it" "root denied this" revoke "$(newest)"
	does 0 "root denies a path" denied deny "$id" open $w/deep
	mine 1 "a user does not open it by another rule" "root denied" \
		allow "$id" open $w/deep/secret r
	ln -s $w/deep/secret $w/work/link
	mine 1 "nor by another name" "root denied" allow "$id" open $w/work/link r
	gets EACCES "it is closed" get $w/deep/secret
	mine 1 "nor by another policy" "root denied" switch "$id" $w/setup.yaml
	does 0 "root takes back both" "2 revoked" revoke "$id"
	mine 0 "then the user may" "allowed open" allow "$id" open $w/deep/secret r
	mine 0 "and back" "1 revoked" revoke "$id"
	cat >/etc/egressctl/egressd.yaml <<-END
		version: 1
		grants:
		  for: 1h
		  paths: false
		  within: ["*.example.test", "203.0.113.8/30:8082"]
	END
	reload "settings about grants"
	mine 1 "a user grants no path" "only destinations" allow "$id" open $w/secret r
	mine 1 "nor for longer" "3600 seconds" allow "$id" connect $far:8082 --for 2h
	mine 1 "nor for as long as it runs" "3600 seconds" allow "$id" connect $far:8082 --for run
	mine 1 "nor a wider destination" "wider" allow "$id" connect 203.0.113.0/24:8082
	mine 1 "nor another port" "wider" allow "$id" connect $far:8083
	mine 1 "nor another name" "wider" allow "$id" connect evil.test
	mine 1 "nor all names" "wider" allow "$id" connect "*"
	mine 1 "nor another policy" "only root may switch" switch "$id" $w/setup.yaml
	mine 0 "what is within, is" "allowed connect $far:8082" allow "$id" connect $far:8082
	mine 0 "by name" "bad.example.test" allow "$id" connect bad.example.test
	gets ok "and it is" bare $far 8082
	does 0 "root is not bound" allowed allow "$id" open $w/secret rw --for run
	grep -q "uid $uid: sandbox $id: a grant was refused: open $w/secret r: only dest" $w/service.log
	result $? "refusals are logged"
	printf 'version: 1\ngrants: {save: false}\n' >/etc/egressctl/egressd.yaml
	reload "no saving"
	mine 1 "nothing is saved" "not saved on this host" \
		allow "$id" connect $far:8083 --for 1h --save
	gets EPERM "nor granted" bare $far 8083
	mine 0 "without it, it is granted" "allowed connect $far:8083" allow "$id" connect $far:8083
	ctl revoke "$id"
	printf 'version: 1\ngrants: {who: nobody}\n' >/etc/egressctl/egressd.yaml
	reload "stricter ones"
	mine 1 "nobody but root" "only root may grant" allow "$id" connect $far:8083
	mine 0 "to deny is always allowed" denied deny "$id" connect $near
}

other_network() {
	gets EPERM "in its own network: refused" bare 198.51.100.1 8082
	does 0 "allow last" "198.51.100.1:8082" allow last
	gets ok "connects" tcp a 198.51.100.1 8082
	gets ok "waits" wait a
	does 0 "revoke" "1 revoked, 1 connections ended" revoke "$(newest)"
	gets ECONNABORTED "and is told at once" waited a
	gets ok "a name" tls good good.example.test 443 good.example.test
	ctl allow "$id" connect bad.example.test
	gets ok "another at the address" tls bad bad.example.test 443 bad.example.test
	ctl revoke "$id"
	gets ECONNABORTED "revoked, it is told" say bad
	gets ok "the first goes on" say good
}

trap names_end EXIT
prepare
names_end
link_site && link_other && start_dnsmasq && start_nginx || bail "no site"
policies
start_site || bail "no servers"
controls
mkdir -p /etc/egressctl
echo 'version: 1' >/etc/egressctl/egressd.yaml
chmod 644 /etc/egressctl/egressd.yaml
start_service || bail "egressd does not start"
actor env
by_event
by_rule
by_name
this_host
expiry
overlap
denial
switching
mistakes
limits
together
called_g1
several
saving
users
without_egressd
quit
cp "$egressctl" $w
chown -R $uid:$uid $w/work
actor setpriv --reuid=$uid --regid=$uid --init-groups --reset-env --
authority
quit
actor ip netns exec other
other_network
quit
stop_service
finish

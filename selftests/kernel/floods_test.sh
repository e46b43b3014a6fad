#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Floods: what they try stays refused, what is not told is counted, others are heard while they
# go on, and egressd does not grow. Here in a size that a run of all tests can bear; `make floods`
# sets EGRESSCTL_FLOOD=full.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
here=$(dirname "$(readlink -f "$0")")
flood=$w/bin/flood

case ${EGRESSCTL_FLOOD:-} in
full) violations=10000000 queries=1000000 forks=100000 sockets=100000 hogs=50 ;;
*) violations=24000 queries=1500 forks=150 sockets=1500 hogs=1 ;;
esac

# What egressd may take: see "Floods" in docs/design.md. Three sandboxes at most live at a time.
bound_kib=$((96 * 1024 + 3 * 8 * 1024))

floods_prepare() {
	prepare
	rm -rf /var/log/egressctl # numbers of sandboxes begin again at each boot
	mkdir -p $w/bin $w/watch
	cp "$EGRESSCTL_BUILD/selftests/work/flood" $w/bin
	chmod -R a+rX $w/bin
	echo "203.0.113.7 good.flood.test" >>/etc/hosts
	cat >>$w/policy.yaml <<-END
		  $w/bin: rx
		egress: {allow: ["good.flood.test:443"]}
	END
	mkfifo $w/told $w/ended
	exec 5<>$w/told 6<>$w/ended
}

# All that is logged, and what of it belongs to a sandbox that is watched.
start_counting() {
	"$egressctl" log -f --json --dir "$1" 2>/dev/null |
		/usr/bin/python3 "$here/work/flood_count.py" $w/told $w/watch >$w/ended &
}

# sandbox OPTION… -- COMMAND…: in the background as $who; its number in $id when it runs
who=
sandbox() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	rm -f $w/work/id
	mkfifo $w/work/id
	chmod 666 $w/work/id
	# shellcheck disable=SC2016
	(cd $w/work && exec $who "$egressctl" run -p $w/policy.yaml "${options[@]}" -- /bin/sh -c \
		'echo $EGRESSCTL_SANDBOX >id; exec "$@"' sh "$@") \
		>$w/out.flood 2>"${errors:-$w/err.flood}" </dev/null &
	launcher=$!
	id=
	read -r -t 120 id <>$w/work/id || echo "# it does not start: $(cat $w/err.flood)"
}

# Another sandbox, which opens the secret whenever it is told to.
start_neighbour() {
	rm -f $w/work/orders
	mkfifo $w/work/orders
	exec 7<>$w/work/orders
	sandbox -- /bin/sh -c \
		"while read -r x; do read -r y <$w/secret; done <$w/work/orders 2>/dev/null"
	neighbour=$id neighbour_launcher=$launcher
	touch $w/watch/$neighbour
}

neighbour_heard() {
	local line
	echo now >&7
	read -r -t 120 -u 5 line && [ "$line" = "event $neighbour" ]
}

stop_neighbour() {
	"$egressctl" kill $neighbour >/dev/null 2>&1
	wait $neighbour_launcher 2>/dev/null
	rm -f $w/watch/$neighbour
}

# The neighbour's events come while $1 runs, and not only when it is over.
neighbour_while() {
	local rounds=0
	while kill -0 "$1" 2>/dev/null; do
		neighbour_heard || return
		kill -0 "$1" 2>/dev/null && rounds=$((rounds + 1))
	done
	echo "# heard $rounds times"
	[ $rounds -ge 3 ]
}

flood_refused() {
	wait_launcher
	cp $w/out.flood $w/out
	cp $w/err.flood $w/err
	is 0 && out " 0 wrong"
}

# The end of sandbox $1 in the log: every violation was written or counted.
counted() {
	local sandbox denied written lost suppressed failed dropped
	while read -r -t 300 -u 6 sandbox denied written lost suppressed failed dropped; do
		[ "$sandbox" = "$1" ] && break
	done
	echo "# $denied violations: $written written, $lost lost, $suppressed suppressed," \
		"$dropped dropped, $failed failed"
	ended_denied=$denied ended_dropped=$dropped ended_failed=$failed
	[ "${denied:-0}" -gt 0 ] && [ $((written + lost + suppressed + dropped)) -eq "$denied" ]
}

memory_bounded() {
	local kib
	kib=$(awk '/^VmHWM/ { print $2 }' "/proc/$service/status")
	echo "# egressd took $kib KiB at most, of $bound_kib"
	[ "${kib:-0}" -gt 0 ] && [ "$kib" -le $bound_kib ]
}

# flooded NAME LEAST OPTION… -- FLOOD…: refused, counted, and the neighbour is heard meanwhile
flooded() {
	local name=$1 least=$2
	shift 2
	sandbox "$@"
	check "$name: another sandbox's events come meanwhile" neighbour_while $launcher
	check "$name: all of it refused" flood_refused
	check "$name: each one written or counted" counted "$id"
	check "$name: as many as there were" [ "${ended_denied:-0}" -ge "$least" ]
	check "$name: nothing failed" [ "${ended_failed:-1}" -eq 0 ]
}

# Queries, while another sandbox asks for what it may.
names() {
	local asked=0
	sandbox -- $flood dns $queries 127.0.0.53 evil.flood.test
	while kill -0 $launcher 2>/dev/null; do
		run -- $flood ask 1 127.0.0.53 good.flood.test
		is 0 || break
		asked=$((asked + 1))
	done
	echo "# answered $asked times"
	check "queries: others are answered meanwhile" [ $asked -ge 1 ]
	check "queries: none has an address" flood_refused
	check "queries: each refusal written or counted" counted "$id"
}

# A launcher that prints each refusal where nobody reads, and a log that a user follows there.
unread() {
	rm -f $w/unread $w/work/done $w/work/end
	mkfifo $w/unread $w/work/done $w/work/end
	chmod 666 $w/unread $w/work/done $w/work/end
	exec 9<>$w/unread
	as_tester "$egressctl" log -f --json >$w/unread 2>&1 </dev/null &
	local reader=$! status
	# it ends by being killed: what it says when it is done is not for itself
	who="setpriv --reuid=$uid --regid=$uid --init-groups --reset-env --" errors=$w/unread sandbox -v -- /bin/sh -c \
		"$flood open $((violations / 4)) $w/secret >flooded; echo \$? >done; read -r x <end"
	read -r -t 300 status <>$w/work/done &
	check "nobody reads: another sandbox's events come meanwhile" neighbour_while $!
	check "nobody reads: all of it refused" grep -q " 0 wrong" $w/work/flooded
	kill -9 $launcher $reader
	exec 9<&-
	check "nobody reads: each one written or counted" counted "$id"
}

# The log's disk is full; it has room again before the sandbox ends.
full_disk() {
	mkdir -p $w/full
	mount -t tmpfs -o size=256K,mode=700 full $w/full
	start_service --log-dir $w/full || return
	start_counting $w/full
	rm -f $w/work/done $w/work/go
	mkfifo $w/work/done $w/work/go
	chmod 666 $w/work/done $w/work/go
	sandbox -- /bin/sh -c \
		"$flood open $((violations / 4)) $w/secret >flooded; echo >done; read -r x <go"
	read -r -t 300 <>$w/work/done
	# what was refused last may still be in the ring
	until "$egressctl" metrics | grep -q '^egressctl_log_dropped_total [1-9]'; do :; done
	check "full disk: all of it refused" grep -q " 0 wrong" $w/work/flooded
	mount -o remount,size=64M $w/full
	echo >$w/work/go
	wait_launcher
	check "full disk: each one written or counted" counted "$id"
	check "full disk: the log says what it lacks" [ "${ended_dropped:-0}" -gt 0 ]
	check "full disk: egressd's memory" memory_bounded
	stop_service
	umount -l $w/full
}

# The kernel has no memory for what belongs to the agent's maps: marks, states, records.
starved() {
	local mem=$cgroups/starved
	echo +memory >"$cgroups/cgroup.subtree_control"
	mkdir -p "$mem"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho $$ >%s/cgroup.procs\nexec %s "$@"\n' "$mem" "$egressd" >$w/starved
	chmod 755 $w/starved
	egressd=$w/starved start_service || return
	start_counting /var/log/egressctl
	# what it has made stays charged there; it does not go on there itself
	echo "$service" >"$cgroups/cgroup.procs"
	rm -f $w/work/go
	mkfifo $w/work/go
	chmod 666 $w/work/go
	exec 8<>$w/work/go
	sandbox -- /bin/sh -c "read -r x <go; $flood tryfork 300 $w/secret; read -r x <go;
		exec $flood open 1000 $w/secret"
	echo 0 >"$mem/memory.max"
	check "no memory: outside nothing is refused" grep -q SECRET $w/secret
	echo >&8
	# until it has tried; it cannot say so: nothing of it may be made
	until grep -q tried $w/out.flood || ! kill -0 $launcher 2>/dev/null; do :; done
	cp $w/out.flood $w/out
	check "no memory: what is made is refused the same" grep -q " 0 wrong" $w/out
	sed 's/^/# /' $w/out
	echo max >"$mem/memory.max"
	echo >&8
	check "no memory: afterwards as before" flood_refused
	check "no memory: each one written or counted" counted "$id"
	# the kernel's per-processor reserves are empty: whoever meets that fills them for the next
	for _ in $(seq $(($(nproc) + 1))); do
		run -- $flood tryfork 300 $w/secret
		both_words && break
	done
	check "no memory: a new sandbox" both_words
	stop_service
}
both_words() { is 0 && out "300 tried, 0 wrong, 0 not made"; }

# Many of one kind.
floods() {
	flooded "violations" $violations -- $flood open $violations $w/secret
	flooded "datagrams" $((violations / 4)) -- $flood send $((violations / 4)) 127.0.0.1 9
	flooded "fork bomb" $forks --limit pids=200 -- $flood fork $forks $w/secret
	flooded "sockets" $sockets -- $flood sockets $sockets 127.0.0.1 9
	flooded "no memory left to it" 1 --limit memory=16M -- $flood memory $hogs $w/secret
}

# An argument: only that part.
part() { [ -z "$only" ] || [ "$only" = "$1" ]; }
only=${1:-}
floods_prepare
if part floods || part names || part unread; then
	start_service || { echo "Bail out! egressd does not start"; exit 1; }
	start_counting /var/log/egressctl
	start_neighbour
	check "the other sandbox is heard" neighbour_heard
	for p in floods names unread; do
		part $p && $p
	done
	check "egressd's memory" memory_bounded
	stop_neighbour
	stop_service
fi
part full_disk && full_disk
part starved && starved
finish

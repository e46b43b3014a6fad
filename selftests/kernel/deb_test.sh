#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The Debian package, under systemd as PID 1: installed, upgraded under running sandboxes, not removed
# while there are any, removed, purged. A download through loopback goes on through the upgrades, and
# a probe in another sandbox is answered as it should be each time. `make deb-test`.
# shellcheck source=selftests/kernel/attach_lib.sh
. "$(dirname "$(readlink -f "$0")")/attach_lib.sh"

PATH=$PATH:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive
pins=/sys/fs/bpf/egressctl
bytes=$((200 << 20))
mine='# of the administrator'

property() { systemctl show --value -p "$1" egressd; }
links() { (cd $pins/abi* && ls -d links-*) 2>/dev/null; }
all_links() { bpftool -j link | grep -o '"id":[0-9]*'; } # of all agents
state() { dpkg-query -W -f '${db:Status-Abbrev}' egressctl 2>/dev/null; }
whole() { [[ $(state) == ?'i ' ]]; } # the first letter is what was wished for

# deb ARGUMENT…: dpkg, without what other packages do behind it
deb() {
	dpkg --force-unsafe-io --no-triggers "$@" >$w/out 2>$w/err </dev/null
	status=$?
}

# another_deb VERSION [EGRESSD]: the same package, with another egressd or not, in $w
another_deb() {
	rm -rf $w/tree
	dpkg-deb -R "$package" $w/tree &&
		install -m 755 "${2:-$w/tree/usr/sbin/egressd}" $w/egressd &&
		mv $w/egressd $w/tree/usr/sbin/egressd &&
		sed -i "s/^Version: .*/Version: $1/" $w/tree/DEBIAN/control &&
		(cd $w/tree && find usr -type f -exec md5sum {} +) >$w/sums &&
		mv $w/sums $w/tree/DEBIAN/md5sums &&
		dpkg-deb --root-owner-group -Znone -b $w/tree $w/egressctl_"$1".deb >/dev/null
}

installed() {
	deb -i "$package"
	check "the package installs" is 0
	check "its service is enabled" [ "$(systemctl is-enabled egressd)" = enabled ]
	check "and runs" [ "$(systemctl is-active egressd)" = active ]
	pid=$(property MainPID)
	check "from the package" [ "$(readlink /proc/"$pid"/exe)" = /usr/sbin/egressd ]
	check "with its settings" [ "$(property StatusText)" = \
		'serving, settings from /etc/egressctl/egressd.yaml' ]
	check "which are the administrator's" grep -qx ' /etc/egressctl/egressd.yaml [0-9a-f]*' < <(
		dpkg-query -W -f '${Conffiles}\n' egressctl)
	check "its directories are there" [ "$(stat -c %a:%U /run/egressctl /var/log/egressctl |
		tr '\n' ' ')" = '755:root 750:root ' ]
	dpkg --verify egressctl >$w/out 2>&1
	status=$?
	check "nothing differs from the package" prints ''
	egressctl=/usr/bin/egressctl
	ctl check agent
	check "its policies are found" is 0
	echo "$mine" >>/etc/egressctl/egressd.yaml
}

begin_probe() {
	cp "$EGRESSCTL_BUILD/selftests/work/probe" $w/bin
	cp /bin/true $w/tool
	$w/bin/probe control $w $there >$w/out 2>$w/err
	status=$?
	check "control: outside, all that the probe tries works" is 0
	mkfifo $w/ctl/probe
	: >$w/probe.said
	(cd $w/ctl && exec "$egressctl" run -p $w/policy.yaml --name probe -- $w/bin/probe until \
		$w/ctl/probe $w $there) >$w/probe.said 2>$w/err </dev/null &
	probe=$!
	is_ready probe $probe
	result $? "a probe runs in a sandbox"
}

begin_download() {
	mkfifo $w/tell $w/told
	exec {tell}<>$w/tell {told}<>$w/told
	python3 "$(dirname "$0")/work/download.py" 7002 $bytes <$w/tell >$w/told &
	wait_told listening
	(cd $w/ctl && exec "$egressctl" run -p $w/policy.yaml --name download -- \
		sh -c 'curl -sS http://127.0.0.1:7002/ | sha256sum') >$w/sum 2>$w/sum.err </dev/null &
	download=$!
	wait_told begun
	result $? "a download runs in another"
}

wait_told() { # WORD
	local word
	read -r -t 300 word <&"$told" && [ "$word" = "$1" ]
}

arrived() { # bytes, in $got
	echo count >&"$tell"
	read -r -t 300 got <&"$told"
}

# upgrade VERSION NAME
upgrade() {
	local before
	arrived
	before=$got
	pid=$(property MainPID)
	deb -i $w/egressctl_"$1".deb
	check "$2: the package is upgraded" is 0
	arrived
	check "... the download went on meanwhile" [ "$got" -gt "$before" ]
	check "... another egressd serves" [ "$(systemctl is-active egressd)" = active \
		-a "$(property MainPID)" != "$pid" ]
	check "... which is the new one" [ "$(readlink /proc/"$(property MainPID)"/exe)" = \
		/usr/sbin/egressd ]
	ctl ps
	check "... and knows both sandboxes" [ "$(grep -cE '(probe|download)$' $w/out)" -eq 2 ]
	check "... the settings are as they were" grep -qx "$mine" /etc/egressctl/egressd.yaml
}

upgraded() {
	local before
	before=$(links)
	upgrade 0.1.0+1 "the same programs"
	check "... taken over" [ "$(links)" = "$before" ]
	upgrade 0.1.0+2 "other programs"
	check "... loaded beside the old ones, which are gone" [ "$(links | wc -l)" -eq 1 \
		-a "$(links)" != "$before" ]
}

refused() {
	deb -r egressctl
	check "the package is not removed while sandboxes run" [ "$status" -ne 0 ]
	check "it says why" err 'sandboxes are running'
	check "it is whole" whole
	check "its service goes on" [ "$(systemctl is-active egressd)" = active ]
	echo finish >&"$tell"
	wait $download
	status=$?
	check "the download ends well" is 0
	read -r -t 300 sent sum <&"$told"
	check "with all of $bytes bytes or more" [ "$sent" -ge $bytes ]
	check "as they were sent" [ "$(awk '{ print $1 }' $w/sum)" = "$sum" ]
	echo end 1<>$w/ctl/probe
	wait $probe
	status=$?
	is 0 && grep -q '^tries [1-9][0-9]' $w/probe.said
	result $? "the probe had never a wrong answer, from the first package to here"
	sed 's/^/# /' $w/probe.said
}

removed() {
	deb -r egressctl
	check "then it is removed" is 0
	check "no service is left" [ "$(property LoadState):$(property ActiveState)" = not-found:inactive ]
	check "no process" [ -z "$(pgrep -x egressd)" ]
	check "no pin" [ -z "$(find /sys/fs/bpf -name 'egressctl*')" ]
	check "no link" [ "$(all_links)" = "$at_first" ]
	check "no cgroup" [ ! -e "$cgroups"/egressctl ]
	check "no state" [ ! -e /run/egressctl ]
	check "no file of it" [ -z "$(ls -d /usr/bin/egress* /usr/sbin/egressd /usr/share/egressctl \
		/lib/systemd/system/egressd.service 2>/dev/null)" ]
	check "the log stays" [ -s /var/log/egressctl/events.jsonl ]
	check "and the settings" grep -qx "$mine" /etc/egressctl/egressd.yaml
	deb -P egressctl
	check "it is purged" is 0
	check "the log goes" [ ! -e /var/log/egressctl ]
	check "and the settings" [ ! -e /etc/egressctl ]
	check "nothing of its unit is left" [ -z "$(find /etc/systemd /var/lib/systemd -name '*egressd*')" ]
	check "dpkg does not know it" [ -z "$(state)" ]
}

package=$(echo "$EGRESSCTL_BUILD"/deb/egressctl_*_amd64.deb)
if [ ! -e "$package" ]; then
	echo "Bail out! there is no $package: make deb"
	exit 1
fi
if [ -z "${EGRESSCTL_VM:-}" ]; then
	echo "Bail out! it installs and purges: tools/vm"
	exit 1
fi
# This machine's: an image for containers has a policy that starts nothing, and tests left logs.
rm -rf /usr/sbin/policy-rc.d /var/log/egressctl
prepare
attach_policies
sed -i 's/^  listen: any/  loopback: [7002]\n&/' $w/policy.yaml
attach_host
at_first=$(all_links)
another_deb 0.1.0+1
another_deb 0.1.0+2 "$EGRESSCTL_BUILD/selftests/egressd_other"
installed
begin_probe
begin_download
upgraded
refused
removed
finish

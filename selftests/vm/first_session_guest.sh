#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# In the VM, for first_session.sh: a Debian with nothing of egressctl but the package beside this
# script. What somebody types who meets it for the first time, and all that is printed, as on two
# terminals. What goes wrong ends it, on standard error.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 TERM=dumb
unset "${!EGRESSCTL_@}"
here=$(dirname "$0")
said=/run/said

# A host that serves prices, which no policy names: a network namespace of its own.
prices() {
	ip netns add shop
	ip link add shop type veth peer name eth0 netns shop
	ip addr add 203.0.113.1/24 dev shop
	ip link set shop up
	ip -n shop addr add 203.0.113.9/24 dev eth0
	ip -n shop link set eth0 up
	mkdir /srv/prices
	printf 'apple 3\npear 4\n' >/srv/prices/today
	ip netns exec shop python3 -m http.server --bind 203.0.113.9 -d /srv/prices 8000 \
		>/dev/null 2>&1 </dev/null &
	until ip netns exec shop ss -Htln "sport = :8000" | grep -q .; do :; done
}

project() {
	useradd -m -s /bin/bash me
	su - me -c 'mkdir -p .ssh shop && echo not for agents >.ssh/id_ed25519 && cd shop &&
		echo flask >requirements.txt &&
		echo "curl -sS http://203.0.113.9:8000/today -o today && sort -k 2 today" >prices.sh'
}

# root COMMAND…, me COMMAND…: typed by them
root() {
	printf '# %s\n' "$*"
	(cd /srv && eval "$*") 2>&1 </dev/null
}

me() {
	printf '$ %s\n' "$*"
	su -c "cd ~/shop && $*" me 2>&1 </dev/null
}

# in_sandbox COMMAND…: typed to the shell that runs there; returns when it waits for the next one. The
# status of the command is $want, or 0.
in_sandbox() {
	printf 'agent$ %s\n' "$*"
	printf '%s\necho done $?\n' "$*" >&"$shell"
	while IFS= read -r line <&"$answers" && [ "${line%% *}" != "done" ]; do
		printf '%s\n' "$line"
	done
	[ "${line-}" = "done ${want-0}" ] || { echo "status: ${line-none}" >&2; exit 1; }
}

begin_sandbox() { # COMMAND…
	printf '$ %s\n' "$*"
	mkfifo $said.in $said.out
	exec {shell}<>$said.in {answers}<>$said.out
	su -c "cd ~/shop && exec $*" me <$said.in >$said.out 2>&1 {shell}>&- {answers}<&- &
	sandbox=$!
}

end_sandbox() {
	echo 'agent$ exit'
	echo 'echo end; exit' >&"$shell"
	while IFS= read -r line <&"$answers" && [ "$line" != end ]; do :; done
	wait $sandbox
	echo end >&"$answers"
	while IFS= read -r line <&"$answers" && [ "$line" != end ]; do
		printf '%s\n' "$line"
	done
}

echo nameserver 203.0.113.53 >/etc/resolv.conf
prices
project
cp "$here"/egressctl_*.deb /srv
chmod 644 /srv/egressctl_*.deb
name=$(basename /srv/egressctl_*.deb)

root apt-get -q -y install "./$name"
root egressctl doctor
me egressctl init agent
begin_sandbox egressctl run -p ./egressctl.yaml -- bash
want=1 in_sandbox cat '~/.ssh/id_ed25519'
want=7 in_sandbox sh prices.sh
in_sandbox egressctl why 1
echo '(another terminal)'
me egressctl ps
me egressctl allow last
echo '(and back)'
in_sandbox sh prices.sh
want=1 in_sandbox cat '~/.ssh/id_ed25519'
end_sandbox
me egressctl log

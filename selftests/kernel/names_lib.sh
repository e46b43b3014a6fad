# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Sourced by the tests of names: a site on the other side of a link, with dnsmasq, nginx and a
# sniffer, and what they saw.
#
#	203.0.113.9 .10 .53, 2001:db8:1::9 ::53, 8.8.8.8, 2001:4860:4860::8888	all of it is the site
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"

here=$(dirname "$(readlink -f "$0")")
python=/usr/bin/python3 # the system's: a sandbox may read it
site=203.0.113.9
site6=2001:db8:1::9

names_end() {
	[ -e $w/sniff.pid ] && kill "$(cat $w/sniff.pid)"
	[ -e $w/dnsmasq.pid ] && kill "$(cat $w/dnsmasq.pid)"
	[ -e $w/proxy.pid ] && kill "$(cat $w/proxy.pid)"
	[ -e $w/nginx.pid ] && kill "$(cat $w/nginx.pid)"
	ip netns del site
	ip netns del other
	[ -e $w/resolv.conf ] && cat $w/resolv.conf >/etc/resolv.conf
} 2>/dev/null

bail() {
	echo "Bail out! $*"
	exit 1
}

link_site() {
	modprobe veth
	ip link set lo up
	ip netns add site && ip -n site link set lo up &&
		ip link add site0 type veth peer name eth0 netns site &&
		ip addr add 203.0.113.1/24 dev site0 &&
		ip addr add 2001:db8:1::1/64 dev site0 nodad && ip link set site0 up || return
	for a in 203.0.113.9/24 203.0.113.10/24 203.0.113.53/24 8.8.8.8/32; do
		ip -n site addr add $a dev eth0 || return
	done
	for a in 2001:db8:1::9/64 2001:db8:1::53/64 2001:4860:4860::8888/128; do
		ip -n site addr add $a dev eth0 nodad || return
	done
	ip -n site link set eth0 up &&
		ip route add 8.8.8.8 via 203.0.113.9 &&
		ip route add 2001:4860:4860::8888 via $site6
}

# Another namespace for sandboxes, with a link of its own to the site.
link_other() {
	ip netns add other && ip -n other link set lo up &&
		ip -n other link add eth0 type veth peer name other0 netns site &&
		ip -n other addr add 198.51.100.2/24 dev eth0 && ip -n other link set eth0 up &&
		ip -n site addr add 198.51.100.1/24 dev other0 && ip -n site link set other0 up &&
		ip -n other route add default via 198.51.100.1
}

start_sniffer() {
	mkfifo $w/flushed || return
	exec 7<>$w/flushed
	ip netns exec site $python "$here/work/names_sniff.py" $w/frames $w/flows $w/flushed \
		"$(nproc)" </dev/null &
	echo $! >$w/sniff.pid
	read -r -t 120 <&7
}

# What was sent before the call is in $w/frames and $w/flows when it returns.
flush_sniffer() {
	local cpu
	for ((cpu = 0; cpu < $(nproc); cpu++)); do
		taskset -c $cpu bash -c "echo egressctl-marker >/dev/udp/$site/9"
	done
	read -r -t 120 <&7 || echo "# the sniffer is gone"
}

forget_seen() {
	flush_sniffer
	: >$w/frames
	: >$w/flows
	: >$w/dnsmasq.log
}

# sniffed TEXT: somewhere in what arrived at the site
sniffed() {
	flush_sniffer
	grep -qaiF -- "$1" $w/frames
}

# reached PATTERN: a TCP or UDP packet, see names_sniff.py
reached() {
	flush_sniffer
	grep -q -- "$1" $w/flows
}

start_dnsmasq() {
	cat >$w/dnsmasq.conf <<-END
		user=root
		no-resolv
		no-hosts
		no-daemon
		local=/test/
		log-queries
		log-facility=$w/dnsmasq.log
		pid-file=$w/dnsmasq.pid
		local-ttl=300
		host-record=good.example.test,$site,$site6
		host-record=bad.example.test,$site,$site6
		host-record=other.example.test,203.0.113.10
		host-record=plain.example.test,$site
		host-record=proxy.example.test,$site
		host-record=ssh.example.test,$site
		cname=alias.example.test,bad.example.test
		txt-record=good.example.test,hello
		mx-host=good.example.test,good.example.test,10
		srv-host=_http._tcp.good.example.test,good.example.test,80
		address=/wild.test/$site
		address=/evil.test/203.0.113.10
		txt-record=evil.test,hello
		host-record=p10.priv.test,10.1.2.3
		host-record=p127.priv.test,127.0.0.1
		host-record=meta.priv.test,169.254.169.254
		host-record=any.priv.test,0.0.0.0
		host-record=p6.priv.test,::1
		host-record=mapped.priv.test,::ffff:10.1.2.3
		host-record=unique.priv.test,fd00::1
		host-record=mixed.priv.test,$site
		host-record=mixed.priv.test,10.1.2.3
		host-record=open.priv2.test,10.1.2.3
		host-record=metadata.priv2.test,169.254.169.254
	END
	sed -i /no-daemon/d $w/dnsmasq.conf
	ip netns exec site dnsmasq -C $w/dnsmasq.conf || return
	cat /etc/resolv.conf >$w/resolv.conf 2>/dev/null
	echo nameserver 203.0.113.53 >/etc/resolv.conf
}

# An HTTP proxy at port 3128, and a service at 22 that speaks first.
start_proxy() {
	ip netns exec site $python "$here/work/names_proxy.py" $w/flushed </dev/null &
	echo $! >$w/proxy.pid
	read -r -t 120 <&7
}

start_nginx() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-keyout $w/key.pem -out $w/cert.pem -subj /CN=site \
		-addext "subjectAltName=DNS:*.example.test,DNS:evil.test" 2>/dev/null
	chmod 644 $w/cert.pem
	cat >$w/nginx.conf <<-END
		worker_processes 1;
		error_log $w/nginx.log;
		pid $w/nginx.pid;
		events {}
		http {
			access_log $w/access.log;
			keepalive_timeout 3600s; # connections wait for egressd here
			ssl_certificate $w/cert.pem;
			ssl_certificate_key $w/key.pem;
			server {
				listen 443 ssl http2;
				listen [::]:443 ssl http2;
				listen 8443 ssl;
				listen 80;
				listen [::]:80;
				location / { return 200 "site \$host\n"; }
			}
		}
	END
	ip netns exec site nginx -c $w/nginx.conf
}

# Lines "ok NAME" and "not ok NAME # why" of a program that checks many things: results of ours.
# Nothing counts when the program did not say that it came to its end.
results_of() { # file prefix
	local line end=1
	while IFS= read -r line; do
		case $line in
		"ok "*) result 0 "$2: ${line#ok }" ;;
		"not ok "*)
			n=$((n + 1)) failed=1
			echo "not ok $n - $2: ${line#not ok }"
			;;
		end) end=0 ;;
		*) echo "# $line" ;;
		esac
	done <"$1"
	result $end "$2: came to its end"
}

event() { grep '"op"' $w/err | grep -Eq -- "$1"; }
no_event() { ! grep -q '"op"' $w/err; }

# refuses NAME STATUS EVENT: the last run ended with this status, and an event matches
refuses() {
	is "$2" && event "$3"
	result $? "$1"
}

# loads NAME TEXT: the last run succeeded with this text, and nothing was refused
loads() {
	is 0 && out "$2" && no_event
	result $? "$1"
}

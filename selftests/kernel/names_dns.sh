# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Part of names_live_test.sh.
#
# DNS of sandboxes: whatever server a program asks, by whatever call, the resolver of its
# sandbox answers, and refused names leave the host in no form. With a real dnsmasq, its log
# and a sniffer before it.

nonce=n0n$$ce

dns_policies() {
	cat >$w/policy.yaml <<-END
		version: 1
		extends: [base]
		files: {$w/work: rwxc}
		egress:
		  allow:
		    - good.example.test
		    - alias.example.test
		    - _http._tcp.good.example.test
		    - "*.wild.test"
		    - "*.priv.test"
		    - {host: "*.priv2.test", private: true}
	END
	sed 's,allow:,&\n    - 10.1.2.0/24:443\n    - "[fd00::]/16:443",' $w/policy.yaml \
		>$w/ranges.yaml
}

dns_control() {
	$python "$here/work/names_dns.py" outside $nonce >$w/out 2>$w/err
	results_of $w/out control
	sniffed "$nonce"
	result $? "control: the sniffer sees names"
	grep -q "$nonce.evil.test" $w/dnsmasq.log
	result $? "control: and so does the server's log"
	forget_seen
}

# What refused names must not have done, whoever asked.
nothing_left() {
	! sniffed "$nonce"
	result $? "$1: no refused name left the host"
	! grep -q "$nonce" $w/dnsmasq.log
	result $? "$1: nor is one in the server's log"
	! reached '^... \(8.8.8.8\|2001:4860\)'
	result $? "$1: no other server was asked"
}

whole_sandbox() {
	cp "$here/work/names_dns.py" $w/work
	run -v --json -- $python names_dns.py inside $nonce
	results_of $w/out "root"
	nothing_left root
	sniffed wild
	result $? "allowed names went to the host's server"
	! sniffed "option"
	result $? "without the options of the program"
	! grep -q '[A-Z]\.[eE]xample' $w/dnsmasq.log && ! grep -qa 'GOOD' $w/dnsmasq.log
	result $? "and in lower case"
	check "an event for refused names" event "\"op\":\"resolve\".*$nonce\.evil\.test"
	check "an event for a resolver's other port" event '"op":"connect".*"port":853'
	forget_seen
}

egress_only() {
	cp "$here/work/names_dns.py" $w/home && chmod 644 $w/home/names_dns.py
	(cd / && as_tester env EGRESSCTL_POLICY_DIR=$w/policies $w/egressctl run -v --json \
		-p $w/policy.yaml --egress-only -- $python $w/home/names_dns.py ways $nonce) \
		>$w/out 2>$w/err </dev/null
	results_of $w/out "a user, --egress-only"
	nothing_left "a user, --egress-only"
	forget_seen
}

other_namespace() {
	(cd $w/work && exec ip netns exec other "$egressctl" run -v --json -p $w/policy.yaml -- \
		$python names_dns.py other $nonce) >$w/out 2>$w/err </dev/null
	results_of $w/out "another namespace"
	nothing_left "another namespace"
	(cd $w/work && exec ip netns exec other "$egressctl" run -v --json -p $w/policy.yaml -- \
		curl -sS -m 60 --cacert cert.pem -4 https://good.example.test/) >$w/out 2>$w/err
	status=$?
	loads "another namespace: a site by name" 'site good.example.test'
}

dns_clients() {
	run -v --json -- dig +short good.example.test @8.8.8.8
	loads "dig" "^$site$"
	run -v --json -- dig +short +tcp good.example.test AAAA @2001:4860:4860::8888
	loads "dig, TCP, IPv6" "^$site6$"
	run -v --json -- dig $nonce.evil.test @9.9.9.9
	out NXDOMAIN && out 'EDE: 15' && out '9.9.9.9#53' &&
		event "\"op\":\"resolve\".*$nonce\.evil\.test"
	result $? "dig shows a refused name as refused, by the server it asked"
	run -v --json -- getent ahosts good.example.test
	loads "getent, which tries the addresses" "$site"
	run -v --json -- getent ahosts localhost
	loads "and those of localhost" 127.0.0.1
	run -v --json -- node -e "
		const r = new (require('dns').promises.Resolver)();
		r.setServers(['8.8.8.8']);
		r.resolve4('good.example.test').then(a => console.log(a),
			e => console.log(e));
		r.resolve4('$nonce.evil.test').then(a => console.log(a),
			e => console.log(e.code));"
	is 0 && out "$site" && out ENOTFOUND && event "$nonce\.evil\.test"
	result $? "node with c-ares"
	nothing_left clients
	forget_seen
}

# private NAME TYPE: its address is taken out of the answer, with an event
private() {
	run -v --json -- dig +noall +answer +comments "$1" "$2" @8.8.8.8
	is 0 && out 'status: NOERROR' && ! out "IN.$2" && event "$1.*\"reason\":\"private\"" &&
		out 'EDE: 15'
	result $? "an answer that leads inside: $1 $2"
}

rebinding() {
	private p10.priv.test A
	private p127.priv.test A
	private meta.priv.test A
	private any.priv.test A
	private p6.priv.test AAAA
	private mapped.priv.test AAAA
	private unique.priv.test AAAA
	run -v --json -- dig +short mixed.priv.test @8.8.8.8
	out "^$site$" && ! out '^10\.' && event 'mixed.priv.test.*"reason":"private"'
	result $? "only the address that leads inside is taken out"
	run -v --json -- dig +short open.priv2.test @8.8.8.8
	loads "private: true leaves it in" '^10.1.2.3$'
	(cd $w/work && exec "$egressctl" run -v --json -p $w/ranges.yaml -- \
		sh -c 'dig +short p10.priv.test; dig +short unique.priv.test AAAA') >$w/out 2>$w/err
	status=$?
	is 0 && out '^10.1.2.3$' && out '^fd00::1$' && no_event
	result $? "and so does a rule for the address"
}


# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Part of names_live_test.sh.
#
# Two sites behind one address, nginx with TLS and without: the allowed one loads, the other
# does not, whatever the client. Proxies, services without TLS, and egressd killed in between.

sites_policies() {
	cat >$w/policy.yaml <<-END
		version: 1
		extends: [base]
		files: {$w/work: rwxc}
		egress:
		  allow:
		    - good.example.test
		    - good.example.test:80
		    - ssh.example.test:22
		    - {host: proxy.example.test, ports: [3128], proxy: true}
	END
	sed 's,allow:,&\n    - {host: bad.example.test\, tls: off},' $w/policy.yaml >$w/off.yaml
}

sites() { run -v --json -- "$@"; }
fetch() { sites curl -sS -m 60 --cacert cert.pem "$@"; }
# The allowed name is resolved and its address used; the site that is meant is another.
other() { # NAME PORT
	echo --connect-to "$1:$2:good.example.test:$2"
}

web() {
	curl -sS -m 60 --cacert $w/cert.pem https://good.example.test/ >$w/out 2>&1 &&
		out 'site good' &&
		curl -sS -m 60 --cacert $w/cert.pem https://bad.example.test/ >$w/out 2>&1 &&
		out 'site bad'
	result $? "control: both sites load outside"
	fetch https://good.example.test/
	loads "curl: the allowed site" 'site good.example.test'
	fetch -6 https://good.example.test/
	loads "curl: the allowed site over IPv6" 'site good.example.test'
	fetch https://bad.example.test/
	refuses "curl: the other does not resolve" 6 '"op":"resolve".*bad.example.test'
	forget_seen
	# shellcheck disable=SC2046
	fetch $(other bad.example.test 443) https://bad.example.test/
	refuses "curl: the other at the address of the allowed one" 35 \
		'"op":"server-name".*bad.example.test.*"reason":"rule"'
	! reached "^tcp [0-9a-f.:]*:443 data [1-9]" && ! sniffed bad.example
	result $? "and not a byte of it arrives"
	fetch --resolve bad.example.test:443:203.0.113.10 https://bad.example.test/
	refuses "curl: at an address that was not resolved" 7 '"op":"connect".*203.0.113.10'
	! reached '203.0.113.10:443'
	result $? "and no packet of it arrives"
	fetch --tls-max 1.2 https://good.example.test/
	loads "curl: TLS 1.2" 'site good.example.test'
	fetch http://good.example.test/
	loads "curl: plain HTTP" 'site good.example.test'
	fetch -H 'Host: bad.example.test' http://good.example.test/
	refuses "curl: plain HTTP, another host" 56 '"op":"server-name".*bad.example.test'
	fetch -k https://$site/
	refuses "curl: an address that this sandbox has not resolved" 7 '"op":"connect".*'$site
	fetch -k "https://good.example.test/" -o /dev/null --next -k https://$site/
	refuses "curl: the address without a name" 35 '"op":"server-name".*"reason":"no-name"'
	(cd $w/work && exec "$egressctl" run -v --json -p $w/off.yaml -- \
		curl -sS -m 60 --cacert cert.pem https://bad.example.test/) >$w/out 2>$w/err
	status=$?
	loads "tls: off: the other site too" 'site bad.example.test'
}

clients() {
	sites $python names_sites.py tls good.example.test 443 good.example.test cert.pem
	loads "python: the allowed site" 'site good.example.test'
	sites $python names_sites.py tls good.example.test 443 bad.example.test cert.pem
	refuses "python: the other sees ECONNABORTED" 1 '"op":"server-name".*bad.example.test' &&
		out ECONNABORTED
	out ECONNABORTED
	result $? "by that name"
	sites $python names_sites.py cuts good.example.test 443 good.example.test cert.pem
	loads "python: hellos cut in two" '^site good.example.test$'
	sites $python names_sites.py silent good.example.test 443 good.example.test cert.pem
	is 1 && out ECONNABORTED && event '"op":"server-name".*"reason":"no-name"'
	result $? "a hello whose rest never comes ends with ECONNABORTED"
	sites $python names_sites.py keep good.example.test 80 bad.example.test
	is 1 && out 'site good.example.test' && ! out 'site bad' && out ECONNABORTED &&
		event '"op":"server-name".*bad.example.test'
	result $? "a second request on a connection, for the other site"
	sites openssl s_client -connect good.example.test:443 -servername good.example.test \
		-CAfile cert.pem -verify_return_error
	is 0 && out 'Verification: OK' && no_event
	result $? "openssl: the allowed site"
	sites openssl s_client -connect good.example.test:443 -servername bad.example.test
	refuses "openssl: the other" 1 '"op":"server-name".*bad.example.test'
	sites openssl s_client -connect good.example.test:443 -noservername
	refuses "openssl: no name" 1 '"op":"server-name".*"reason":"no-name"'
	sites node -e "
		const t = require('tls'), ca = require('fs').readFileSync('cert.pem');
		const go = n => new Promise(done => {
			const s = t.connect({host: 'good.example.test', port: 443, ca,
				servername: n}, () => { s.destroy(); done(n + ' loads'); });
			s.on('error', e => done(n + ' ' + e.code));
		});
		go('good.example.test').then(a => { console.log(a);
			return go('bad.example.test'); }).then(a => console.log(a));"
	is 0 && out 'good.example.test loads' && out 'bad.example.test ECONNABORTED' &&
		event '"op":"server-name".*bad.example.test'
	result $? "node: the allowed site and the other"
}

services() {
	sites $python -c "
import socket
s = socket.create_connection(('ssh.example.test', 22), 60)
print(s.recv(100)); s.sendall(b'SSH-2.0-client'); print(s.recv(100))"
	loads "port 22: the server speaks first, then the client" 'SSH-2.0-client'
	fetch https://bad.example.test:22/ --connect-to ::ssh.example.test:22
	refuses "port 22: a hello is judged all the same" 35 '"op":"server-name".*bad.example.test'
	fetch -p -x http://proxy.example.test:3128 https://good.example.test/
	loads "proxy: CONNECT to the allowed site" 'site good.example.test'
	fetch -x http://proxy.example.test:3128 http://good.example.test/
	loads "proxy: a request for the allowed site" 'site good.example.test'
	fetch -p -x http://proxy.example.test:3128 https://bad.example.test/
	refuses "proxy: CONNECT to the other" 56 '"op":"server-name".*bad.example.test'
	fetch -x http://proxy.example.test:3128 http://bad.example.test/
	refuses "proxy: a request for the other" 56 '"op":"server-name".*bad.example.test'
	sites $python -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'initial', (socket.gethostbyname('good.example.test'), 443))"
	refuses "QUIC" 1 '"port":443,"protocol":"udp"'
	! reached '^udp [0-9a-f.:]*:443'
	result $? "and no datagram of it arrives"
}

# An ordinary user's; egressd is killed while it runs, and started again.
restart() {
	mkfifo $w/home/fifo $w/home/go && chown $uid:$uid $w/home/fifo $w/home/go
	(cd / && exec setpriv --reuid=$uid --regid=$uid --init-groups --reset-env -- \
		env EGRESSCTL_POLICY_DIR=$w/policies $w/egressctl run -v --json \
		-p $w/policy.yaml --egress-only -- bash -c "
			go() { curl -sS -m 60 --cacert $w/cert.pem \$*; }
			go https://good.example.test/
			echo first >$w/home/fifo; read -r _ <$w/home/go
			go --resolve good.example.test:443:$site https://good.example.test/
			# nobody is there to end it; the limit decides nothing
			go https://bad.example.test/ --connect-to ::$site:443 -m 2
			echo second >$w/home/fifo; read -r _ <$w/home/go
			go -4 http://good.example.test/; echo last \$?
			go https://bad.example.test/; echo bad \$?") >$w/out 2>$w/err </dev/null &
	launcher=$!
	read -r _ <$w/home/fifo
	stop_service KILL
	echo go >$w/home/go
	read -r _ <$w/home/fifo
	[ "$(grep -c '^site good' $w/out)" = 2 ] && ! out 'site bad'
	result $? "egressd is dead: what was resolved works, the other site does not"
	start_service || bail "egressd does not start again"
	echo go >$w/home/go
	wait_launcher
	out 'last 0' && [ "$(grep -c '^site good' $w/out)" = 3 ]
	result $? "egressd is back: names work"
	out 'bad 6'
	result $? "and others are refused"
}


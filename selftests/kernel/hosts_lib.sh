# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Sourced by tests of names with real clients: a network namespace of the test's own with a host that
# answers for many sites, the resolver that knows them, and the authority that vouches for them. It
# needs nothing of the machine but root, so that it serves without a VM as well. No packet leaves.

hosts_site=192.0.2.80        # of every name in $hosts/www
hosts_resolver=192.0.2.53
hosts_foreign=203.0.113.66   # a host that no policy names; serves the same, and DNS

# hosts_enter ARGUMENT…: begin the script again in namespaces of its own
hosts_enter() {
	[ -z "${HOSTS_ENTERED-}" ] || return 0
	HOSTS_ENTERED=1 exec unshare --mount --net -- "$(readlink -f "$0")" "$@"
}

# hosts_instead FILE SYSTEM-FILE: the one is in the place of the other
hosts_instead() {
	local over
	over=$(realpath -m "$2")
	[ -e "$over" ] || install -D /dev/null "$over"
	mount --bind "$1" "$over"
}

hosts_network() {
	mkdir -p /run/netns
	mount -t tmpfs -o mode=755 hosts /run/netns # ends with the mount namespace
	ip link set lo up
	ip netns add hosts
	ip link add hosts type veth peer name eth0 netns hosts
	ip addr add 192.0.2.1/24 dev hosts
	ip link set hosts up
	ip -n hosts link set lo up
	for address in 192.0.2.2/24 $hosts_site/24 $hosts_resolver/24 $hosts_foreign/32; do
		ip -n hosts addr add $address dev eth0
	done
	ip -n hosts link set eth0 up
	ip route add default via 192.0.2.2
	echo "nameserver $hosts_resolver" >"$hosts/resolv.conf"
	hosts_instead "$hosts/resolv.conf" /etc/resolv.conf
}

# One certificate for all of them, of an authority that is the only one trusted here.
hosts_certificate() { # NAME…
	local alt
	alt=$(printf ',DNS:%s' "$@")
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=authority of the tests" -keyout "$hosts/ca.key" -out "$hosts/ca.pem" &&
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=site \
			-keyout "$hosts/site.key" -out "$hosts/site.csr" &&
		openssl x509 -req -in "$hosts/site.csr" -CA "$hosts/ca.pem" -CAkey "$hosts/ca.key" \
			-CAcreateserial -days 2 -extfile <(echo "subjectAltName=${alt#,}") \
			-out "$hosts/site.pem"
} 2>>"$hosts/openssl.log"

hosts_trust() {
	hosts_instead "$hosts/ca.pem" /etc/ssl/certs/ca-certificates.crt
	# those that bring a list of their own
	export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
	export PIP_CERT=$NODE_EXTRA_CA_CERTS CARGO_HTTP_CAINFO=$NODE_EXTRA_CA_CERTS
}

hosts_nginx() {
	cat >"$hosts/nginx.conf" <<-END
		worker_processes 1;
		user root;
		pid $hosts/nginx.pid;
		error_log $hosts/nginx-error.log;
		events { worker_connections 64; }
		http {
			log_format site "\$host \$uri";
			access_log $hosts/visits site;
			client_body_temp_path $hosts/t1;
			proxy_temp_path $hosts/t2;
			fastcgi_temp_path $hosts/t3;
			uwsgi_temp_path $hosts/t4;
			scgi_temp_path $hosts/t5;
			types { text/html html; application/json json; }
			default_type application/octet-stream;
			server {
				listen 443 ssl;
				listen 80;
				ssl_certificate $hosts/site.pem;
				ssl_certificate_key $hosts/site.key;
				root $hosts/www/\$host;
				location / { try_files \$uri \$uri/index.html \$uri/index.json =404; }
			}
		}
	END
	ip netns exec hosts nginx -c "$hosts/nginx.conf" -e "$hosts/nginx-error.log"
}

hosts_dnsmasq() { # NAME…
	local name records=()
	for name in "$@"; do
		records+=("--host-record=$name,$hosts_site" "--local=/$name/")
	done
	# No cache and a log of every question: what is not in it was not asked.
	ip netns exec hosts dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --user=root \
		--pid-file="$hosts/dnsmasq.pid" --listen-address=$hosts_resolver \
		--listen-address=$hosts_foreign --bind-interfaces --cache-size=0 \
		--log-queries --log-facility="$hosts/questions" "${records[@]}"
}

# hosts_begin DIRECTORY: serve DIRECTORY/www/NAME/… for every NAME. Both servers are ready when they
# go into the background, so that nothing is waited for.
hosts_begin() {
	local names
	hosts=$1
	mapfile -t names < <(ls "$hosts/www")
	umask 022
	hosts_network && hosts_certificate "${names[@]}" && hosts_trust && hosts_nginx &&
		hosts_dnsmasq "${names[@]}"
}

hosts_end() {
	kill "$(cat "$hosts/nginx.pid")" "$(cat "$hosts/dnsmasq.pid")"
} 2>/dev/null

# Forget what was asked and visited until now; both append.
hosts_forget() {
	: >"$hosts/questions"
	: >"$hosts/visits"
}

# hosts_asked NAME, hosts_visited NAME: since hosts_forget
hosts_asked() { grep -q "query\[[A-Z]*\] $1 " "$hosts/questions"; }
hosts_visited() { grep -q "^$1 " "$hosts/visits"; }

# ---- what registries serve -----------------------------------------------------------

# hosts_npm NAME VERSION: a package in registry.npmjs.org
hosts_npm() {
	local top=$hosts/www/registry.npmjs.org new=$hosts/new
	mkdir -p "$top/$1/-" "$new"
	printf '{"name":"%s","version":"%s"}\n' "$1" "$2" >"$new/package.json"
	echo "module.exports = '$2';" >"$new/index.js"
	tar -C "$hosts" --transform 's,^new,package,' -czf "$top/$1/-/$1-$2.tgz" new
	rm -r "$new"
	cat >"$top/$1/index.json" <<-END
		{"name": "$1", "dist-tags": {"latest": "$2"}, "versions": {"$2": {
		 "name": "$1", "version": "$2", "dist": {
		 "tarball": "https://registry.npmjs.org/$1/-/$1-$2.tgz",
		 "shasum": "$(sha1sum <"$top/$1/-/$1-$2.tgz" | cut -d' ' -f1)"}}}}
	END
}

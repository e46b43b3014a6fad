#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The shipped policies of destinations at work, with the clients they are for: what the registries have
# is fetched without a violation, and a host that no rule names is neither asked for nor reached. Hosts
# of the test's own answer for the registries, behind one address, as behind a CDN's.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
# shellcheck source=selftests/kernel/hosts_lib.sh
. "$(dirname "$(readlink -f "$0")")/hosts_lib.sh"
# shellcheck source=selftests/kernel/registries_lib.sh
. "$(dirname "$(readlink -f "$0")")/registries_lib.sh"

hosts_enter
home=$w/home # of the user in /etc/passwd, which is what ~ means
toolchain=$home/.rustup/toolchain
foreign=tracker.example

# run POLICY… -- COMMAND…: as an ordinary user through egressd, in an empty workspace; output in $out,
# violations in $log, status in $status
run() {
	local policies=()
	while [ "$1" != -- ]; do
		policies+=(-p "$1")
		shift
	done
	shift
	rm -rf "$home/wt"
	cp -r "$w/wt" "$home/wt"
	chown -R $uid:$uid "$home/wt"
	hosts_forget
	out=$(cd "$home/wt" && setpriv --reuid=$uid --regid=$uid --init-groups -- \
		env -i HOME="$home" PATH="$toolchain/bin:/usr/local/bin:/usr/bin:/bin" LANG=C.UTF-8 \
		NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS" PIP_CERT="$PIP_CERT" \
		CARGO_HTTP_CAINFO="$CARGO_HTTP_CAINFO" EGRESSCTL_POLICY_DIR=$w/policies \
		$w/egressctl run --json -v "${policies[@]}" -- "$@" 2>&1 >"$w/stdout" </dev/null)
	status=$?
	log=$(grep '"op"' <<<"$out")
}

complain() {
	printf '%s\n' "status $status" "$out" "$(cat "$w/stdout" "$hosts/visits")" | sed 's/^/# /'
}

# fetched NAME FILE HOST…: the last run ended well, left FILE in the workspace (- for none), nothing was
# refused, and it came from HOST
fetched() {
	local name=$1 file=$2 host ok
	shift 2
	[ "$status" -eq 0 ] && [ -z "$log" ]
	ok=$?
	[ "$file" = - ] || [ -e "$home/wt/$file" ] || ok=1
	for host; do
		hosts_visited "$host" || ok=1
	done
	[ $ok -eq 0 ] || complain
	result $ok "$name"
}

# refuses POLICY…: a host that no rule names, by its name and as one of an allowed name's address
refuses() {
	local via=$1 ok
	shift
	run "$@" -- sh -c "! curl -sS -m 60 https://$foreign/ &&
		! curl -sS -m 60 --connect-to $foreign:443:$via:443 https://$foreign/"
	[ "$status" -eq 0 ] && [ ! -s "$w/stdout" ] &&
		grep -q "\"op\":\"resolve\",\"name\":\"$foreign\"" <<<"$log" &&
		grep -q "\"op\":\"server-name\".*\"server_name\":\"$foreign\"" <<<"$log" &&
		! hosts_asked $foreign && ! hosts_visited $foreign && hosts_asked "$via"
	ok=$?
	[ $ok -eq 0 ] || complain
	result $ok "${*: -1}: a foreign host is refused by name, and as another name of an allowed address"
}

# with_curl POLICY URL…
with_curl() {
	local policy=$1 urls=() from=() url
	shift
	for url; do
		urls+=(-o /dev/null "$url")
		url=${url#*://}
		from+=("${url%%/*}")
	done
	run agent "$policy" -- curl -sSf -m 60 "${urls[@]}"
	fetched "$policy: curl fetches from ${from[*]}" - "${from[@]}"
}

prepare # of launch_lib: the user
mkdir -p $w/hosts $w/wt
hosts=$w/hosts
registries
registries_toolchain "$toolchain"
hosts_begin $w/hosts || { echo "Bail out! the test network does not start"; exit 1; }
# the tree may lie where an ordinary user may not look
cp "$egressctl" $w
cp -r "$EGRESSCTL_POLICY_DIR" $w/policies
chmod -R a+rX $w/policies
start_service || { echo "Bail out! egressd does not start"; exit 1; }

curl -sSf -o /dev/null https://$foreign/ && hosts_visited $foreign && hosts_asked $foreign
result $? "control: the foreign host answers outside"

run agent npm -- npm install tiny-package
fetched "npm: npm installs a package" node_modules/tiny-package/index.js registry.npmjs.org
refuses registry.npmjs.org agent npm

run agent pip -- /usr/bin/python3 -m pip install -q --target lib tiny-package
fetched "pip: pip installs a package" lib/tiny_package.py pypi.org files.pythonhosted.org
refuses pypi.org agent pip

run agent git-hosting -- git clone -q https://github.com/tiny/package.git
fetched "git-hosting: git clones" package/README github.com
with_curl git-hosting https://codeload.github.com/index.html \
	https://raw.githubusercontent.com/index.html https://gitlab.com/index.html
refuses github.com agent git-hosting

run ci-build apt -- sh -c 'APT_CONFIG=$PWD/apt/config; export APT_CONFIG
	apt-get -q update && apt-get -q download tiny-package'
fetched "apt: apt-get updates and downloads" tiny-package_1.0_all.deb deb.debian.org
refuses deb.debian.org ci-build apt

if [ -x "$toolchain/bin/cargo" ]; then
	run ci-build cargo -- cargo fetch -q
	fetched "cargo: cargo fetches a crate" Cargo.lock index.crates.io static.crates.io
else
	with_curl cargo https://index.crates.io/config.json \
		https://static.crates.io/crates/tiny-package/1.0.0/download
fi
refuses index.crates.io agent cargo

with_curl go https://proxy.golang.org/tiny/@v/list https://sum.golang.org/index.html \
	https://go.dev/index.html
refuses proxy.golang.org agent go

if command -v mvn >/dev/null && registries_java; then
	run ci-build maven -- env MAVEN_OPTS="-XX:TieredStopAtLevel=1 -Duser.home=$home \
		-Djavax.net.ssl.trustStore=trust -Djavax.net.ssl.trustStorePassword=changeit" \
		mvn -B -q validate
	fetched "maven: mvn fetches a parent" - repo.maven.apache.org
fi
with_curl maven https://repo.maven.apache.org/maven2/index.html \
	https://repo1.maven.org/maven2/index.html https://plugins.gradle.org/index.html
refuses repo.maven.apache.org agent maven

with_curl container-registries https://registry-1.docker.io/v2/index.html \
	https://auth.docker.io/index.html https://production.cloudflare.docker.com/index.html \
	https://ghcr.io/index.html https://quay.io/index.html https://registry.k8s.io/index.html
refuses ghcr.io agent container-registries

with_curl common-dependencies https://registry.npmjs.org/tiny-package \
	https://pypi.org/simple/tiny-package/ https://index.crates.io/config.json \
	https://proxy.golang.org/tiny/@v/list https://repo1.maven.org/maven2/index.html \
	http://deb.debian.org/debian/Packages https://github.com/index.html https://quay.io/index.html
refuses quay.io agent common-dependencies

stop_service
hosts_end
finish

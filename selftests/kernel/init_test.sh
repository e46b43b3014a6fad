#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `egressctl init` in five projects, each with the tools it is for: what init says to do next is done,
# word for word. The policy is one that `check` takes, the project's own build runs under it without a
# violation, and a key of the user's and a host that nobody allowed stay out of reach. `make init-test`;
# init_test.sh KIND… tries these alone.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
# shellcheck source=selftests/kernel/hosts_lib.sh
. "$(dirname "$(readlink -f "$0")")/hosts_lib.sh"
# shellcheck source=selftests/kernel/registries_lib.sh
. "$(dirname "$(readlink -f "$0")")/registries_lib.sh"

hosts_enter "$@"
[ $# -gt 0 ] || set -- c npm python rust java
home=$w/home # of the user in /etc/passwd, which is what ~ means
toolchain=$home/.rustup/toolchain
foreign=tracker.example
trust=/etc/egressctl-tests.trust # where a sandbox may read

# user COMMAND: in a shell of the user's, in the project; output in $w/out and $w/err
user() {
	(cd "$home/$project" && exec setpriv --reuid=$uid --regid=$uid --init-groups -- \
		env -i HOME="$home" PATH="$w/bin:$toolchain/bin:/usr/local/bin:/usr/bin:/bin" \
		LANG=C.UTF-8 NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS" PIP_CERT="$PIP_CERT" \
		CARGO_HTTP_CAINFO="$CARGO_HTTP_CAINFO" EGRESSCTL_POLICY_DIR=$w/policies \
		MAVEN_OPTS="-XX:TieredStopAtLevel=1 -Djavax.net.ssl.trustStore=$trust \
			-Djavax.net.ssl.trustStorePassword=changeit" \
		bash -c "$1") >$w/out 2>$w/err </dev/null
	status=$?
}

# next PATTERN: what init said to do next
next() { grep -m1 -- "$1" $w/next; }

# the last line that egressctl prints; what the build prints may be in the middle of others
no_violation() { is 0 && ! grep -q ' refused; see: egressctl log' $w/err; }
made() { compgen -G "$home/$project/$1" >/dev/null; }

# builds NAME FILE HOST…: init, and what it says; FILE (a pattern) is what the build makes, and packages are HOST's
builds() {
	local file=$2 host
	project=$1
	shift 2
	chown -R $uid:$uid "$home/$project"
	user 'egressctl init'
	check "$project: init writes a policy" is 0
	sed -n '/next:$/,$s/^    //p' $w/err >$w/next
	if next '^mkdir ' >/dev/null; then
		user "$(next '^mkdir ')"
		check "$project: directories that it wants are made" is 0
	fi
	user "$(next '^egressctl check ')"
	check "$project: check takes the policy" is 0
	hosts_forget
	user "$(next '^egressctl run ')"
	check "$project: $(next '^egressctl run '): without a violation" no_violation
	check "... which makes $file" made "$file"
	for host; do
		check "... of what $host has" hosts_visited "$host"
	done
	refuses
}

# refuses: under the same policy, what must not be
refuses() {
	hosts_forget
	user "egressctl run -v -p ./egressctl.yaml -- sh -c '
		! cat ~/.ssh/id_ed25519 && ! curl -sS -m 60 https://$foreign/ && ! echo >>egressctl.yaml'"
	is 0 && ! grep -q KEY $w/out && err 'denied open .*/\.ssh/id_ed25519 r' &&
		err "denied resolve $foreign A" && err 'denied open .*/egressctl\.yaml ' &&
		! hosts_asked $foreign && ! hosts_visited $foreign
	result $? "$project: a key, a foreign host and the policy itself are refused"
}

try_npm() {
	mkdir "$home/npm"
	echo '{"name": "app", "version": "1.0.0", "dependencies": {"tiny-package": "^1.0.0"}}' \
		>"$home/npm/package.json"
	builds npm node_modules/tiny-package/index.js registry.npmjs.org
}

try_python() {
	mkdir "$home/python"
	echo tiny-package >"$home/python/requirements.txt"
	builds python '.venv/lib/python3.*/site-packages/tiny_package.py' pypi.org \
		files.pythonhosted.org
}

try_c() {
	mkdir "$home/c"
	echo 'int main(void) { return 0; }' >"$home/c/app.c"
	printf 'app: app.c\n\t$(CC) -o $@ $<\n\nfetch:\n\tcurl -sSfO https://%s/index.html\n' $foreign \
		>"$home/c/Makefile"
	builds c app
	question
}

try_rust() {
	if [ ! -x "$toolchain/bin/cargo" ]; then
		echo "ok $((n += 1)) - rust # SKIP no toolchain on this machine"
		return
	fi
	mkdir "$home/rust"
	cp -r $w/wt/Cargo.toml $w/wt/src "$home/rust"
	builds rust target/debug/app index.crates.io static.crates.io
}

try_java() {
	registries_java
	mkdir "$home/java"
	cp $w/wt/pom.xml "$home/java"
	cp $w/wt/trust $trust
	builds java ../.m2/repository/tiny/parent/1/parent-1.pom repo.maven.apache.org
}

# What a file of the project names is a question, and a rule when somebody says yes.
question() {
	local run='egressctl run -v -p ./egressctl.yaml -- make fetch'
	project=c
	check "a host that a makefile names is a question" grep -q "^#? .*$foreign" \
		"$home/c/egressctl.yaml"
	hosts_forget
	user "$run"
	[ "$status" -ne 0 ] && err "denied resolve $foreign A" && ! hosts_asked $foreign
	result $? "which is refused"
	sed -i 's/^#? //' "$home/c/egressctl.yaml"
	user "$run"
	no_violation && hosts_visited $foreign
	result $? "until the answer is yes"
}

prepare # of launch_lib: the user
mkdir -p $w/hosts $w/wt $w/bin "$home/.ssh"
echo KEY >"$home/.ssh/id_ed25519"
chown -R $uid:$uid "$home"
hosts=$w/hosts
registries
registries_toolchain "$toolchain"
hosts_begin $w/hosts || { echo "Bail out! the test network does not start"; exit 1; }
# the tree may lie where an ordinary user may not look
cp "$egressctl" $w/bin
cp -r "$EGRESSCTL_POLICY_DIR" $w/policies
chmod -R a+rX $w/policies
start_service || { echo "Bail out! egressd does not start"; exit 1; }

curl -sSf -o /dev/null https://$foreign/ && hosts_visited $foreign && hosts_asked $foreign
result $? "control: the foreign host answers outside"

for kind; do
	try_"$kind"
done

stop_service
hosts_end
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Each shipped policy at work: what it is for goes through without a violation,
# what it is against is refused and reported.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"

here=$(dirname "$(readlink -f "$0")")
home=$w/home # of the user in /etc/passwd, which is what ~ means
secret=TOP-SECRET-$$

# run POLICY COMMAND…: as an ordinary user through egressd, in $home/wt;
# output in $out, violations in $log, status in $status
run() {
	local policy=$1
	shift
	out=$(cd "$home/wt" && setpriv --reuid=$uid --regid=$uid --init-groups -- \
		env -i HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin TERM=xterm LANG=C.UTF-8 \
		EGRESSCTL_POLICY_DIR=$w/policies \
		$w/egressctl run --json -v -p "$policy" -- "$@" 2>"$w/log" </dev/null)
	status=$?
	log=$(grep '"op"' "$w/log")
}

complain() { printf '%s\n' "status $status" "$out" "$(cat "$w/log")" | sed 's/^/# /'; }

# no_violation NAME: the last run ended well and nothing was refused
no_violation() {
	[ "$status" -eq 0 ] && [ -z "$log" ]
	local ok=$?
	[ $ok -eq 0 ] || complain
	result $ok "$1"
}

# refused NAME PATTERN: the last run failed, showed no secret, and an event matches
refused() {
	[ "$status" -ne 0 ] && ! grep -q "$secret" <<<"$out" && grep -Eq -- "$2" <<<"$log"
	local ok=$?
	[ $ok -eq 0 ] || complain
	result $ok "$1"
}

prepare_work() {
	mkdir -p "$home/.ssh" "$home/.aws" "$home/repo"
	export HOME=$home GIT_CONFIG_NOSYSTEM=1
	echo "$secret" >"$home/.ssh/id_ed25519"
	echo "$secret" >"$home/.aws/credentials"
	for v in 1.0.0 2.0.0; do
		mkdir "$home/dep"
		echo "{\"name\":\"dep\",\"version\":\"$v\"}" >"$home/dep/package.json"
		echo "exports.version = '$v'" >"$home/dep/index.js"
		(cd "$home/repo" && npm pack --silent "$home/dep" >/dev/null)
		rm -r "$home/dep"
	done
	(
		cd "$home/repo" || exit
		git init -q
		echo readme >README
		mkdir app
		echo '{"name":"app","version":"1.0.0","dependencies":{"dep":"file:../dep-1.0.0.tgz"}}' \
			>app/package.json
		cd app && npm install --no-audit --no-fund --offline --silent && rm -r node_modules && cd ..
		git add -A
		git -c user.name=a -c user.email=a@example.org commit -qm start
		git worktree add -q -b work "$home/wt"
		echo "KEY=$secret" >"$home/wt/.env"
		cp "$here/work/agent_work.sh" "$home/wt/work.sh"
		printf "%s\\n" .env work.sh >>"$(git rev-parse --git-common-dir)/info/exclude"
	) || { echo "Bail out! cannot prepare"; exit 1; }
	chown -R $uid:$uid "$home"
}

prepare # of launch_lib: the user
prepare_work
# the tree may lie where an ordinary user may not look
cp "$egressctl" $w
cp -r "$EGRESSCTL_POLICY_DIR" $w/policies
chmod -R a+rX $w/policies
start_service || { echo "Bail out! egressd does not start"; exit 1; }

# outside, everything that is refused below works: the controls
control=0
[ "$(cat "$home/.ssh/id_ed25519")" = "$secret" ] || control=1
grep -q "$secret" "$home/wt/.env" || control=1
result $control "control: the secrets can be read outside"

run agent sh work.sh
if grep -q '"reason":"failure"' <<<"$log"; then
	# no memory or a busy storage inside the kernel refuses, and says so; not the policy
	echo "# an internal failure was counted: $log"
	rm -rf "$home"/.[a-z]* "$home"/*
	prepare_work
	run agent sh work.sh
fi
no_violation "agent: a day's work in a linked worktree, without a violation"
run agent cat "$home/.ssh/id_ed25519"
refused "agent: a private key" '/home/\.ssh/id_ed25519'
run agent cat .env
refused "agent: .env in the workspace" '/home/wt/\.env'
run agent sh -c "echo x >/etc/egtest"
refused "agent: writing to the system" '/etc/egtest'
run agent bash -c 'exec 3<>/dev/tcp/203.0.113.9/80'
refused "agent: a connection" '"op":"connect"'

run ci-build sh -c 'make -s -f - <<"M"
all:
	gcc -x c -o ci-out - <<<"int main(void){return 0;}" && ./ci-out
SHELL=/bin/bash
M'
no_violation "ci-build: a C build"
run ci-build cat "$home/.aws/credentials"
refused "ci-build: cloud credentials" '/home/\.aws/credentials'

run readonly sh -c 'cat README >/dev/null && ls >/dev/null'
no_violation "readonly: reading the workspace"
run readonly sh -c 'echo x >>README'
refused "readonly: writing the workspace" '/home/wt/README'
run readonly cat "$home/.ssh/id_ed25519"
refused "readonly: a private key" '/home/\.ssh/id_ed25519'

run base sh -c 'ls /usr >/dev/null; t=$(mktemp); echo x >"$t"; rm "$t"; cat /proc/self/status >/dev/null'
no_violation "base: what any program needs to start"
run base cat README
refused "base: nothing else, the workspace included" '/home/wt/README'

printf 'version: 1\nextends: [secrets]\nfiles:\n  default: rwxc\n' >"$home/wt/most.yaml"
run ./most.yaml sh -c 'cat README >/dev/null; ls /etc >/dev/null'
no_violation "secrets: extended by a policy that allows the rest"
run ./most.yaml cat "$home/.aws/credentials"
refused "secrets: cloud credentials" '/home/\.aws/credentials'

run deny-all true
refused "deny-all: not even a command starts" '"op":"exec"'

stop_service
finish

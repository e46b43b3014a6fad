#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# learn and report with real programs: what is learned from a run lets the same run pass
# without a violation, gives nothing it did not see, and never a secret. Hosts of the
# test's own answer for the registries.
# shellcheck source=selftests/kernel/launch_lib.sh
. "$(dirname "$(readlink -f "$0")")/launch_lib.sh"
# shellcheck source=selftests/kernel/hosts_lib.sh
. "$(dirname "$(readlink -f "$0")")/hosts_lib.sh"
# shellcheck source=selftests/kernel/registries_lib.sh
. "$(dirname "$(readlink -f "$0")")/registries_lib.sh"

hosts_enter
home=$w/home # of the user in /etc/passwd, which is what ~ means
learned=$w/learned.yaml

# user COMMAND…: as an ordinary user in the workspace
user() {
	(cd "$home/wt" && setpriv --reuid=$uid --regid=$uid --init-groups -- \
		env -i HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
		NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS" PIP_CERT="$PIP_CERT" \
		npm_config_update_notifier=false \
		EGRESSCTL_POLICY_DIR=$w/policies "$@" </dev/null)
}

fresh() {
	rm -rf "$home/wt" "$home/.npm" "$home/.cache"
	cp -r "$w/wt" "$home/wt"
	chown -R $uid:$uid "$home/wt"
}

complain() { # FILE…
	echo "status $status"
	cat "$@"
} 2>/dev/null

# learns NAME PATTERN -- COMMAND…: a policy that has PATTERN in a line, passes `check`, and
# under which the command runs again without a violation
learns() {
	local name=$1 pattern=$2 ok=0
	shift 3
	rm -f $learned
	fresh
	user $w/egressctl learn -o $learned -- "$@" >$w/out 2>$w/err
	status=$?
	[ $status -eq 0 ] && grep -Eq -- "$pattern" $learned &&
		user $w/egressctl check $learned >>$w/out 2>&1 || ok=1
	fresh
	user $w/egressctl run --json -v -p $learned -- "$@" >$w/out2 2>$w/log
	status=$?
	[ $status -eq 0 ] && ! grep -q '"op"' $w/log || ok=1
	[ $ok -eq 0 ] || complain $w/err $learned $w/log | sed 's/^/# /'
	result $ok "$name: learned, and run again without a violation"
}

prepare # of launch_lib: the user
mkdir -p $w/hosts $w/wt
hosts=$w/hosts
registries
hosts_begin $w/hosts || { echo "Bail out! the test network does not start"; exit 1; }
# the tree may lie where an ordinary user may not look
cp "$egressctl" $w
cp -r "$EGRESSCTL_POLICY_DIR" $w/policies
chmod -R a+rX $w/policies
printf 'int main(void) { return 0; }\n' >$w/wt/main.c
printf 'all: app\n\t./app\napp: main.o\n\tcc -o $@ $^\n' >$w/wt/Makefile
mkdir -p "$home/.ssh"
echo TOP-SECRET >"$home/.ssh/id_ed25519"
chown -R $uid:$uid "$home"
start_service || { echo "Bail out! egressd does not start"; exit 1; }

learns "gcc and make" '\$\{WORKDIR\}/app' -- make -s
learns "curl" '^    - registry.npmjs.org ' -- \
	curl -sSf -m 60 -o got https://registry.npmjs.org/tiny-package
check "curl: the policy has the name and no address" sh -c "! grep -q '203\.0\|198\.51' $learned"
learns "git" '^    - github.com ' -- git clone -q https://github.com/tiny/package.git
learns "pip" '^    - files.pythonhosted.org ' -- \
	/usr/bin/python3 -m pip install -q --target lib tiny-package
learns "npm" '^  ~/.npm: ' -- npm install --no-audit --no-fund tiny-package
learns "a file whose name is a rule" 'x' -- sh -c \
	'printf x >"$(printf "a\\n  /etc/shadow: rwxc\\n\"}: *")"; printf y >"\${HOME}"'
check "a file whose name is a rule: it is none" sh -c "! grep -q '^ */etc/shadow' $learned"

# -- what is asked and not allowed
rm -f $learned
fresh
user $w/egressctl learn -o $learned -- sh -c "cat ~/.ssh/id_ed25519; echo a >one; ls ~ >/dev/null" \
	>$w/out 2>$w/err
status=$?
check "secrets: the file is read, and is a question in the policy" sh -c \
	"grep -q TOP-SECRET $w/out && grep -q '^#.*\.ssh/id_ed25519' $learned &&
	! grep -v '^#' $learned | grep -q ssh && grep -q 'ssh/id_ed25519' $w/err"
user $w/egressctl run -p $learned -- sh -c "ls ~ >/dev/null && ! cat ~/.ssh/id_ed25519 &&
	! cat ~/.profile.none" >$w/out 2>$w/err
status=$?
check "secrets: refused under the learned policy; a home that was listed is listed" sh -c \
	"[ $status -eq 0 ] && ! grep -q TOP-SECRET $w/out"

# -- merging
sed -i 's/^version: 1/version: 1 # mine/' $learned
user $w/egressctl learn -o $learned -- true >$w/out 2>$w/err
status=$?
check "merge: a file that is there is not written over" both 2 "is there already"
cp $learned $home/merged.yaml
chown $uid:$uid $home/merged.yaml
user $w/egressctl learn --merge -o $home/merged.yaml -- sh -c 'echo b >two' >$w/out 2>$w/err
status=$?
check "merge: what a second run needs is added, and what was there stays" sh -c \
	"[ $status -eq 0 ] && grep -q 'WORKDIR}/one' $home/merged.yaml &&
	grep -q 'WORKDIR}/two' $home/merged.yaml && grep -q '# mine' $home/merged.yaml"
user $w/egressctl run --json -v -p $home/merged.yaml -- sh -c 'echo a >one; echo b >two' \
	>$w/out 2>$w/err
status=$?
check "merge: both runs pass under it" sh -c "[ $status -eq 0 ] && ! grep -q '\"op\"' $w/err"

# -- reports
fresh
user $w/egressctl run --name reported --report $home/report.json -p agent -p npm -- sh -c \
	'curl -sSf -m 60 -o got https://registry.npmjs.org/tiny-package; cat ~/.ssh/id_ed25519
	mkdir many; for i in $(seq 40); do echo $i >many/$i; done' >$w/out 2>$w/err
status=$?
cp $home/report.json $w/out
check "report: hosts by name with bytes, paths, programs, what was refused" python3 - $w/out <<-END
	import json, sys
	r = json.load(open(sys.argv[1]))
	host = [h for h in r["hosts"] if "registry.npmjs.org" in h["names"]]
	assert r["complete"] and r["name"] == "reported", r
	assert host and host[0]["bytes_in"] > 500 and host[0]["bytes_out"] > 300, r["hosts"]
	assert any(p.endswith("/curl") for p in r["programs"]), r["programs"]
	assert any(p["path"].endswith("/wt/got") for p in r["paths"]), r["paths"]
	many = [p for p in r["paths"] if "/wt/many" in p["path"]]
	assert len(many) == 1 and many[0]["path"].endswith("/wt/many"), many
	assert many[0]["count"] >= 40, many
	assert any("id_ed25519" in d["example"] and "secrets.yaml" in d["rule"]
	           for d in r["denials"]), r["denials"]
END
user $w/egressctl report --json reported >$w/out2 2>$w/err
check "report: again by its name, after the run" cmp -s $home/report.json $w/out2
user $w/egressctl run --report $home/many.json -p agent -- python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 0))
for i in range(2148):
    s.sendto(b"x", (f"127.1.{i >> 8}.{i & 255}", s.getsockname()[1]))' >$w/out 2>$w/err
check "report: one that sends to more than 2,048 destinations is told what is not counted" \
	python3 - $home/many.json <<-END
	import json, sys
	r = json.load(open(sys.argv[1]))
	assert not r["complete"] and r["uncounted"] >= 100, (r["complete"], r["uncounted"])
END
user $w/egressctl run -p agent -- sh -c 'cat ~/.ssh/id_ed25519; true' >$w/out 2>$w/err
id=$(sed -n 's/.*log --sandbox \([0-9]*\)$/\1/p' $w/err)
user $w/egressctl report "$id" >$w/out 2>$w/err
status=$?
check "report: of an untraced run what was refused, and what is missing" sh -c \
	"[ $status -eq 1 ] && grep -q 'not traced' $w/err && grep -q 'secrets.yaml' $w/out"
last=$(ls /var/log/egressctl/runs | sed -n "s/^$uid-\([0-9]*\).json/\1/p" | tail -1)
setpriv --reuid=61235 --regid=61235 --clear-groups -- $w/egressctl report "$last" >$w/out 2>$w/err
status=$?
check "report: somebody else's run is not shown" sh -c "[ $status -ne 0 ] && ! grep -q wt $w/out"

stop_service
hosts_end
finish

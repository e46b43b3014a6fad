#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make install: all below DESTDIR, nothing of the administrator's overwritten, and what is installed is
# what systemd and egressd read.
set -u

top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
n=0 failed=0

check() { # NAME COMMAND…
	local name=$1
	shift
	n=$((n + 1))
	if "$@" >"$w/said" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$w/said"
		failed=1
	fi
}

# The programs are there already: the make that runs this test is not run again inside of it.
install_to() { # DIR ARGUMENT…
	local dir=$1
	shift
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" -o all install O="$EGRESSCTL_BUILD" \
		DESTDIR="$dir" "$@"
}

has() {
	local dir=$1 file
	shift
	for file; do
		[ -s "$dir/$file" ] || { echo "no $file"; return 1; }
	done
}

no_place_of_the_build() { ! grep -rlE "@[A-Z]+@|$w" "$w/a/usr/lib" "$w/a/etc"; }
starts_the_installed() { grep -qx 'ExecStart=/usr/sbin/egressd' "$w/a/usr/lib/systemd/system/egressd.service"; }

check "install" install_to "$w/a" PREFIX=/usr
check "everything is there" has "$w/a" usr/sbin/egressd usr/bin/egressctl usr/bin/egress-run \
	usr/lib/systemd/system/egressd.service usr/lib/tmpfiles.d/egressctl.conf \
	usr/share/bash-completion/completions/{egressctl,egress-run} usr/share/egressctl/policies/agent.yaml \
	etc/egressctl/egressd.yaml
check "every page of the manual is" has "$w/a/usr/share/man" \
	$(cd "$top/man" && for page in *.[1-8]; do echo "man${page##*.}/$page"; done)
check "the unit starts what was installed" starts_the_installed
check "nothing names the place it was installed from" no_place_of_the_build
check "only root can write to the settings" [ "$(stat -c %a "$w/a/etc/egressctl/egressd.yaml")" = 644 ]
echo '# mine' >>"$w/a/etc/egressctl/egressd.yaml"
check "install again" install_to "$w/a" PREFIX=/usr
check "the settings stay" grep -qx '# mine' "$w/a/etc/egressctl/egressd.yaml"
check "install for /usr/local" install_to "$w/b"
check "its unit" has "$w/b" usr/local/lib/systemd/system/egressd.service usr/local/sbin/egressd
# Of 10, most exposed. What is left is what egressd is for; see the comments in the unit.
unit=$w/a/usr/lib/systemd/system/egressd.service
systemd-analyze security --offline=yes --no-pager "$unit" >"$w/security" 2>&1
sed -n 's/.*Overall exposure level.*: /# systemd-analyze security: /p' "$w/security"
check "the unit is no more exposed than it was" systemd-analyze security --offline=yes \
	--threshold=70 --no-pager "$unit"
sed -i "s|^ExecStart=.*|ExecStart=/bin/true|" "$unit"
nothing_to_say() { [ -z "$(systemd-analyze verify --man=no "$unit" 2>&1 | tee /dev/stderr)" ]; }
check "systemd has nothing to say about the unit" nothing_to_say
echo "1..$n"
exit $failed

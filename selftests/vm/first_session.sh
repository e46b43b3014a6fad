#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The first session of somebody who meets egressctl, on a fresh Debian 12 with nothing of it but the
# package: installed, a first policy, a refusal, why, and allowed. What is printed is kept as
# transcript.txt, and README.md quotes it. As root; `make deb-test`.
set -u
cd "$(dirname "$0")/../.." || exit 1

build=${EGRESSCTL_BUILD:-$PWD/build}
cache=${EGRESSCTL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/egressctl}
packages=systemd,systemd-sysv,kmod,iproute2,curl,ca-certificates,python3
transcript=$build/transcript.txt
n=0 failed=0

bail() {
	echo "Bail out! $*"
	exit 1
}

result() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

# says NAME PATTERN [AFTER]: a line of the transcript; with AFTER one that comes later than such a line
says() {
	awk -v want="$2" -v after="${3-}" 'BEGIN { seen = after == "" }
		seen && $0 ~ want { found = 1 } after != "" && $0 ~ after { seen = 1 }
		END { exit !found }' "$transcript"
	result $? "$1"
}

# A Debian 12 as mmdebstrap makes it, with the libraries that the package asks for where apt keeps
# what it has downloaded: the VM has no network. Kept for as long as the package asks for the same.
image() {
	local wants tmp name=${package##*/}
	wants=$( (dpkg-deb -f "$package" Depends && echo "$packages") | sha256sum | cut -c1-16)
	image=$cache/debian-12-$wants
	[ ! -d "$image" ] || return 0
	tmp=$(mktemp -d "$cache/debian.XXXXXX") || return
	# shellcheck disable=SC2016 # $1 is mmdebstrap's
	mmdebstrap --quiet --variant=minbase --include="$packages" --skip=cleanup/apt \
		--customize-hook='chroot "$1" apt-get clean' \
		--customize-hook="copy-in '$package' /srv" \
		--customize-hook='chroot "$1" apt-get -q -y --download-only install '"/srv/$name" \
		--customize-hook="rm \"\$1\"/srv/$name" bookworm "$tmp/root" >"$tmp/log" 2>&1 || {
		sed 's/^/# /' "$tmp/log"
		rm -rf "$tmp"
		return 1
	}
	mv "$tmp/root" "$image" && rm -rf "$tmp"
}

package=$(echo "$build"/deb/egressctl_*_amd64.deb)
[ -e "$package" ] || bail "there is no $package: make deb"
[ "$(id -u)" = 0 ] || bail "whose files the image has is for root to say"
command -v mmdebstrap >/dev/null || bail "mmdebstrap is missing: tools/deps --package"
mkdir -p "$cache"
image || bail "no image of Debian 12"

shared=$build/session
rm -rf "$shared" "$transcript"
mkdir -p "$shared" && cp "$package" selftests/vm/first_session_guest.sh "$shared"
# Debian 12's own kernel
tools/vm --kernel 6.1 --root "$image" --init systemd --single-thread --quick \
	--timeout 1200 --share "$shared" -- "$shared/first_session_guest.sh" \
	>"$transcript" 2>"$shared/err" </dev/null
result $? "the session goes to its end"
sed 's/^/# /' "$shared/err"
# dpkg counts on one line
sed -i 's/\r*$//; s/.*\r//' "$transcript"

says "the package is set up" '^Setting up egressctl '
says "doctor finds all that is needed" '^Full enforcement is available'
says "init writes a policy" '^egressctl init: \./egressctl\.yaml: '
says "a key is not read" '^cat: .*/id_ed25519: Permission denied$'
says "a host is not reached" "^curl: .*Couldn't connect"
says "why names it" 'connect 203\.0\.113\.9:8000' 'egressctl why'
says "and how to allow it" ' egressctl allow [0-9]+\.[0-9]+$' 'egressctl why'
says "it is allowed" '^g1 sandbox [0-9]+: allowed connect 203\.0\.113\.9:8000/tcp, ' 'egressctl allow last'
says "and reached" '^pear 4$' 'egressctl allow last'
says "but the key is not read" '^cat: .*/id_ed25519: Permission denied$' '^pear 4$'
says "all of it is in the log" 'open /home/me/\.ssh/id_ed25519' 'egressctl log'
[ $failed = 0 ] || sed 's/^/# /' "$transcript"
echo "1..$n"
exit $failed

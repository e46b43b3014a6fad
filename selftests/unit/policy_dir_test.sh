#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A policy is taken by its name from where nobody else can write, and from nowhere else.
set -u

w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
n=0 failed=0
unset EGRESSCTL_POLICY_DIR
export XDG_CONFIG_HOME=$w
dir=$w/egressctl/policies
mkdir -p "$dir"
printf 'version: 1\nfiles: {default: rx}\n' >"$dir/mine.yaml"

# try TITLE DIRECTORY-MODE FILE-MODE STATUS TEXT
try() {
	local got status
	chmod "$2" "$dir"
	chmod "$3" "$dir/mine.yaml"
	got=$("$EGRESSCTL_BUILD/egressctl" check mine 2>&1)
	status=$?
	n=$((n + 1))
	if [ $status -eq "$4" ] && [[ $got == *"$5"* ]]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "# $status: $got"
		failed=1
	fi
}

try "control: nobody else writes there" 755 644 0 ""
try "a directory that others can write to" 777 644 2 "somebody else can write there"
try "a file that others can write to" 755 666 2 "somebody else can write there"
try "as it was, it is taken again" 755 644 0 ""
echo "1..$n"
exit $failed

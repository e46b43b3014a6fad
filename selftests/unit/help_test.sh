#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Help of every command, what the manual says of it, and the nearest of what is not known. Needs no
# service.
set -u

top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
egressctl=$EGRESSCTL_BUILD/egressctl
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
n=0 failed=0 status=0
export EGRESSCTL_POLICY_DIR=$w/policies

result() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		{ echo "status $status"; cat "$w/out" "$w/err"; } | sed 's/^/# /'
		failed=1
	fi
}

check() { # NAME COMMAND…
	local name=$1
	shift
	"$@"
	result $? "$name"
}

say() { # ARGUMENT…: egressctl with them
	"$egressctl" "$@" >"$w/out" 2>"$w/err" </dev/null
	status=$?
}

on_stdout() { [ "$status" -eq 0 ] && [ -s "$w/out" ] && [ ! -s "$w/err" ]; }
# refused TEXT: as bad usage, and stderr has the text
refused() { [ "$status" -eq 2 ] && [ ! -s "$w/out" ] && grep -qF -- "$1" "$w/err"; }

options() { grep -oE -- "(^|[^[:alnum:]-])--?[A-Za-z][a-z-]*" | grep -oE -- '--?[A-Za-z][a-z-]*' | sort -u; }
# Of the rows alone: the names of one on a line
rows() { sed -nE 's/^ {2,6}(--?[A-Za-z][a-z-]*)(, (--[a-z-]+))?( .*|$)/\1 \3/p' "$1"; }
plain() { sed 's/\\-/-/g; s/\\f.//g' "$1"; }
# synopsis COMMAND: as the manual has it
synopsis() { sed -n "/^\\.SY \"egressctl $1\"\$/,/^\\.YS\$/p" "$w/man"; }

# The first name of each row is in the synopsis, and nothing else.
same_synopsis() { # COMMAND
	rows "$w/out" | sed 's/ .*//' | grep -v -- '^-h' | sort -u >"$w/help"
	synopsis "$1" | tail -n +2 | options >"$w/said"
	diff "$w/help" "$w/said" >"$w/err"
}

plain "$top/man/egressctl.8" >"$w/man"
sed '/^\.SH SYNOPSIS/,/^\.SH DESCRIPTION/d' "$w/man" | options >"$w/described"
say --help
check "egressctl --help" on_stdout
commands=$(sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' "$w/out")
check "lists commands" [ "$(echo "$commands" | wc -w)" -ge 20 ]
check "each one that the manual has" [ "$(echo "$commands" | sort)" = "$(
	sed -n 's/^\.SY "egressctl \(.*\)"$/\1/p' "$w/man" | sort)" ]
: >"$w/all"
for command in $commands; do
	say "$command" --help
	cp "$w/out" "$w/long"
	check "$command --help" on_stdout
	check "its synopsis is that of the manual" same_synopsis "$command"
	rows "$w/out" | options >>"$w/all"
	check "what lists or answers has --json" [ "$command" = metrics -o \
		"$(rows "$w/out" | grep -c -- '--json')" = 1 ]
	say "$command" -h
	check "-h is the same" cmp -s "$w/out" "$w/long"
	say help "$command"
	check "help $command, too" cmp -s "$w/out" "$w/long"
	say "$command" --jsom
	if [ "$command" = metrics ]; then
		check "an unknown option" refused "unknown option '--jsom'"
	else
		check "an unknown option" refused "unknown option '--jsom'; the nearest is --json"
	fi
	say "$command" --help=x
	check "--help takes no value" refused "takes no value"
done
sort -u "$w/all" >"$w/help"
diff "$w/help" "$w/described" >"$w/err"
result $? "the manual describes every option, and no other"
"$EGRESSCTL_BUILD/egress-run" --help >"$w/out" 2>"$w/err" </dev/null
status=$?
check "egress-run --help" on_stdout
check "without what only egressctl does" [ "$(rows "$w/out" | grep -c -- --report)" = 0 ]
"$EGRESSCTL_BUILD/egress-run" --report x true >"$w/out" 2>"$w/err" </dev/null
status=$?
check "which it refuses" refused "unknown option '--report'"
"$EGRESSCTL_BUILD/egressd" --help >"$w/out" 2>"$w/err" </dev/null
status=$?
check "egressd --help" on_stdout
plain "$top/man/egressd.8" | sed -n '/^\.SH OPTIONS/,/^\.SH SETTINGS/p' | grep -v help | options >"$w/said"
rows "$w/out" | options | grep -v -- '^-h\|--help' >"$w/help"
diff "$w/help" "$w/said" >"$w/err"
result $? "its options are those of its manual"

# ---- what is not known ---------------------------------------------------------------------

mkdir "$w/policies"
cp "$top"/policies/*.yaml "$w/policies"
say rnu
check "a command" refused "unknown command 'rnu'; the nearest is run"
say help gratns
check "of help" refused "unknown command 'gratns'; the nearest is grants"
say $'\xc2\x9b2J'
check "one that would clear the screen" refused "unknown command '\\xc2\\x9b2J'"
say check agnet
check "a policy" refused 'no policy named "agnet"; the nearest is agent: looked in'
say check zzzzzzz
check "nothing like it" refused 'no policy named "zzzzzzz": looked in'
say test agent conect example.com:443
check "a question" refused "'conect' is no question; the nearest is connect"
say log --op conect
check "an operation" refused "'conect' is not an operation; the nearest is connect"
say log --verdict allowed
check "a verdict" refused "'allowed' is not denied or audit"
say explain 7
check "an event" refused "'7' is no event"
say run --polcy agent true
check "an option before a command" refused "unknown option '--polcy'; the nearest is --policy"
say run --limit
check "a value that is missing" refused "option '--limit' needs a value: KEY=VALUE"
say ps more
check "an argument too many" refused "unexpected argument 'more'"
say switch 7
check "one too few" refused "an argument is missing"
say deny 7 --save open /a
check "what is another command's" refused "unknown option '--save'"
say check --json agent -- --json
check "options stand anywhere, -- ends them" [ "$status" -eq 2 ]
check "what stands before was read" [ "$(grep -c '"ok":true' "$w/out")" = 1 ]

# ---- a log without a service -----------------------------------------------------------------

mkdir "$w/log"
echo '{"time":"2026-11-23T13:32:18.123456789Z","seq":1,"sandbox":7,"owner":0,"pid":2,"uid":0,"comm":"cat","op":"open","path":"/x","want":"r","verdict":"denied","reason":"rule"}' >"$w/log/events.jsonl"
say log --dir "$w/log" 7
check "a sandbox in a log" on_stdout
say log --dir "$w/log" --verdict audit 7
check "of which nothing is asked" [ "$status $(cat "$w/out" "$w/err")" = "0 " ]
say log --dir "$w/log" 99999
check "one that is not there" [ "$status $(cat "$w/out")" = "1 " ]
check "is said" grep -q "nothing of sandbox 99999 is in $w/log" "$w/err"
printf '\xc2\x9b2J\n{"time":"2026-11-23T13:32:18.123456789Z","x":"\xc2\x9b2J","sandbox":7}\n' >>"$w/log/events.jsonl"
for json in '' --json; do
	# shellcheck disable=SC2086
	say log $json --dir "$w/log" 7
	check "a log of anybody acts on no terminal ($json)" [ "$status $(grep -c 'u009b2J' "$w/out") $(
		LC_ALL=C grep -c $'\xc2\x9b' "$w/out")" = "0 1 0" ]
done
echo "1..$n"
exit $failed

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What bash offers at the cursor, from the program that was built and from sandboxes and policies whose
# names nobody vouches for.
set -u

top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
n=0 failed=0

# `ps` and `grants` are the commands that need egressd.
mkdir -p "$w/bin" "$w/policies" "$w/cwd/sub"
cat >"$w/bin/egressctl" <<END
#!/bin/sh
case "\$1 \$2" in
"ps --json") ;;
"grants --json") printf '[\n  {\n    "grant": 12,\n    "rule": "g13"\n  }\n]\n'; exit ;;
*) exec "$EGRESSCTL_BUILD/egressctl" "\$@" ;;
esac
cat <<'LIST'
[
  {
    "sandbox": 7,
    "name": "build",
    "policy": "agent"
  },
  {
    "sandbox": 71,
    "name": "\$(touch $w/hacked)"
  },
  {
    "sandbox": 8,
    "name": "x; touch $w/hacked"
  }
]
LIST
END
ln -s "$EGRESSCTL_BUILD/egress-run" "$w/bin/egress-run"
chmod 755 "$w/bin/egressctl"
touch "$w/policies/agent.yaml" "$w/policies/apt.yaml" "$w/policies/\$(touch hacked).yaml" \
	"$w/policies/a b.yaml" "$w/cwd/shop.yaml" "$w/cwd/with space"
PATH=$w/bin:$PATH
export EGRESSCTL_POLICY_DIR=$w/policies
cd "$w/cwd" || exit 1
# What completes the command that is wrapped, where it is there.
# shellcheck source=/dev/null
. /usr/share/bash-completion/bash_completion
# shellcheck source=tools/service/egressctl.bash-completion
. "$top/tools/service/egressctl.bash-completion"

# offers WORD… [!WORD…] -- COMMAND LINE: what is offered at its last word, and what is not
offers() {
	local want=() no=() word line bad=
	while [ "$1" != -- ]; do
		case $1 in
		!*) no+=("${1#!}") ;;
		*) want+=("$1") ;;
		esac
		shift
	done
	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMP_LINE="$*"
	COMP_POINT=${#COMP_LINE}
	COMPREPLY=()
	_egressctl "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
	line=$(printf '<%s>' "${COMPREPLY[@]}")
	for word in "${want[@]}"; do
		[[ $line == *"<$word>"* ]] || bad+=" no $word"
	done
	for word in "${no[@]}"; do
		[[ $line == *"$word"* ]] && bad+=" $word"
	done
	n=$((n + 1))
	if [ "$bad" ]; then
		echo "not ok $n - $*"
		echo "# offered $line, wrong:$bad"
		failed=1
	else
		echo "ok $n - $*"
	fi
}

offers run check ps metrics --help -- egressctl ''
offers kill !run -- egressctl ki
# Of the rows of help: each name, and a value that it takes.
rows() {
	sed -nE 's/^ {2,6}(--?[A-Za-z][a-z-]*)(, (--[a-z-]+))?( ([^ ]+))?( {2,}.*)$/\1 \5\n\3 \5/p' |
		grep '^-' |
		sed 's/ WHEN$/ 90s/; s/ TIME$/ run/; s/ OPERATION$/ open/; s/ denied|audit$/ audit/; s/ PID$/ 1/; s/ N$/ 1/'
}

# accepted WORD…: by egressctl
accepted() {
	n=$((n + 1))
	if "$EGRESSCTL_BUILD/egressctl" "$@" --help </dev/null >"$w/said" 2>&1; then
		echo "ok $n - $* is accepted"
	else
		echo "not ok $n - $* is accepted"
		sed 's/^/# /' "$w/said"
		failed=1
	fi
}

# same A B NAME: two lists, in any order
same() {
	n=$((n + 1))
	if [ "$(sort -u <<<"$1")" = "$(sort -u <<<"$2")" ]; then
		echo "ok $n - $3"
	else
		echo "not ok $n - $3"
		diff <(sort -u <<<"$1") <(sort -u <<<"$2") | sed 's/^/# /'
		failed=1
	fi
}

commands=$("$EGRESSCTL_BUILD/egressctl" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p')
# shellcheck disable=SC2086
offers $commands -- egressctl ''
same "$(printf '%s\n' "${COMPREPLY[@]}")" "$commands
help
--help
--version" "no other command"
for command in $commands; do
	help=$("$EGRESSCTL_BUILD/egressctl" "$command" --help | rows)
	offers --help -- egressctl "$command" -
	same "$(printf '%s\n' "${COMPREPLY[@]}")" "$(cut -d ' ' -f 1 <<<"$help")" \
		"the options of $command, and no other"
	while read -r option value; do
		# shellcheck disable=SC2086
		accepted "$command" "$option" $value
	done <<<"$help"
done
offers open connect server-name '!<one>' '!<is>' -- egressctl log --op ''
for word in "${COMPREPLY[@]}"; do
	accepted log --op "$word"
done
offers denied audit !allowed -- egressctl log --verdict ''
for word in "${COMPREPLY[@]}"; do
	accepted log --verdict "$word"
done
offers --trace !--report -- egress-run --
offers --policy --limit --fail-fast -- egressctl run --
offers --json --sandbox !--limit -- egressctl log --
offers agent apt !hacked '!a b' -- egressctl run -p ''
offers apt !agent -- egressctl run -v -p ap
offers agent -- egress-run -p ag
offers ./shop.yaml -- egressctl run -p ./sh
offers agent -- egressctl check ag
offers npm agent ci git-hosting '!<is>' -- egressctl init ''
offers cargo common-dependencies !npm -- egressctl init npm c
offers connect open unix -- egressctl test agent ''
offers 7 71 8 build !touch -- egressctl kill ''
offers build !71 -- egressctl kill 7 b
offers 7 71 !8 -- egressctl log --sandbox 7
offers memory= time= -- egressctl run --limit ''
offers sub !shop -- egressctl check -C s
offers 'with space' -- egressctl run -p agent -- cat w
offers --help -- egressctl run -p agent -- egressctl --he
offers shop.yaml !true -- egressctl learn --output sh
offers 'with space' -- egressctl learn --output /dev/null -- cat w
offers 'with space' -- egressctl run --limit = memory = 4G -v cat w
offers agent -- egressctl run --policy = ag
offers agent -- egressctl run --policy =
offers !shop.yaml -- egressctl learn --merge sh
offers last !7 -- egressctl explain ''
offers g12 7 build !g13 -- egressctl revoke ''
offers 7 build last -- egressctl log ''
offers !7 -- egressctl log 7 ''
offers last 7 policy= -- egressctl allow ''
offers agent apt -- egressctl allow policy = a
offers connect open unix socket privilege -- egressctl allow --for run 7 ''
offers connect open !unix -- egressctl deny 7 ''
offers sub -- egressctl allow 7 open s
offers agent -- egressctl switch 7 ag
offers kill !7 -- egressctl help k
offers !7 -- egressctl metrics ''

# Looking did nothing but look.
n=$((n + 1))
if [ -e "$w/hacked" ] || [ -e hacked ]; then
	echo "not ok $n - no name was run"
	failed=1
else
	echo "ok $n - no name was run"
fi
# As bash itself loads and calls it.
n=$((n + 1))
if [ "$(complete -p egressctl egress-run | sort)" = 'complete -F _egressctl egress-run
complete -F _egressctl egressctl' ]; then
	echo "ok $n - both programs have it"
else
	echo "not ok $n - both programs have it"
	failed=1
fi
echo "1..$n"
exit $failed

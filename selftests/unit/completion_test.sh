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

# `ps` is the one command that needs egressd.
mkdir -p "$w/bin" "$w/policies" "$w/cwd/sub"
cat >"$w/bin/egressctl" <<END
#!/bin/sh
[ "\$1" = ps ] || exec "$EGRESSCTL_BUILD/egressctl" "\$@"
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
for command in $("$EGRESSCTL_BUILD/egressctl" --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
	offers --help -- egressctl "$command" --h
done
offers --policy --limit --fail-fast -- egressctl run --
offers --json --sandbox !--limit -- egressctl log --
offers agent apt !hacked '!a b' -- egressctl run -p ''
offers apt !agent -- egressctl run -v -p ap
offers agent -- egress-run -p ag
offers ./shop.yaml -- egressctl run -p ./sh
offers agent -- egressctl check ag
offers connect open unix -- egressctl test agent ''
offers 7 71 8 build !touch -- egressctl kill ''
offers build !71 -- egressctl kill 7 b
offers 7 71 !8 -- egressctl log --sandbox 7
offers memory= time= -- egressctl run --limit ''
offers sub !shop -- egressctl check -C s
offers 'with space' -- egressctl run -p agent -- cat w
offers --help -- egressctl run -p agent -- egressctl --he

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

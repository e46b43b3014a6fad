#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every policy that a page shows passes `egressctl check`, and every relative link of a page leads to
# a file, and to a heading where it names one.
set -u

top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
n=0 failed=0
pages=("$top"/README.md "$top"/docs/*.md)
export EGRESSCTL_POLICY_DIR=$w/policies
mkdir "$w/policies" "$w/blocks" "$w/workspace"
cp "$top"/policies/*.yaml "$w/policies"

# result STATUS NAME [TEXT]
result() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		printf '%s\n' "${3-}" | sed 's/^/# /'
		failed=1
	fi
}

# blocks PAGE: each block of code whose first line is `version: 1`, fenced or indented by four, into a
# file that is called after the line where it begins
blocks() {
	awk -v into="$w/blocks/$(basename "$1")" '
		/^ *```/ { fence = !fence; inside = 0; next }
		fence { text = $0 }
		!fence && /^    / { text = substr($0, 5) }
		!fence && !/^    / { if (/[^ \t]/) inside = 0; else if (inside && keep) print "" >out; next }
		!inside { inside = 1; keep = text == "version: 1"; out = into ":" NR ".yaml" }
		keep { print text >out }
	' "$1"
}

# headings PAGE: as links name them
headings() {
	awk '/^ *```/ { fence = !fence } !fence && /^#+ / {
		sub(/^#+ /, ""); $0 = tolower($0); gsub(/[^a-z0-9 _-]/, ""); gsub(/ /, "-"); print
	}' "$1"
}

links() { grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//' | grep -vE '^(https?|mailto):'; }

# dead PAGE: its links that lead nowhere, one a line
dead() {
	local link file
	while IFS= read -r link; do
		file=${link%%#*}
		file=${file:+$(dirname "$1")/$file}
		file=${file:-$1}
		if [ ! -e "$file" ]; then
			echo "$link: no such file"
		elif [[ $link == *'#'* ]] && ! headings "$file" | grep -qxF -- "${link#*#}"; then
			echo "$link: no such heading"
		fi
	done < <(links "$1")
}

for page in "${pages[@]}"; do
	blocks "$page"
	found=$(dead "$page")
	result $((${#found} > 0)) "${page#"$top"/}: links" "$found"
done
for block in "$w"/blocks/*; do
	said=$("$EGRESSCTL_BUILD/egressctl" check -C "$w/workspace" "$block" 2>&1 </dev/null)
	result $? "$(basename "$block" .yaml): a policy" "$said"
done

# a page that was written another way must not make this test an empty one
count=$(find "$w/blocks" -type f | wc -l)
result $((count < 8)) "there are policies to check" "$count"
count=$(cat "${pages[@]}" | links /dev/stdin | wc -l)
result $((count < 40)) "and links" "$count"
echo "1..$n"
exit $failed

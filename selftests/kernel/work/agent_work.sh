#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What a coding agent does all day, in a linked git worktree. Runs inside a
# sandbox under the policy `agent`; the caller counts violations, and there may
# be none. Each step says its name, so that a failure names itself.
set -eu

step() { printf 'step %s\n' "$1"; }

step "git add, commit, branch, checkout, merge"
git status --short >/dev/null
echo change >>README
git add README
git -c user.name=a -c user.email=a@example.org commit -qm change
git checkout -qb side
echo side >side.txt
git add side.txt
git -c user.name=a -c user.email=a@example.org commit -qm side
git checkout -q -
git -c user.name=a -c user.email=a@example.org merge -q --no-edit side
git stash list >/dev/null
git log --oneline >log.txt
git gc -q --auto

step "npm ci"
cd app
npm ci --no-audit --no-fund --offline >/dev/null
node -e 'if (require("dep").version !== "1.0.0") process.exit(1)'
step "npm upgrade of a dependency"
npm install --no-audit --no-fund --offline ../dep-2.0.0.tgz >/dev/null
node -e 'if (require("dep").version !== "2.0.0") process.exit(1)'
step "node realpath"
node -e 'const fs = require("fs"); fs.realpathSync("."); fs.realpathSync.native("node_modules/dep")'
cd ..

step "java -version"
java -version 2>/dev/null

step "python multiprocessing"
/usr/bin/python3 - <<'PY'
import multiprocessing as mp

def square(x):
    return x * x

if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        assert pool.map(square, range(8)) == [x * x for x in range(8)]
    lock = mp.Lock()
    with lock:
        pass
PY

step "a C build"
cat >hello.c <<'C'
#include <stdio.h>
int main(void) { puts("hello"); return 0; }
C
printf 'hello: hello.c\n\tgcc -O2 -o hello hello.c\n' >Makefile
make -s
test "$(./hello)" = hello

step "tmux"
tmux -L work -f /dev/null new-session -d -s work 'echo in tmux >tmux.txt; tmux -L work wait-for -S done; exec sleep 1000'
tmux -L work wait-for done
tmux -L work kill-server 2>/dev/null || :
grep -q 'in tmux' tmux.txt

step "job control"
bash -ic 'sleep 60 & kill %1; wait %1; true' 2>/dev/null

step "here-document through /dev/stdin, process substitution"
head -c 100000 /dev/zero | tr '\0' x >big
test "$(cat /dev/stdin <<END
$(cat big)
END
)" = "$(cat big)"
bash -c 'test "$(cat <(echo one))" = one'

step "files and modes"
mkdir -p d/e
cp -a README d/e/copy
chmod 600 d/e/copy
mv d/e d/f
ln d/f/copy d/hard
ln -s f/copy d/soft
rm -r d
t=$(mktemp)
rm "$t"
step done

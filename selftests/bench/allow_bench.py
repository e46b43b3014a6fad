#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long `allow` and `revoke` take: from the request to egressd to its answer, when the kernel
judges by it. On this machine, with --egress-only, in mount and network namespaces and below a
cgroup of its own. allow_bench.py BUILD [TRIES]; medians in milliseconds, beside their target.
"""
import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the tree stays as git has it
from service import Service, enter

TARGET_MS = 5.0
tries = int(sys.argv[2]) if len(sys.argv) > 2 else 200


def timed(request):
    begin = time.monotonic()
    answer = s.call(request)
    return answer, (time.monotonic() - begin) * 1000


def measure(name, rules, target_ms=TARGET_MS):
    allow, revoke = [], []
    for i in range(tries):
        rule = rules % (20000 + i)
        answer, took = timed({"op": "allow", "sandbox": sandbox, "rules": [rule], "ms": 600000})
        allow.append(took)
        _, took = timed({"op": "revoke", "grant": answer["grants"][0]["grant"]})
        revoke.append(took)
    for what, times in ("allow", allow), ("revoke", revoke):
        times.sort()
        median = statistics.median(times)
        has_target = what == "allow" and target_ms
        late.append(has_target and median > target_ms)
        target = f"   target {target_ms:.0f}" if has_target else ""
        print(f"{what + ' ' + name:32} median {median:6.2f} ms   "
              f"99% {times[len(times) * 99 // 100]:6.2f} ms{target}")


enter()
late = []
with Service(sys.argv[1], "--egress-only") as s:
    os.mkdir(s.work + "/project")
    run = s.run("agent", "sh", "-c", "echo $EGRESSCTL_SANDBOX; exec cat",
                cwd=s.work + "/project", stdout=subprocess.PIPE)
    sandbox = int(run.stdout.readline())
    measure("an address", "connect 203.0.113.9:%d")
    measure("a name", "connect host.example:%d")
    for i in range(8):
        s.call({"op": "allow", "sandbox": sandbox, "rules": [f"connect 203.0.113.8:{i + 1}"],
                "ms": 600000 + i})
    # each of them that ends earlier is a version more that has to be made
    measure("an address, 8 grants alive", "connect 203.0.113.9:%d", None)
    run.stdin.close()
    run.wait()
sys.exit(any(late))

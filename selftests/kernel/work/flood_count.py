#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Read `egressctl log -f --json` and say, as each sandbox ends, what has come of its violations:
"SANDBOX DENIED WRITTEN LOST SUPPRESSED FAILED DROPPED" on standard output. DROPPED is what the log
had no room for since the end before, of whatever sandbox. What stands in argv[1] is appended too:
"event SANDBOX" for each event of a sandbox whose number is in the file argv[2]."""
import json
import os
import re
import sys

watch = sys.argv[2]
told = open(sys.argv[1], "w", buffering=1)
written, dropped = {}, 0
for line in sys.stdin.buffer:
    found = re.search(rb',"sandbox":(\d+),', line)
    if b',"op":"dropped",' in line:
        dropped += json.loads(line)["lines"]
        continue
    sandbox = int(found.group(1))
    if b',"op":"end"' not in line:
        written[sandbox] = written.get(sandbox, 0) + 1
        if os.path.exists(f"{watch}/{sandbox}"):
            told.write(f"event {sandbox}\n")
        continue
    e = json.loads(line)
    print(sandbox, e["denied"], written.pop(sandbox, 0), e["lost"], e["suppressed"], e["failed"],
          dropped, flush=True)
    dropped = 0

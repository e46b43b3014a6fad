#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What operators wait for, in full size. operate_bench.py BUILD WHAT...; 1 when a target is missed.

    violations   from 50 sandboxes, 100,000 a second from the first line to the last of
                 `log -f --json`: each one is there or counted as lost or suppressed. On this
                 machine, with --egress-only.
    ps           with 1,000 sandboxes: 100 ms at the median, the client's start included. As above.
    revoke       by the command, while two programs send datagrams: what the receiver on this host
                 hears that was sent after it had returned, in EGRESSCTL_TRIES (10) tries: nothing.
                 On this machine, as above.
    attach       of a cgroup with 1,000 tasks: 100 ms at the median, from the request to egressd
                 to its answer. In a VM that counts instructions, where one takes one nanosecond.
"""
import fcntl
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the tree stays as git has it
from service import Service, enter

SENDERS, RATE, SECONDS = 50, 100000, 5
PACE = RATE * 1.1 / SENDERS  # they do not begin all at once
PS_SANDBOXES, PS_TRIES, PS_MS = 1000, 20, 100
ATTACH_TASKS, ATTACH_TRIES, ATTACH_MS = 1000, 9, 100
WATCH_NS = 20000000  # how long is listened after each revoke
POLICY = "version: 1\negress: {allow: [\"192.0.2.1:1\"]}\n"
missed = []


def row(what, value, unit, good, target):
    print(f"{what:44} {value:10,.1f} {unit:5} target {target}{'' if good else '   MISSED'}",
          flush=True)
    missed.append(not good)


# ---- violations into a log that is followed


class Reader:
    """egressctl log -f --json, until every sandbox has ended. All but its ends are counted alone:
    Python must not be what is measured."""

    def __init__(self, s):
        self.log = subprocess.Popen([s.build + "/egressctl", "log", "-f", "--json", "--dir",
                                     s.events], stdout=subprocess.PIPE)
        fcntl.fcntl(self.log.stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
        self.written, self.ends, self.rest = 0, {}, b""
        self.began = self.ended = None
        self.buffer = bytearray(1 << 20)

    def read(self):
        n = os.readv(self.log.stdout.fileno(), [self.buffer])
        if not n:
            sys.exit("the log has ended")
        self.began = self.began or time.monotonic()
        self.written += self.buffer.count(b"\n", 0, n)
        if self.buffer.find(b',"op":"end"', 0, n) < 0 and b',"op":' not in self.rest:
            # maybe the first half of one
            self.rest = bytes(self.buffer[self.buffer.rfind(b"\n", 0, n) + 1:n])
            return
        *lines, self.rest = (self.rest + self.buffer[:n]).split(b"\n")
        for line in lines:
            if b',"op":"end"' in line:
                end = json.loads(line)
                self.ends[end["sandbox"]] = end
                self.written -= 1
                self.ended = time.monotonic()


def violations(s):
    each = int(PACE)
    policy = s.policy(POLICY)
    reader = Reader(s)
    runs = [s.run(policy, "sh", "-c", f"read go; exec {s.build}/selftests/work/flood -r {each} "
                  f"send {each * SECONDS} 127.0.0.1 9") for _ in range(SENDERS)]
    while len(s.call({"op": "ps"})["sandboxes"]) < SENDERS:
        pass
    for r in runs:
        r.stdin.write(b"\n")
        r.stdin.close()
    while len(reader.ends) < SENDERS:
        reader.read()
    took = reader.ended - reader.began
    reader.log.kill()
    for r in runs:
        if r.wait():
            sys.exit("a datagram was not refused")
    denied = sum(e["denied"] for e in reader.ends.values())
    written = reader.written
    lost = sum(e["lost"] + e["suppressed"] for e in reader.ends.values())
    row("violations a second", denied / took, "", denied / took > RATE, f"{RATE:,}")
    row("  made", denied, "", denied == SENDERS * each * SECONDS,
        f"{SENDERS * each * SECONDS:,}")
    row("  of them in log -f --json", written, "", True, "with the next")
    row("  counted as lost or suppressed", lost, "", True, "all of the rest")
    row("  unaccounted", denied - written - lost, "", written + lost == denied, "0")


# ---- ps


def ps(s):
    policy = s.policy(POLICY)
    runs = []
    for i in range(PS_SANDBOXES):
        runs.append(s.run(policy, "sleep", "infinity"))
        # not all launchers at once
        while len(runs) - len(s.call({"op": "ps"})["sandboxes"]) > 20:
            pass
    while len(s.call({"op": "ps"})["sandboxes"]) < PS_SANDBOXES:
        pass
    for option in [], ["--json"]:
        times = []
        for _ in range(PS_TRIES):
            begin = time.monotonic()
            subprocess.run([s.build + "/egressctl", "ps", *option], check=True,
                           stdout=subprocess.DEVNULL)
            times.append((time.monotonic() - begin) * 1000)
        median = statistics.median(times)
        row(f"{' '.join(['ps', *option])} with {PS_SANDBOXES:,} sandboxes (worst {max(times):.0f})",
            median, "ms", median < PS_MS, f"{PS_MS} ms")
    s.egressd.terminate()  # ends them all
    for r in runs:
        r.wait()


# ---- revoke

SEND = """
import os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(os.environ["EGRESSCTL_SANDBOX"], flush=True)
while True:
    try:
        s.sendto(b"%d" % time.monotonic_ns(), ("127.0.0.1", int(sys.argv[1])))
    except PermissionError:
        pass
"""


def receiver():
    r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    r.bind(("127.0.0.1", 0))
    r.settimeout(60)
    return r, r.getsockname()[1]


def queued(r):
    got = []
    while select.select([r], [], [], 0)[0]:
        got.append(r.recv(100))
    return got


def revoke(s):
    tries = int(os.environ.get("EGRESSCTL_TRIES", "10"))
    ctl = s.build + "/egressctl"
    receivers = [receiver(), receiver()]
    runs = [s.run(s.policy(POLICY), sys.executable, "-c", SEND, str(port), stdout=subprocess.PIPE)
            for _, port in receivers]
    boxes = [r.stdout.readline().decode().strip() for r in runs]
    late = 0
    for i in range(tries):
        r, port = receivers[i % 2]
        box = boxes[i % 2]
        subprocess.run([ctl, "allow", box, "connect", f"127.0.0.1:{port}/udp"], check=True,
                       stdout=subprocess.DEVNULL)
        r.recv(100)  # it is heard, or this is no test
        subprocess.run([ctl, "revoke", box], check=True, stdout=subprocess.DEVNULL)
        returned = time.monotonic_ns()
        # what is in the queue now may have been sent before: its sender wrote down when
        late += sum(int(stamp) > returned for stamp in queued(r))
        while time.monotonic_ns() < returned + WATCH_NS:
            late += len(queued(r))
    for run in runs:
        run.kill()
    row("revoke by the command, tries", tries, "", True, "")
    row("  datagrams that came after it returned", late, "", not late, "0")


# ---- attach


def tasks_in(cgroup):
    """ATTACH_TASKS processes that wait; each with a socket, as servers have one."""
    os.mkdir(cgroup)
    ready, go = os.pipe()
    pid = os.fork()
    if not pid:
        with open(cgroup + "/cgroup.procs", "w") as f:
            f.write("0")
        import socket
        keep = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(ATTACH_TASKS - 1):
            if not os.fork():
                break
        os.write(go, b"x")
        signal.pause()
        del keep
        os._exit(0)
    for _ in range(ATTACH_TASKS):
        os.read(ready, 1)


def attach(s):
    mounts = open("/proc/self/mounts").read().split("\n")
    root = [m.split()[1] for m in mounts if m.split()[2:3] == ["cgroup2"]][0]
    cgroup = root + "/bench-attach"
    # nothing of what is shared with the host: time jumps while the guest waits for that
    os.chdir("/")
    tasks_in(cgroup)
    os.mkdir(s.work + "/secret")
    policy = s.policy(f"version: 1\nfiles: {{default: rwxc, {s.work}/secret: none}}\n"
                      "egress: {allow: [\"192.0.2.1:1\"], listen: any}\n")
    # the first one waits until every hook has been proved
    subprocess.run([s.build + "/egressctl", "run", "-p", policy, "--", "/bin/true"], check=True)
    request = {"op": "attach", "cgroup": cgroup, "policies": [policy],
               "texts": [{"name": policy, "path": policy, "text": open(policy).read()}]}
    times = []
    for _ in range(ATTACH_TRIES):
        begin = time.monotonic()
        answer = s.call(request)
        times.append((time.monotonic() - begin) * 1000)
        if answer["tasks"] != ATTACH_TASKS:
            sys.exit(f"attach took {answer['tasks']} tasks")
        s.call({"op": "detach", "cgroup": cgroup})
    median = statistics.median(times)
    row(f"attach of {ATTACH_TASKS:,} tasks, instructions as ns", median,
        "ms", median < ATTACH_MS, f"{ATTACH_MS} ms")
    with open(cgroup + "/cgroup.kill", "w") as f:
        f.write("1")
    os.wait()


KINDS = {"violations": (violations, ["--egress-only"]), "ps": (ps, ["--egress-only"]),
         "revoke": (revoke, ["--egress-only"]),
         "attach": (attach, [])}
enter()
for kind in sys.argv[2:]:
    function, options = KINDS[kind]
    with Service(sys.argv[1], *options) as service:
        function(service)
sys.exit(any(missed))

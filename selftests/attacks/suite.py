#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Try every attack outside of a sandbox and inside of one, and say what came of it, as TAP.

    suite.py [--table] [ROW...]     in the VM, as root; a ROW may hold * and ?

An attack must succeed outside, as an ordinary user and as root, and inside be refused with the errno
and the event that its row names, while hosts, victims and secrets have noticed nothing. Every P0 and P1
entry of the catalogue is accounted for: by rows, or by the test that `entries` names.
"""
import sys

sys.dont_write_bytecode = True      # the tree stays as git has it

import argparse
import collections
import fnmatch
import json
import os
import secrets
import select
import shutil
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

from boxes import POLICIES, Box, Log
from judges import JUDGES, NETWORK, Try
from meets import Outside
from rig import PATIENCE, Rig
from world import D, World, holds_deleted

Row = collections.namedtuple("Row", "name by judge err event policy id entry")
Outcome = collections.namedtuple("Outcome", "row who control verdict errno event why")
GOOD = ("refused", "allowed", "cannot")


def table(name, columns):
    """Rows of a file of `a | b | c` lines."""
    with open(os.path.join(HERE, name)) as f:
        lines = [l.strip() for l in f if l.strip() and not l.startswith("#")]
    rows = [[c.strip() for c in l.split("|", columns - 1)] for l in lines]
    for row in rows:
        if len(row) != columns or not all(row):
            sys.exit(f"{name}: {row}: expected {columns} columns")
    return rows


def read_rows(program):
    out = subprocess.run([program, "--list"], check=True, stdout=subprocess.PIPE).stdout
    rows = []
    for line in out.splitlines():
        r = json.loads(line)
        rows.append(Row(**r, id="".join(c if c.isalnum() else "_" for c in r["name"]),
                        entry=r["name"].split(":")[0]))
    return rows


class Suite:
    def __init__(self, build):
        self.build = build
        self.egressctl = f"{build}/egressctl"
        self.rig, self.world = Rig(), World(build)
        self.boxes, self.unflushed = {}, False

    # ---- set-up

    def begin(self, policies, whos):
        shutil.rmtree("/var/log/egressctl", ignore_errors=True) # numbers of sandboxes begin again
        self.rig.up()
        self.world.make_place()
        self.world.reset("tree")
        self.outside = Outside(self.rig, self.world, self.egressctl)
        self.start_service()
        self.log = self.outside.log = Log(self.rig, self.egressctl)
        self.outside.boxes = self.boxes
        self.world.start_victims()
        for policy in policies:
            with open(f"{D}/bin/{policy}.yaml", "w") as f:
                f.write("version: 1\n" + POLICIES[policy])
        for who in whos:
            self.boxes[who, None] = self.box(who, None)
            for policy in policies:
                self.boxes[who, policy] = self.box(who, policy)
        self.outside.serve_names()

    def box(self, who, policy):
        if policy is None:
            b = Box(self.rig, who, None, False, f"outside-{who}")
            b.sandbox = None
            return b
        name = f"{policy}-{who}"

        def sandbox(command):
            return [self.egressctl, "run", "-p", f"{D}/bin/{policy}.yaml", "--name", name, "--",
                    *command]
        b = Box(self.rig, who, sandbox, True, name)
        ps = subprocess.run([self.egressctl, "ps", "--json"], check=True, stdout=subprocess.PIPE)
        b.sandbox = next(s["sandbox"] for s in sandboxes(json.loads(ps.stdout))
                         if s.get("name") == name)
        return b

    def start_service(self):
        path, log = "/tmp/attacks.notify", "/tmp/attacks.egressd.log"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(log, "wb") as out:
            ready.bind(path)
            self.service = subprocess.Popen([f"{self.build}/egressd"], stdout=out, stderr=out,
                                            env=dict(os.environ, NOTIFY_SOCKET=path))
            ended = os.pidfd_open(self.service.pid)
            some, _, _ = select.select([ready, ended], [], [], 4 * PATIENCE)
            os.close(ended)
            if ready in some and ready.recv(4096).startswith(b"READY=1"):
                return
        with open(log, errors="replace") as f:
            sys.exit(f"Bail out! egressd does not start: {f.read()[-4000:]}")

    # ---- one attempt

    def attempt(self, row, who, policy):
        self.world.reset(row.judge)
        if policy is None and holds_deleted(self.boxes[who, None].process):
            self.boxes[who, None].end()
            self.boxes[who, None] = self.box(who, None)
        box = self.boxes[who, policy]
        t = Try(self.rig, self.world, row, who, box, secrets.token_bytes(16))
        if row.judge in NETWORK and self.unflushed:
            self.rig.flush()
        self.unflushed = row.judge not in NETWORK
        self.rig.reset([t.nonce, t.hex])
        self.outside.before(t)
        victim = self.world.victims[who]
        words = {"nonce": t.nonce.hex(), "victim": victim.process.pid,
                 "token": f"{victim.address:x}", "service": self.service.pid,
                 "hosted": self.world.victims["hosted"].process.pid}
        t.how, t.err, t.loot, t.why, t.pid = box.do(
            row.name, words, lambda what, pid: self.outside.meet(t, what, pid))
        if row.judge in NETWORK:
            self.rig.flush()
        t.done = JUDGES[row.judge](t)
        t.events = self.log.until_mark(box.sandbox, box.pid) if box.sandbox else []
        self.outside.after(t)
        return t

    def judge(self, row, who):
        """Outside, then inside."""
        out = self.attempt(row, who, None)
        if out.how == "cannot":
            return Outcome(row, who, "-", "cannot", "-", "-", out.why)
        control = "done" if out.done else f"NOT DONE ({out.how} {out.err})"
        t = self.attempt(row, who, row.policy)
        event, other = self.event(row, t)
        if not row.err: # the allowed twin
            verdict = "allowed" if out.done and t.done and not other else "NOT ALLOWED"
        elif t.done:
            verdict = "REACHED"
        elif not out.done:
            verdict = "NO CONTROL"
        elif self.answer(t) not in row.err.split():
            verdict = "OTHER ERRNO"
        elif row.event and not event:
            verdict, event = "OTHER EVENT", other
        else:
            verdict = "refused"
        return Outcome(row, who, control, verdict, self.answer(t),
                       event or other or "-", " ".join(filter(None, (out.why, t.why))))

    @staticmethod
    def answer(t):
        """DROPPED: the program believes that it was done, and nobody has seen anything."""
        return {"refused": t.err, "done": "DROPPED"}.get(t.how, t.how)

    @staticmethod
    def event(row, t):
        """The one that the row expects, and all of them."""
        said = [f"{e['op']}/{e.get('reason')}" for e in t.events]
        for want in row.event.split():
            if want in said:
                return want, None
        return None, ",".join(sorted(set(said)))

    def end(self):
        for key, box in self.boxes.items():
            box.end()
        self.log.end()
        self.service.terminate()
        self.service.wait()


def sandboxes(answer):
    return answer if isinstance(answer, list) else answer["sandboxes"]


# ---- what is printed


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def result(self, good, name, *why):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
        for line in why:
            print(f"#   {line}", flush=True)

    def done(self):
        print(f"1..{self.n}")
        return 1 if self.failed else 0


def line(o):
    return (f"{o.row.name:26} {o.who:5} {o.control:8} {o.verdict:12} {o.errno:14} {o.event}"
            f"{'  # ' + o.why if o.why else ''}")


def listed(name, o, kernel):
    """The reason that a table gives, or None."""
    for where, row, why in table(name, 3):
        if fnmatch.fnmatch(kernel, where) and fnmatch.fnmatch(o.row.name, row):
            return why
    return None


def bad_outcome(o, kernel):
    if o.verdict == "cannot":
        return not listed("impossible", o, kernel)
    if o.verdict == "REACHED":
        return not listed("open", o, kernel)
    return o.verdict not in GOOD


def report(tap, entry, who, outcomes, kernel):
    bad = [o for o in outcomes if bad_outcome(o, kernel)]
    of = [o for o in outcomes if o.row.err]
    refused = sum(o.verdict == "refused" for o in of)
    tap.result(not bad, f"{entry} by {who}: {refused} of {len(of)} refused",
               *[line(o) for o in (bad or [])])


def account(tap, outcomes):
    """Each P0 and P1 entry has rows, or a test elsewhere; and how many attempts were refused."""
    refused = collections.Counter()
    tried = collections.Counter()
    for o in outcomes:
        if o.row.err and o.verdict != "cannot":
            tried[o.row.entry, o.who] += 1
            refused[o.row.entry, o.who] += o.verdict == "refused"
    entries = table("entries", 4)
    for entry, priority, what, where in entries:
        if where.startswith("rows"):
            tap.result(tried[entry, "user"] + tried[entry, "root"] > 0,
                       f"{entry} {priority} {what}: has rows")
        else:
            print(f"# {entry} {priority} {what}: {where}")
    for priority in ("P0", "P1"):
        those = [e for e, p, _, _ in entries if p == priority]
        total = [0, 0]
        for who in ("user", "root"):
            n, of = (sum(c[e, who] for e in those) for c in (refused, tried))
            print(f"# {priority} by {who}: {n} of {of} attempts refused")
            total = [total[0] + n, total[1] + of]
        share = 100 * total[0] / max(total[1], 1)
        tap.result(total[0] == total[1] if priority == "P0" else share >= 95,
                   f"{priority}: {total[0]} of {total[1]} attempts refused ({share:.1f} %)")
    print(f"# {sum(e[3].startswith('rows') for e in entries)} of {len(entries)} entries have rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="a line for each attempt")
    parser.add_argument("rows", nargs="*")
    args = parser.parse_args()
    build = os.environ["EGRESSCTL_BUILD"]
    if not os.environ.get("EGRESSCTL_VM"):
        sys.exit("this changes the network and attacks the machine: only in tools/vm")
    kernel = os.environ["EGRESSCTL_VM"]
    patterns = args.rows or os.environ.get("EGRESSCTL_ATTACKS", "*").split()
    rows = [r for r in read_rows(f"{build}/selftests/attacks/attack")
            if any(fnmatch.fnmatch(r.name, p) for p in patterns)]
    suite, tap = Suite(build), Tap()
    began = time.monotonic()
    suite.begin(sorted({r.policy for r in rows}), ["user", "root"])
    print(f"# set up in {time.monotonic() - began:.0f} s", flush=True)
    by_entry = collections.OrderedDict()
    for row in rows:
        by_entry.setdefault(row.entry, []).append(row)
    outcomes = []
    for entry, those in by_entry.items():
        for who in ("user", "root"):
            some = [suite.judge(r, who) for r in those if r.by in ("both", who)]
            outcomes += some
            if args.table:
                for o in some:
                    print("# " + line(o), flush=True)
            if some:
                report(tap, entry, who, some, kernel)
    # that a sandbox which a control made has ended is no violation
    ours = {b.sandbox for b in suite.boxes.values()}
    strangers = [e for s, events in suite.log.events.items() if s not in ours
                 for e in events if e["op"] != "end" or e["denied"]]
    tap.result(not strangers, "no event of a task outside", *map(json.dumps, strangers))
    if patterns == ["*"]:
        account(tap, outcomes)
    suite.end()
    print(f"# {len(outcomes)} attempts in {time.monotonic() - began:.0f} s")
    return tap.done()


if __name__ == "__main__":
    if os.environ.get("EGRESSCTL_PROFILE"):
        import cProfile
        import pstats
        profile = cProfile.Profile()
        profile.runcall(main)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(45)
    sys.exit(main())

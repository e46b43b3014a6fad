# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Was it done? Each answers by what others have seen; none believes an errno."""
import glob
import os

from world import WORK


class Try:
    """One attempt at one row, as far as it has come."""

    def __init__(self, rig, world, row, who, box, nonce):
        self.rig, self.world, self.row, self.who, self.box = rig, world, row, who, box
        self.nonce, self.hex = nonce, nonce.hex().encode()
        self.how = self.err = self.why = None
        self.loot, self.pid = b"", 0

    def carried(self, data):
        return self.nonce in data or self.hex in data.lower()


def reached(host):
    return lambda t: t.rig.hosts[host].nonces > 0 or t.rig.hosts[host].syns > 0


def relayed(t):
    """A server of somebody else's on this machine heard of it."""
    return t.rig.host.connections > 0 or any(t.carried(d) for d in t.rig.host.received)


def harmed(t):
    return any(v.harmed() for v in t.world.victims.values())


def service_harmed(t):
    return not os.path.exists(f"/proc/{t.box.service}")


def ran(t):
    """The program that may not be run has left its mark."""
    return any(os.path.getsize(p) for p in glob.glob(f"{WORK}/ran*"))


def upcall(_t):
    """The kernel has started a program of root's outside."""
    return os.path.exists("/tmp/upcalls")


NETWORK = {"ok", "evil", "dns", "any", "host", "answered", "both"}
JUDGES = {
    # nothing but the kernel's answer tells a refusal from what came next: a probe
    "claim": lambda t: t.how == "done",
    "ok": reached("ok"), "evil": reached("evil"), "dns": reached("dns"),
    "any": lambda t: any(reached(h)(t) for h in t.rig.hosts),
    "host": relayed,
    # this machine's answer to a connection has been seen
    "answered": lambda t: bool(t.rig.hosts["evil"].synacks),
    "loot": lambda t: t.world.looted(t.loot),
    "tree": lambda t: t.world.changed(),
    "victim": harmed,
    "ran": ran,
    "upcall": upcall,
    "both": lambda t: reached("evil")(t) or t.world.looted(t.loot),
}

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The resolver of the test machine, and what a zone of an attacker's answers."""
import socket
import struct

A, CNAME, AAAA = 1, 5, 28
# name -> addresses; what policies allow are *.allowed.test (private: true) and *.public.test
ZONE = {
    "ok.allowed.test": ["10.203.1.2"],
    "far.allowed.test": ["10.203.2.2"],
    "glue.allowed.test": ["10.203.1.2"],
    "loopback.public.test": ["127.0.0.1"],
    "any.public.test": ["0.0.0.0"],
    "private.public.test": ["10.203.2.2"],
    "own.public.test": ["10.203.2.1"],
    "metadata.public.test": ["169.254.169.254"],
    "loopback6.public.test": ["::1"],
    "mapped.public.test": ["::ffff:127.0.0.1"],
    "unique-local.public.test": ["fd20:2::2"],
}


def name_at(data, at):
    labels = []
    for _ in range(128):
        n = data[at]
        at += 1
        if not n or n & 0xc0:
            break
        labels.append(data[at:at + n].decode("latin-1"))
        at += n
    return ".".join(labels).lower(), at


def wire(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"


def record(name, address):
    six = ":" in address
    data = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
    return wire(name) + struct.pack("!HHIH", AAAA if six else A, 1, 60, len(data)) + data


class Stub:
    def __init__(self):
        self.asked = []

    def reset(self):
        self.asked = []

    def answer(self, data, host):
        """Of whoever is asked: all of them know the zone."""
        try:
            name, at = name_at(data, 12)
            qtype = struct.unpack("!H", data[at:at + 2])[0]
        except (IndexError, struct.error):
            return None
        self.asked.append((host, name, qtype))
        addresses = [a for a in ZONE.get(name, [])
                     if (AAAA if ":" in a else A) == qtype]
        records = [record(name, a) for a in addresses]
        extra = []
        if name == "glue.allowed.test" and qtype == A:
            # what was not asked for, in the answer and beside it
            records.append(record("far.allowed.test", "10.203.2.2"))
            extra.append(record("ok.allowed.test", "10.203.2.2"))
        rcode = 0 if name in ZONE else 3
        head = data[:2] + struct.pack("!HHHHH", 0x8580 | rcode, 1, len(records), 0, len(extra))
        return head + data[12:at + 4] + b"".join(records) + b"".join(extra)

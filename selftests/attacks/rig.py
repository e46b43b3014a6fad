# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hosts in network namespaces, with servers and sniffers, and one loop that serves all of them.

    ok     10.203.1.2  fd20:1::2   what policies allow
    evil   10.203.2.2  fd20:2::2   what they do not; metadata and translated addresses, and ok's own
    dns    10.203.3.2              the resolver of this machine, which writes down what it is asked

"Has it arrived?" is answered without waiting for time to pass: a marker is sent from every processor
behind what was sent before, and a veth queue keeps the order.
"""
import ctypes
import os
import selectors
import socket
import struct
import subprocess
import time

import dnsstub

PORT, PORT2, RELAY, NAMED, DISCARD = 7001, 7002, 7200, 7300, 9
PORTS = [53, 80, 443, 853, PORT, PORT2, NAMED]
HOSTS = {"ok": ("10.203.1", "fd20:1:"), "evil": ("10.203.2", "fd20:2:"),
         "dns": ("10.203.3", "fd20:3:")}
METADATA = ["169.254.169.254", "168.63.129.16", "100.100.100.200"]
# metadata, and evil's IPv4 address inside of IPv6 ones
EVIL6 = ["fd00:ec2::254", "64:ff9b::acb:202", "64:ff9b:1::acb:202", "2002:acb:202::1",
         "2001:0:acb:202::1", "::10.203.2.2"]
PATIENCE = 300          # seconds; ends what hangs, decides nothing
MARKER = b"attacks-marker"
HANG_UP = object()      # the answer of a server that gives none
ETH_P_ALL, PACKET_OUTGOING, SOL_PACKET = 3, 4, 263
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def setns(path, kind):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, kind):
            raise OSError(ctypes.get_errno(), path)
    finally:
        os.close(fd)


class inside:
    """with inside("evil"): sockets are made in that host."""

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        if self.host:
            setns(f"/run/netns/{self.host}", CLONE_NEWNET)

    def __exit__(self, *_):
        if self.host:
            setns("/proc/1/ns/net", CLONE_NEWNET)


def shell(command):
    subprocess.run(["sh", "-ec", command], check=True, stdin=subprocess.DEVNULL)


def ip(host, *lines):
    """`ip` in one process: it is slow to start in an emulator."""
    subprocess.run(["ip", *(["-n", host] if host else []), "-b", "-"], check=True,
                   input="\n".join(lines).encode())


class Host:
    """What it has seen since the last reset."""

    def __init__(self, name):
        self.name, self.marks = name, 0
        self.reset()

    def reset(self):
        self.nonces = self.syns = self.connections = 0
        self.received = []
        self.synacks = set()    # ports of this machine that answered a connection

    def frame(self, data, nonces, protocol):
        """data: from the IP header on."""
        if MARKER in data:
            self.marks += 1
            return
        if any(n in data or n.lower() in data.lower() for n in nonces):
            self.nonces += 1
        six = protocol == 0x86dd
        if len(data) < 40:
            return
        kind = data[6 if six else 9]
        self.syns += kind == socket.IPPROTO_SCTP
        if kind != socket.IPPROTO_TCP:
            return
        tcp = data[40 if six else (data[0] & 15) * 4:]
        if len(tcp) < 14:
            return
        if tcp[13] & 0x12 == 2:
            self.syns += 1
        if tcp[13] & 0x12 == 0x12:
            self.synacks.add(struct.unpack("!H", tcp[:2])[0])


class Rig:
    def __init__(self):
        self.loop = selectors.DefaultSelector()
        self.hosts = {name: Host(name) for name in HOSTS}
        self.host = Host("host")        # relays on this machine
        self.nonces = []
        self.sent = dict.fromkeys(HOSTS, 0)
        self.dns = dnsstub.Stub()
        self.sniffers = []

    # ---- set-up

    def up(self):
        shell("modprobe veth; sysctl -qw net.ipv4.ping_group_range='0 2147483647' "
              "net.ipv4.tcp_fastopen=3")
        ip(None, "link set lo up")
        for name, (v4, v6) in HOSTS.items():
            self.add_host(name, v4, v6)
        ip("evil", *[f"addr add {a}/32 dev lo" for a in METADATA],
           *[f"addr add {a}/128 dev lo nodad" for a in EVIL6], "addr add 10.203.1.2/32 dev lo",
           "addr add fe80::2/64 dev eth0 nodad")
        ip("ok", "addr add 10.203.1.3/32 dev lo")
        ip(None, *[f"route add {a} via 10.203.2.2" for a in METADATA],
           *[f"route add {a}/128 via fd20:2::2 dev evil" for a in EVIL6],
           # another way to everything, for those who choose a device
           "route add fd20::/16 via fd20:2::2 dev evil",
           "route add 224.0.0.0/4 dev evil", "addr add fe80::1:1/64 dev evil nodad")
        self.listen(self.host, socket.SOCK_STREAM, "::", RELAY, None)
        self.listen(self.host, socket.SOCK_DGRAM, "::", RELAY, None)
        with open("/etc/resolv.conf", "w") as f:
            f.write("nameserver 10.203.3.2\n")

    def add_host(self, name, v4, v6):
        ip(None, f"netns add {name}", f"link add {name} type veth peer name eth0 netns {name}",
           f"addr add {v4}.1/24 brd {v4}.255 dev {name}", f"addr add {v6}:1/64 dev {name} nodad",
           f"link set {name} up")
        # .9: for markers alone, which rules about .2 do not lead elsewhere
        ip(name, "link set lo up", f"addr add {v4}.9/32 dev lo",
           f"addr add {v4}.2/24 brd {v4}.255 dev eth0",
           f"addr add {v6}:2/64 dev eth0 nodad", "link set eth0 up",
           f"route add default via {v4}.1", f"route add default via {v6}:1")
        with inside(name):
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)     # SO_RCVBUFFORCE
            sniffer.setblocking(False)
            self.watch(sniffer, lambda s=sniffer, h=self.hosts[name]: self.sniff(s, h))
            self.sniffers.append(sniffer)
            for port in PORTS:
                answer = self.dns.answer if port == 53 else None
                self.listen(self.hosts[name], socket.SOCK_STREAM, "::", port, answer)
                self.listen(self.hosts[name], socket.SOCK_DGRAM, "::", port, answer)

    def listen(self, host, kind, address, port, answer):
        s = socket.socket(socket.AF_INET6, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        self.serve(s, host, kind, answer)

    def serve(self, s, host, kind, answer=None):
        """What comes to this socket is the host's; answer: of what was received."""
        s.setblocking(False)
        if kind != socket.SOCK_DGRAM:
            s.listen(64)
            self.watch(s, lambda: self.accept(s, host, kind, answer))
        else:
            self.watch(s, lambda: self.datagram(s, host, answer))

    def watch(self, s, act):
        self.loop.register(s, selectors.EVENT_READ, act)

    # ---- what comes in

    def sniff(self, s, host):
        for _ in range(4096):
            try:
                data, (_, protocol, kind, *_) = s.recvfrom(65536)
            except BlockingIOError:
                return
            if kind != PACKET_OUTGOING:
                host.frame(data, self.nonces, protocol)

    def accept(self, s, host, kind, answer):
        try:
            c, _ = s.accept()
        except BlockingIOError:
            return
        host.connections += 1
        c.setblocking(False)
        self.watch(c, lambda: self.stream(c, host, answer))

    def stream(self, c, host, answer):
        try:
            data = c.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            host.received.append(data)
        if not data or answer is HANG_UP:
            self.forget(c)
            return
        if answer and len(data) > 2:
            reply = answer(data[2:], host.name)
            if reply:
                c.send(struct.pack("!H", len(reply)) + reply)

    def listen_unix(self, name, kind, answer=None):
        """name: a path, or @ and an abstract one. Anybody may connect."""
        s = socket.socket(socket.AF_UNIX, kind)
        if name[0] == "@":
            s.bind("\0" + name[1:])
        else:
            os.makedirs(os.path.dirname(name), exist_ok=True)
            if os.path.lexists(name):
                os.unlink(name)
            s.bind(name)
            os.chmod(name, 0o777)
        self.serve(s, self.host, kind, answer)
        return s

    def forget(self, s):
        self.loop.unregister(s)
        s.close()

    def datagram(self, s, host, answer):
        try:
            data, sender = s.recvfrom(65536)
        except OSError:
            return
        host.received.append(data)
        reply = answer and answer(data, host.name)
        if reply and sender:
            s.sendto(reply, sender)

    # ---- the loop

    def turn(self, seconds=0):
        for key, _ in self.loop.select(seconds):
            key.data()

    def until(self, condition, what):
        """Serve until it holds. The limit is for a rig that is broken."""
        end = time.monotonic() + PATIENCE
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError(what)
            self.turn(1)

    def reset(self, nonces):
        self.nonces = nonces
        for host in [*self.hosts.values(), self.host]:
            host.reset()
        self.dns.reset()

    def flush(self):
        """Whatever was sent before is counted when this returns."""
        cpus = os.sched_getaffinity(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for cpu in cpus:
                os.sched_setaffinity(0, {cpu})
                for name, (v4, _) in HOSTS.items():
                    s.sendto(MARKER, (f"{v4}.9", DISCARD))
                    self.sent[name] += 1
        os.sched_setaffinity(0, cpus)
        for name, host in self.hosts.items():
            self.until(lambda: host.marks >= self.sent[name], f"{name} lost a marker")
        self.drain()

    def drain(self):
        """What is in the buffers of this machine's servers already."""
        while True:
            ready = self.loop.select(0)
            if not ready:
                return
            for key, _ in ready:
                key.data()

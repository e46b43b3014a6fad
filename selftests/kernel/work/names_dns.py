# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""DNS by every kind of call: names_dns.py outside|inside|ways|other NONCE

outside: the site's own server answers, for all names. inside: a sandbox that may ask for
good.example.test and *.wild.test. ways: the calls alone. other: where there is no IPv6.
"""
import ctypes
import errno
import os
import random
import socket
import struct
import sys

A, CNAME, PTR, MX, TXT, AAAA, SRV, HTTPS = 1, 5, 12, 15, 16, 28, 33, 65
mode, nonce = sys.argv[1], sys.argv[2]
inside = mode != "outside"
libc = ctypes.CDLL(None, use_errno=True)
limit = 20  # seconds, to end what hangs


# ---- messages ---------------------------------------------------------------------------------

def wire_name(name):
    return b"".join(bytes([len(p)]) + p for p in name.encode("latin-1").split(b".") if p) + b"\0"


def query(name, qtype=A, opcode=0, qclass=1, edns=b"", count=1):
    head = struct.pack("!6H", random.getrandbits(16), opcode << 11 | 0x100, count, 0, 0, 1)
    return (head + (wire_name(name) + struct.pack("!2H", qtype, qclass)) * count +
            b"\0" + struct.pack("!2HIH", 41, 1232, 0, len(edns)) + edns)


def skip_name(m, at):
    while m[at]:
        if m[at] >= 0xC0:
            return at + 2
        at += m[at] + 1
    return at + 1


class Reply:
    def __init__(self, m, asked):
        self.rcode, self.blocked, self.records = m[3] & 15, False, []
        if m[:2] != asked[:2]:
            raise ValueError("another id")
        qd, an, ns, ar = struct.unpack("!4H", m[4:12])
        at = 12
        for _ in range(qd):
            at = skip_name(m, at) + 4
        for i in range(an + ns + ar):
            at = skip_name(m, at)
            kind, _, _, size = struct.unpack("!2HIH", m[at:at + 10])
            data = m[at + 10:at + 10 + size]
            at += 10 + size
            if kind == 41:
                self.options(data)
            elif i < an:
                self.records.append((kind, data))

    def options(self, data):
        while data:
            code, size = struct.unpack("!2H", data[:4])
            if code == 15 and struct.unpack("!H", data[4:6])[0] == 15:
                self.blocked = True
            data = data[4 + size:]

    def addresses(self):
        return [socket.inet_ntop(socket.AF_INET if k == A else socket.AF_INET6, d)
                for k, d in self.records if k in (A, AAAA)]


# ---- ways to ask ------------------------------------------------------------------------------

def open_socket(server, kind):
    s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, kind)
    # blocking, as Fast Open needs it
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", limit, 0))
    return s


def by_sendto(server, msg):
    with open_socket(server, socket.SOCK_DGRAM) as s:
        s.sendto(msg, (server, 53))
        data, source = s.recvfrom(4096)
        return data, [source]


def by_sendmsg(server, msg):
    with open_socket(server, socket.SOCK_DGRAM) as s:
        s.sendmsg([msg[:5], msg[5:]], [], 0, (server, 53))
        data, _, _, source = s.recvmsg(4096)
        return data, [source]


def by_sendmmsg(server, msg):
    """Two questions in one call; the second answer counts."""
    class Iovec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]

    class Mmsghdr(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint32),
                    ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                    ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                    ("flags", ctypes.c_int), ("padding", ctypes.c_int),
                    ("len", ctypes.c_uint), ("padding2", ctypes.c_int)]

    first = query("good.example.test")
    with open_socket(server, socket.SOCK_DGRAM) as s:
        if ":" in server:
            to = struct.pack("=H", 10) + struct.pack("!HI", 53, 0) + \
                socket.inet_pton(socket.AF_INET6, server) + bytes(4)
        else:
            to = struct.pack("=H", 2) + struct.pack("!H", 53) + \
                socket.inet_aton(server) + bytes(8)
        iovs = [Iovec(m, len(m)) for m in (first, msg)]
        vec = (Mmsghdr * 2)(*[Mmsghdr(to, len(to), ctypes.pointer(i), 1)
                              for i in iovs])
        if libc.sendmmsg(s.fileno(), vec, 2, 0) != 2:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        for _ in range(2):
            data, source = s.recvfrom(4096)
            if data[:2] == msg[:2]:
                return data, [source]
        raise ValueError("no answer to the second question")


def by_connected(server, msg):
    with open_socket(server, socket.SOCK_DGRAM) as s:
        s.connect((server, 53))
        s.send(msg)
        data, source = s.recvfrom(4096)
        return data, [source, s.getpeername()]


def by_tcp(server, msg):
    with open_socket(server, socket.SOCK_STREAM) as s:
        s.connect((server, 53))
        s.sendall(struct.pack("!H", len(msg)) + msg)
        return read_tcp(s), [s.getpeername()]


def by_fastopen(server, msg):
    with open_socket(server, socket.SOCK_STREAM) as s:
        s.sendto(struct.pack("!H", len(msg)) + msg, 0x20000000, (server, 53))
        return read_tcp(s), [s.getpeername()]


def read_tcp(s):
    data = b""
    while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
        more = s.recv(4096)
        if not more:
            raise ValueError("the connection ended")
        data += more
    return data[2:]


WAYS = {"sendto": by_sendto, "sendmsg": by_sendmsg, "sendmmsg": by_sendmmsg,
        "connected": by_connected, "TCP": by_tcp, "Fast Open": by_fastopen}


# ---- checks -----------------------------------------------------------------------------------

def case(name, why):
    print(f"not ok {name} # {why}" if why else f"ok {name}", flush=True)


def guarded(name, f, *args):
    try:
        case(name, f(*args))
    except (OSError, ValueError) as e:
        case(name, f"{type(e).__name__} {e}")


def shown(server):
    """What a program sees of the server that it asked."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server, server)


def check_way(server, way):
    msg = query("good.example.test", AAAA if ":" in server else A)
    data, sources = WAYS[way](server, msg)
    r = Reply(data, msg)
    want = ["2001:db8:1::9"] if ":" in server else ["203.0.113.9"]
    if r.addresses() != want:
        return f"rcode {r.rcode}, {r.addresses()}"
    for s in sources:
        if s[:2] != (shown(server), 53):
            return f"the answer seems to come from {s}"
    msg = query(f"{nonce}.evil.test")
    r = Reply(WAYS[way](server, msg)[0], msg)
    if inside != (r.rcode == 3 and r.blocked) or inside == bool(r.records):
        return f"evil.test: rcode {r.rcode}, blocked {r.blocked}, {r.addresses()}"
    return None


def ask(msg):
    return Reply(by_sendto("203.0.113.53", msg)[0], msg)


def check_refused(msg, rcodes=(3,)):
    r = ask(msg)
    if r.rcode not in rcodes or r.records:
        return f"rcode {r.rcode}, {r.records}"
    if 3 in rcodes and not r.blocked:
        return "no extended error 15"
    return None


def check_records(name, qtype, want):
    r = ask(query(name, qtype))
    return None if r.rcode == 0 and want in [k for k, _ in r.records] else \
        f"rcode {r.rcode}, {r.records}"


def check_two_servers():
    """One socket, two servers: each answer comes from the one asked last."""
    with open_socket("8.8.8.8", socket.SOCK_DGRAM) as s:
        for server in ("8.8.8.8", "203.0.113.53"):
            s.sendto(query("good.example.test"), (server, 53))
            source = s.recvfrom(4096)[1]
            if source != (server, 53):
                return f"{source} for {server}"
    return None


def check_getaddrinfo():
    got = {a[4][0] for a in socket.getaddrinfo("good.example.test", 443, type=socket.SOCK_STREAM)}
    if got != {"203.0.113.9", "2001:db8:1::9"}:
        return got
    try:
        return socket.getaddrinfo(f"{nonce}.evil.test", 443)
    except socket.gaierror as e:
        return None if e.errno == socket.EAI_NONAME else e


def check_not_dns(port, proto):
    """Other resolvers' ports are destinations like any other."""
    with open_socket("8.8.8.8", proto) as s:
        try:
            s.connect(("8.8.8.8", port))
            s.send(nonce.encode())
        except OSError as e:
            return None if e.errno == errno.EPERM else e
    return "it was let through"


def refusals():
    evil = f"{nonce}.evil.test"
    for qtype in (A, AAAA, CNAME, PTR, MX, TXT, SRV, HTTPS, 2, 6, 10, 64, 99, 127):
        guarded(f"refused, type {qtype}", check_refused, query(evil, qtype))
    for qtype in (255, 252, 251, 250, 128):
        guarded(f"refused, type {qtype}", check_refused, query(evil, qtype), (4,))
        guarded(f"of an allowed name, type {qtype}", check_refused,
                query(f"{nonce}-x.wild.test", qtype), (4,))
    for opcode in (1, 2, 4, 5, 6, 15):
        guarded(f"opcode {opcode}", check_refused, query(evil, opcode=opcode), (4,))
    for qclass in (3, 4, 254, 255):
        guarded(f"class {qclass}", check_refused, query(evil, qclass=qclass), (4,))
    for name, code in (("client subnet", 8), ("cookie", 10), ("padding", 12), ("local", 65001)):
        opt = struct.pack("!2H", code, len(nonce)) + nonce.encode()
        guarded(f"refused, EDNS {name}", check_refused, query(evil, edns=opt))
    guarded("refused, mixed case", check_refused,
            query("".join(random.choice((c.upper(), c)) for c in evil)))
    guarded("two questions", check_refused, query(evil, count=2), (1,))
    guarded("dots inside a label", check_refused,
            query("x").replace(b"\1x\0", b"\x11good.example.test\0"))
    guarded("NUL inside a label", check_refused,
            query("x").replace(b"\1x\0", bytes([len(evil) + 1]) + evil.encode() +
                               b"\0\4good\7example\4test\0"))
    for name in (f"{nonce}good.example.test", f"{nonce}.good.example.test",
                 f"good.example.test.{nonce}.evil.test", f"{nonce}wild.test", "wild.test"):
        guarded(f"label boundaries: {name.replace(nonce, 'x')}", check_refused, query(name))


def allowed():
    guarded("TXT of an allowed name", check_records, "good.example.test", TXT, TXT)
    guarded("MX of an allowed name", check_records, "good.example.test", MX, MX)
    guarded("SRV of an allowed name", check_records, "_http._tcp.good.example.test", SRV, SRV)
    guarded("CNAME to another name", check_records, "alias.example.test", A, A)
    guarded("below a wildcard", check_records, "a.b.wild.test", A, A)
    guarded("upper case and a final dot", check_records, "GOOD.Example.TEST.", A, A)
    opt = struct.pack("!2H", 65001, 10) + b"option" + os.urandom(4)
    guarded("with an EDNS option", lambda: None if ask(
        query("one.wild.test", edns=opt)).addresses() else "no address")


# Outside, nobody listens at these.
here = ["127.0.0.53", "127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.53"] if inside else []
servers = ["203.0.113.53", "8.8.8.8"] + \
    ([] if mode == "other" else ["2001:db8:1::53", "2001:4860:4860::8888"])
for server in servers + ["::ffff:8.8.8.8"] + here:
    for way in WAYS:
        guarded(f"{way}, {server}", check_way, server, way)
guarded("two servers, one socket", check_two_servers)
if inside:
    guarded("getaddrinfo", check_getaddrinfo)
    for port in (853, 5353, 5355, 443):
        guarded(f"UDP port {port} of a resolver", check_not_dns, port, socket.SOCK_DGRAM)
        guarded(f"TCP port {port} of a resolver", check_not_dns, port, socket.SOCK_STREAM)
if mode == "inside":
    allowed()
    refusals()
print("end")

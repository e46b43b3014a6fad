# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A client that says things in its own way: names_sites.py WHAT HOST PORT SERVERNAME

tls: a handshake and a request; cuts: the same with the hello cut in two at every 16th byte;
silent: half a hello, and nothing more; keep: two requests on one connection, for HOST and for
SERVERNAME. What became of it is printed: the error's name, or what the server answered.
"""
import errno
import socket
import ssl
import sys

what, host, port, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
cert = sys.argv[5] if len(sys.argv) > 5 else None
limit = 60  # seconds, to end what hangs


def client(server_name):
    context = ssl.create_default_context(cafile=cert)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(into, out, server_hostname=server_name), into, out


def handshake(s, cut):
    tls, into, out = client(name)
    first = True
    while True:
        try:
            tls.do_handshake()
            s.sendall(out.read())
            return tls, into, out
        except ssl.SSLWantReadError:
            data = out.read()
            if first:
                s.sendall(data[:cut])
                first = False
                data = data[cut:]
            s.sendall(data)
            data = s.recv(16384)
            if not data:
                raise ConnectionResetError(0, "the server hung up")
            into.write(data)


def fetch(cut):
    with socket.create_connection((host, port), limit) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls, into, out = handshake(s, cut)
        tls.write(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        s.sendall(out.read())
        while True:
            try:
                data = tls.read(4096)
                return data.decode().rsplit("\r\n", 1)[-1].strip()
            except ssl.SSLWantReadError:
                into.write(s.recv(16384))


def hello_size():
    tls, _, out = client(name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.pending


def silent():
    tls, _, out = client(name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    with socket.create_connection((host, port), limit) as s:
        s.sendall(out.read()[:100])
        s.recv(100)
        return "the server hung up"


def keep():
    answers = []
    with socket.create_connection((host, port), limit) as s:
        for n in (host, name):
            s.sendall(f"GET / HTTP/1.1\r\nHost: {n}\r\n\r\n".encode())
            answers.append(s.recv(4096).decode().rsplit("\r\n", 1)[-1].strip())
            print(answers[-1])
    return "both"


try:
    if what == "tls":
        print(fetch(0))
    elif what == "cuts":
        answers = {fetch(cut) for cut in range(1, hello_size(), 16)}
        print(", ".join(answers))
    elif what == "silent":
        print(silent())
    else:
        print(keep())
except OSError as e:
    print(errno.errorcode.get(e.errno, e))
    sys.exit(1)

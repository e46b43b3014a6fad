# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a test has a sandbox do, one line at a time: grants_act.py COMMANDS ANSWERS

Two FIFOs. Connections have names and live as long as the test wants them to; an answer is
what came of it: ok, or the name of the error. Other threads wait in recv().
"""
import errno
import os
import socket
import ssl
import sys
import threading
import time

LIMIT = 60  # seconds, to end what hangs
socks, waiting, got = {}, {}, {}


def name_of(e):
    if isinstance(e, socket.gaierror):
        return "no-name"
    return errno.errorcode.get(e.errno, repr(e))


def guarded(what, *args):
    try:
        return what(*args) or "ok"
    except OSError as e:
        return name_of(e)


def tcp(key, host, port):
    socks[key] = socket.create_connection((host, int(port)), LIMIT)


class Tls:
    """With errors of the socket that are the socket's own."""

    def __init__(self, host, port, name):
        self.name = name
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile="cert.pem")
        self.tls = context.wrap_bio(self.into, self.out, server_hostname=name)
        self.s = socket.create_connection((host, int(port)), LIMIT)
        self.do(self.tls.do_handshake)

    def do(self, what, *args):
        while True:
            try:
                got = what(*args)
                self.s.sendall(self.out.read())
                return got
            except ssl.SSLWantReadError:
                self.s.sendall(self.out.read())
            data = self.s.recv(16384)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the server hung up")
            self.into.write(data)

    def ask(self):
        self.do(self.tls.write, f"GET / HTTP/1.1\r\nHost: {self.name}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\n") or b"site" not in answer:
            answer += self.do(self.tls.read, 4096)

    def close(self):
        self.s.close()


def tls(key, host, port, server_name):
    """The address of one name, and another said there."""
    socks[key] = Tls(host, port, server_name)


def udp(key, host, port):
    socks[key] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    socks[key].settimeout(LIMIT)
    socks[key].connect((host, int(port)))


def own(key):
    """To a listener of this program's own, which is closed once the other end has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socks[key] = socket.create_connection(listener.getsockname(), LIMIT)
        other = listener.accept()[0]
    threading.Thread(target=echo, args=(other,), daemon=True).start()


def echo(s):
    while data := s.recv(100):
        s.send(data)


def say(key):
    s = socks[key]
    if isinstance(s, Tls):
        return s.ask()
    s.send(b"y")
    return "ok" if s.recv(100) == b"y" else "nothing"


def sendto(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(LIMIT)
        s.sendto(b"y", (host, int(port)))
        s.recv(100)


def bare(host, port):
    with socket.create_connection((host, int(port)), LIMIT):
        pass


def unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\0" + path[1:] if path[0] == "@" else path)


def get(path, how="r"):
    flags = {"r": os.O_RDONLY, "w": os.O_WRONLY, "c": os.O_WRONLY | os.O_CREAT | os.O_EXCL}
    os.close(os.open(path, flags[how]))


def down(key):
    """Begin to read what a server sends without an end."""
    s = socks[key]
    s.send(b"download")
    return "ok" if s.recv(100) else "nothing"


def wait(key):
    """Begin to wait for more, in another thread."""
    def until_end():
        def drain():
            while socks[key].recv(65536):
                pass
            return "end"
        got[key] = guarded(drain)
    waiting[key] = threading.Thread(target=until_end, daemon=True)
    waiting[key].start()


def waited(key):
    waiting[key].join(LIMIT)
    return "hangs" if waiting[key].is_alive() else got[key]


def until(answer, *words):
    """Again and again until it is answered like this."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        said = one(*words)
        if said == answer:
            return said
    return "still " + said


def close(key):
    socks.pop(key).close()


def one(what, *args):
    return guarded(acts[what], *args)


acts = {f.__name__: f for f in (tcp, tls, udp, own, say, sendto, bare, unix, get, down, wait, waited,
                                until, close)}


def serve(commands, answers):
    said = "ready"
    while said:
        with open(answers, "w") as f:
            print(said, file=f)
        with open(commands) as f:
            words = f.readline().split()
        said = words and words[0] != "quit" and one(*words)


serve(sys.argv[1], sys.argv[2])

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A proxy and a service that speaks first: names_proxy.py ANSWERS

3128: an HTTP proxy that connects to 203.0.113.9 whatever name it is asked for. 22: says who it
is and sends back what it hears. A line in ANSWERS says that both listen.
"""
import socket
import sys
import threading


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def proxy(s):
    head = b""
    while b"\r\n\r\n" not in head:
        more = s.recv(4096)
        if not more:
            return
        head += more
    connect = head.startswith(b"CONNECT ")
    up = socket.create_connection(("203.0.113.9", 443 if connect else 80))
    if connect:
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        up.sendall(head)
    threading.Thread(target=pump, args=(up, s), daemon=True).start()
    pump(s, up)


def first(s):
    s.sendall(b"SSH-2.0-test\r\n")
    pump(s, s)


def quietly(f, s):
    try:
        f(s)
    except OSError:
        pass  # a client that is gone


def serve(listener, f):
    while True:
        s, _ = listener.accept()
        threading.Thread(target=quietly, args=(f, s), daemon=True).start()


for port, f in ((3128, proxy), (22, first)):
    listener = socket.create_server(("", port), backlog=16)
    threading.Thread(target=serve, args=(listener, f), daemon=True).start()
with open(sys.argv[1], "w") as answers:
    print("ready", file=answers)
threading.Event().wait()

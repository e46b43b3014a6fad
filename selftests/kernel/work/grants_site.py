# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The other side for grants_act.py: grants_site.py READY PORT...

Each port answers TCP and UDP with what it was told; one that is told `download` sends as
long as it is read.
"""
import socket
import sys
import threading


def serve_tcp(c):
    try:
        while data := c.recv(100):
            if data != b"download":
                c.send(data)
                continue
            while True:
                c.send(b"x" * 1000)
    except OSError:
        pass
    c.close()


def accept(s):
    while True:
        threading.Thread(target=serve_tcp, args=(s.accept()[0],), daemon=True).start()


def answer(s):
    while True:
        s.sendto(*s.recvfrom(100))


for port in map(int, sys.argv[2:]):
    tcp = socket.create_server(("", port))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", port))
    for what, s in (accept, tcp), (answer, udp):
        threading.Thread(target=what, args=(s,), daemon=True).start()
with open(sys.argv[1], "w") as f:
    print("ready", file=f)
threading.Event().wait()

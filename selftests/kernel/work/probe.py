# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Inside a sandbox: tries what is refused and what is allowed, every 0.1 ms, until told to end.

probe.py SECRET ALLOWED HOST CONTROL: HOST has a server at port 7000 (allowed) and at 7001 (not).
CONTROL is a fifo: a line is read when it should end. Prints "tries N" and a line for every wrong
answer.
"""
import errno
import os
import select
import socket
import sys

PAUSE = 0.0001  # seconds

secret, allowed, host, control = sys.argv[1:]
wrong = {}


def expect(name, error, call):
    got = 0
    try:
        call()
    except OSError as e:
        got = e.errno
    if got != error:
        text = f"{name}: {errno.errorcode.get(got, got)}, not {errno.errorcode.get(error, error)}"
        wrong[text] = wrong.get(text, 0) + 1


def tcp(port):
    with socket.socket() as s:
        s.connect((host, port))


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (host, 9))


def look(path):
    os.close(os.open(path, os.O_RDONLY))


def main():
    fd = os.open(control, os.O_RDWR | os.O_NONBLOCK)
    tries = 0
    print("ready", flush=True)
    while not select.select([fd], [], [], PAUSE)[0]:
        tries += 1
        expect("open of what is refused", errno.EACCES, lambda: look(secret))
        expect("connection to what is refused", errno.EPERM, lambda: tcp(7001))
        expect("datagram to what is refused", errno.EPERM, udp)
        expect("open of what is allowed", 0, lambda: look(allowed))
        if tries % 16 == 0:
            expect("connection to what is allowed", 0, lambda: tcp(7000))
    print("tries", tries)
    for text, n in wrong.items():
        print(f"wrong {n} times: {text}")


main()

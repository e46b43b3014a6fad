#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Serves one download over HTTP at loopback, for as long as it is told to.

download.py PORT BYTES: at most 2 MB a second are sent, so that one lasts. Commands, a line each, on
standard input: `count` answers how many bytes the client's kernel has; `finish` sends on without a
limit until there were at least BYTES, and ends the download with it. Says "listening", "begun" after
the first megabyte, and at the end how many bytes there were and their SHA-256.
"""
import fcntl
import hashlib
import selectors
import socket
import struct
import sys
import termios

SO_MAX_PACING_RATE = 47
NO_LIMIT = struct.pack("I", 0xffffffff)
PIECE = bytes(range(256)) * 256


def say(*words):
    print(*words, flush=True)


def acknowledged(client, sent):
    waiting, = struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, b"\0" * 4))
    return sent - waiting


def main():
    port, least = int(sys.argv[1]), int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", port))
    say("listening")
    client, _ = listener.accept()
    client.recv(65536)
    client.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, 2 << 20)
    client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    client.setblocking(False)
    sha, sent, begun, last = hashlib.sha256(), 0, False, False
    with selectors.DefaultSelector() as wait:
        wait.register(client, selectors.EVENT_WRITE)
        wait.register(sys.stdin, selectors.EVENT_READ)
        while not last or sent < least:
            ready = [key.fileobj for key, _ in wait.select()]
            if sys.stdin in ready:
                word = sys.stdin.readline().strip()
                if word == "count":
                    say(acknowledged(client, sent))
                elif word == "finish":
                    client.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, NO_LIMIT)
                    last = True
            if client in ready:
                n = client.send(PIECE)
                sha.update(PIECE[:n])
                sent += n
            if not begun and sent >= 1 << 20:
                begun = True
                say("begun")
    client.close()
    say(sent, sha.hexdigest())


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A workload of the attach tests: does what it is told at a unix socket, and says how it went.

One line a connection, "[thread|child] ACT ARGUMENT…"; the answer is "ok" or the name of an errno. A
thread that was there from the beginning does what begins with "thread", a new child what begins
with "child".
"""
import errno
import os
import queue
import signal
import socket
import sys
import threading

kept = {}


def act(words):
    what, rest = words[0], words[1:]
    if what == "open":
        os.close(os.open(rest[0], os.O_RDONLY))
    elif what == "keep":            # a file
        kept[rest[0]] = os.open(rest[1], os.O_RDONLY)
    elif what == "pread":
        os.pread(kept[rest[0]], 1, 0)
    elif what == "tcp":             # connect and keep
        kept[rest[0]] = socket.create_connection((rest[1], int(rest[2])))
    elif what == "echo":            # one byte there and back
        kept[rest[0]].sendall(b"x")
        if kept[rest[0]].recv(1) != b"x":
            raise OSError(errno.EPIPE, "")
    elif what == "told":            # without a packet of its own
        kept[rest[0]].settimeout(60)
        kept[rest[0]].recv(1)
    elif what == "socket":          # not connected
        kept[rest[0]] = socket.socket(socket.AF_INET, socket.SOCK_STREAM if rest[1] == "tcp"
                                      else socket.SOCK_DGRAM)
    elif what == "packet":
        kept[rest[0]] = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    elif what == "connect":
        kept[rest[0]].connect((rest[1], int(rest[2])))
    elif what == "sendto":
        kept[rest[0]].sendto(b"x", (rest[1], int(rest[2])))
    elif what == "close":
        (os.close if isinstance(kept[rest[0]], int) else lambda s: s.close())(kept.pop(rest[0]))
    elif what == "listen":
        kept[rest[0]] = socket.create_server(("", int(rest[1])))
    elif what == "accept":
        kept[rest[1]] = kept[rest[0]].accept()[0]
    elif what == "exec":
        if os.spawnv(os.P_WAIT, rest[0], rest) != 0:
            raise OSError(errno.EACCES, "")
    elif what == "resolve":
        socket.getaddrinfo(rest[0], 443)
    elif what == "threads":         # more tasks, for counting
        for _ in range(int(rest[0])):
            threading.Thread(target=signal.pause, daemon=True).start()
    else:
        raise OSError(errno.ENOSYS, "")
    return "ok"


def attempt(words):
    try:
        return act(words)
    except socket.gaierror as e:
        return "EAI_" + str(e.errno)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


def in_child(words):
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(w, attempt(words).encode())
        os._exit(0)
    os.close(w)
    answer = os.read(r, 64).decode()
    os.waitpid(pid, 0)
    return answer


def main():
    asked, answered = queue.Queue(), queue.Queue()

    def thread():
        while True:
            answered.put(attempt(asked.get()))

    threading.Thread(target=thread, daemon=True).start()
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[1])
    server.listen()
    os.chmod(sys.argv[1], 0o666)
    if len(sys.argv) > 2:           # ready
        with open(sys.argv[2], "w") as f:
            f.write("ready\n")
    while True:
        s, _ = server.accept()
        words = s.makefile().readline().split()
        if words[0] == "end":
            break
        if words[0] == "thread":
            asked.put(words[1:])
            answer = answered.get()
        elif words[0] == "child":
            answer = in_child(words[1:])
        else:
            answer = attempt(words)
        s.sendall(answer.encode() + b"\n")
        s.close()


main()

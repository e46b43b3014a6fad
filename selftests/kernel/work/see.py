# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What see_test.sh looks at: one live connection, and accesses that are refused."""
import ctypes
import os
import socket
import sys


def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return
    print("done:", *arguments)


flow = socket.create_connection(("data.test", 9000))
flow.sendall(b"x" * 1000)
left = 5000
while left:
    left -= len(flow.recv(left))
attempt(socket.create_connection, ("169.254.169.254", 80))
attempt(open, os.environ["HOME"] + "/.ssh/id_ed25519")
attempt(socket.getaddrinfo, "missing.test", 443, socket.AF_INET)
ctypes.CDLL(None).prctl(15, b"\x1b]0;\xc2\x9bevil\x07", 0, 0, 0)  # PR_SET_NAME
attempt(open, b"/srv/launch/secrets/\x1b[2J\nend of sandbox")
sys.stdout.flush()
open("fifo", "w").write("ready\n")
open("hold").read()

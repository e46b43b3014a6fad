# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What arrives in this network namespace: names_sniff.py FRAMES FLOWS ANSWERS CPUS

FRAMES gets each frame in lower case, to be searched for text; FLOWS a line for each of TCP
and UDP: "tcp 203.0.113.9:443 data 517". A marker sent from every processor through the same
link is answered with a line in ANSWERS: what was sent before it has been written by then.
"""
import ipaddress
import socket
import sys

MARKER = b"egressctl-marker"
frames = open(sys.argv[1], "wb", 0)
flows = open(sys.argv[2], "wb", 0)
answers = open(sys.argv[3], "wb", 0)
cpus = int(sys.argv[4])


def flow(f):
    kind = int.from_bytes(f[12:14], "big")
    ip = f[14:]
    if kind == 0x0800:
        proto, dst, head, end = ip[9], ip[16:20], (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
    elif kind == 0x86DD:
        proto, dst, head, end = ip[6], ip[24:40], 40, 40 + int.from_bytes(ip[4:6], "big")
    else:
        return None
    if proto not in (6, 17):
        return None
    port = int.from_bytes(ip[head + 2:head + 4], "big")
    head += (ip[head + 12] >> 4) * 4 if proto == 6 else 8
    name = "tcp" if proto == 6 else "udp"
    return f"{name} {ipaddress.ip_address(dst)}:{port} data {end - head}\n".encode()


s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
answers.write(b"ready\n")
markers = 0
while True:
    data, where = s.recvfrom(65536)
    if where[2] == socket.PACKET_OUTGOING:
        continue
    if MARKER in data:
        markers += 1
        if markers % cpus == 0:
            answers.write(b"flushed\n")
        continue
    frames.write(data.lower())
    line = flow(data)
    if line:
        flows.write(line)

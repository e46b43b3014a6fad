# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What somebody outside does for a row, or to it: before, while it waits, and when it asks."""
import array
import ctypes
import os
import socket
import subprocess

from rig import HANG_UP, PORT, inside, libc, shell
from world import CLOSED, D, RUN, WORK

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
SERVERS = [(f"{RUN}/docker.sock", STREAM), (f"{RUN}/seqpacket.sock", SEQPACKET),
           (f"{RUN}/datagram.sock", DGRAM), ("@attacks-relay", STREAM),
           ("@attacks-relay-seqpacket", SEQPACKET), ("@attacks-relay-datagram", DGRAM),
           ("/run/systemd/resolve/io.systemd.Resolve", STREAM),
           ("/run/avahi-daemon/socket", STREAM), ("/run/systemd/private", STREAM),
           ("/run/dbus/system_bus_socket", STREAM), ("@/containerd-shim/attacks.sock", STREAM)]
NSCD = "/run/nscd/socket"
CALLED = {"A33:accept": 7100, "A33:accept-uring": 7101, "A35:syn-ack": 7102}
TOLD = 7103
PIN = "/sys/fs/bpf/attacks-pin"
KEY_SHM, KEY_MSG, KEY_SEM = 0x61747401, 0x61747402, 0x61747403
IPC_CREAT, IPC_NOWAIT = 0o1000, 0o4000
# what root's attacks on the network leave behind where they succeed
UNDO = """
    set +e  # most of it is not there
    ip route del 10.203.1.2/32 2>/dev/null
    ip addr del 10.203.1.2/32 dev lo 2>/dev/null
    ip neigh flush dev ok nud permanent
    ip rule del to 10.203.1.2 2>/dev/null
    ip route flush table 77 2>/dev/null
    tc qdisc del dev ok clsact 2>/dev/null
    ip link del attacks1 2>/dev/null
    nft flush ruleset 2>/dev/null
    iptables-legacy -t nat -F 2>/dev/null
    true
"""


class Outside:
    def __init__(self, rig, world, egressctl):
        self.rig, self.world, self.egressctl = rig, world, egressctl
        self.kept = []
        self.passer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.passer.bind("\0attacks-passer")
        self.passer.listen(16)
        self.passer.setblocking(False)
        rig.watch(self.passer, self.accept)
        self.log = None
        for name, kind in SERVERS:
            if not os.path.exists(name):    # where systemd runs it has its own
                rig.listen_unix(name, kind)
        self.make_terminal()
        self.make_ipc()
        self.make_helper()

    def serve_names(self):
        """When all has started: the C library of each program that looks up a user waits five seconds
        for an answer, or for the end of the connection."""
        self.rig.listen_unix(NSCD, STREAM, HANG_UP)

    def make_terminal(self):
        """The master side is read like a server of somebody else's."""
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        name = os.ttyname(self.slave)
        os.chmod(name, 0o666)
        os.symlink(name, f"{D}/terminal")
        self.rig.loop.register(self.master, 1, lambda: self.rig.host.received.append(
            os.read(self.master, 4096)))

    def make_ipc(self):
        self.shm = libc.shmget(KEY_SHM, 64, IPC_CREAT | 0o666)
        self.msg = libc.msgget(KEY_MSG, IPC_CREAT | 0o666)
        libc.semget(KEY_SEM, 1, IPC_CREAT | 0o666)

    @staticmethod
    def make_helper():
        """What the kernel starts as root to resolve a name says that it was started."""
        with open("/sbin/request-key", "w") as f:
            f.write("#!/bin/sh\necho \"$@\" >>/tmp/upcalls\n")
        os.chmod("/sbin/request-key", 0o755)

    # ---- descriptors, to whoever asks

    def accept(self):
        c, _ = self.passer.accept()
        c.setblocking(False)
        self.rig.watch(c, lambda: self.asked(c))

    def asked(self, c):
        try:
            data, fds, _, _ = socket.recv_fds(c, 64, 4)
        except OSError:
            data, fds = b"", []
        if not data:
            self.rig.loop.unregister(c)
            c.close()
            return
        for fd in fds:
            self.lent(fd)
        make = getattr(self, "pass_" + data.decode().replace("-", "_"), None)
        if make:
            thing = make()
            fd = thing if isinstance(thing, int) else thing.fileno()
            try:
                c.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                    array.array("i", [fd]))])
            except OSError:
                pass
            if isinstance(thing, int):
                os.close(thing)
            else:
                thing.close()
        elif not fds:
            c.send(b"x")

    def lent(self, fd):
        """A socket from inside, used here."""
        self.used = True
        with socket.socket(fileno=fd) as s:
            try:
                s.sendto(self.current.nonce, ("10.203.2.2", PORT))
            except OSError:
                pass

    @staticmethod
    def pass_tcp():
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def before_connected(self, t):
        """So that what evil sees of it is not taken for the attack."""
        self.connected = socket.create_connection(("10.203.2.2", PORT))
        self.rig.flush()
        self.rig.reset([t.nonce, t.hex])

    before_A30_tcp_connected = before_A30_uring = before_connected

    def pass_tcp_connected(self):
        return self.connected

    @staticmethod
    def pass_udp():
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    @staticmethod
    def pass_udp_connected():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("10.203.2.2", PORT))
        return s

    @staticmethod
    def pass_raw():
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)

    @staticmethod
    def pass_netlink():
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

    @staticmethod
    def pass_secret():
        return os.open(f"{CLOSED}/key", os.O_RDONLY)

    @staticmethod
    def pass_directory():
        return os.open(CLOSED, os.O_RDONLY | os.O_DIRECTORY)

    @staticmethod
    def pass_path():
        return os.open(CLOSED, os.O_PATH)

    @staticmethod
    def pass_writable():
        return os.open(f"{D}/readonly/f", os.O_RDWR)

    @staticmethod
    def pass_procs():
        return os.open("/sys/fs/cgroup/cgroup.procs", os.O_WRONLY)

    @staticmethod
    def pass_sysctl():
        return os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)

    # ---- before, meanwhile, afterwards

    def before(self, t):
        self.current, self.used = t, False
        hook = getattr(self, "before_" + t.row.id, None)
        if hook:
            hook(t)

    def meet(self, t, what, pid):
        getattr(self, "meet_" + what)(t, pid)

    def after(self, t):
        for thing in self.kept:
            thing.close()
        self.kept = []
        if t.row.entry in ("A41", "A42", "A43", "A44") and not t.box.sandbox:
            shell(UNDO)
        hook = getattr(self, "after_" + t.row.id, None)
        if hook:
            hook(t)

    # ---- a rule that goes

    def grant(self, t):
        if t.box.sandbox:
            for dest in (f"10.203.2.2:{PORT}", f"10.203.2.2:{PORT}/udp"):
                subprocess.run([self.egressctl, "allow", str(t.box.sandbox), f"connect {dest}",
                                "--for", "run"], check=True, stdout=subprocess.DEVNULL)

    before_A14_revoked = before_A37_tcp = before_A37_udp = grant

    def meet_connected(self, t, _pid):
        """Outside of a sandbox nothing is revoked, and the flow goes on."""
        self.rig.drain()
        if t.box.sandbox:
            subprocess.run([self.egressctl, "revoke", str(t.box.sandbox)], check=True,
                           stdout=subprocess.DEVNULL)
            # what was sent before was allowed
            self.rig.flush()
            for host in self.rig.hosts.values():
                host.reset()

    def meet_lent(self, _t, _pid):
        self.rig.until(lambda: self.used, "the socket that was lent does not come")

    # ---- somebody connects, or sends

    def until_event(self, t, op):
        self.rig.until(lambda: any(e["op"] == op for e in self.log.events.get(t.box.sandbox, [])),
                       f"{t.row.name}: no {op} in the log")

    def meet_called(self, t, _pid):
        with inside("evil"):
            s = socket.socket(socket.AF_INET, STREAM)
        self.kept.append(s)
        s.setblocking(False)
        s.connect_ex(("10.203.2.1", CALLED[t.row.name]))
        if t.box.sandbox:
            self.until_event(t, "accept")
        else:
            self.rig.until(lambda: established(s), "nobody accepts")

    def meet_told(self, t, _pid):
        with inside("evil"):
            s = socket.socket(socket.AF_INET, DGRAM)
        self.kept.append(s)
        s.sendto(self.world.token.encode(), ("10.203.2.1", TOLD))
        if t.box.sandbox:
            self.until_event(t, "accept")
        else:
            self.rig.until(lambda: queued(TOLD), "the datagram does not come")

    @staticmethod
    def meet_remove(_t, _pid):
        os.unlink(f"{CLOSED}/sub/f")

    @staticmethod
    def meet_move(_t, pid):
        """As a service manager does that was asked for a unit."""
        with open("/sys/fs/cgroup/attacks/cgroup.procs", "w") as f:
            f.write(str(pid))

    # ---- objects that are made anew

    @staticmethod
    def before_pin(_t):
        if not os.path.exists(PIN):
            subprocess.run(["bpftool", "map", "create", PIN, "type", "array", "key", "4", "value",
                            "4", "entries", "1", "name", "attacks"], check=True)

    before_D05_pin = before_D06_unlink = before_D06_rename = before_D06_chmod = before_pin

    def before_A50_rename(self, _t):
        self.kept.append(Closing(self.rig, self.rig.listen_unix(f"{WORK}/other.sock", STREAM)))

    before_A50_exchange = before_A50_rename

    def before_A52_shm(self, _t):
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(self.shm, None, 0)
        ctypes.memmove(at, self.world.token.encode(), 32)
        libc.shmdt(ctypes.c_void_p(at))

    def before_A52_msg(self, _t):
        text = ctypes.create_string_buffer(72)
        while libc.msgrcv(self.msg, text, 64, 0, IPC_NOWAIT) > 0:
            pass
        message = (1).to_bytes(8, "little") + self.world.token.encode()
        libc.msgsnd(self.msg, message, 32, 0)

    @staticmethod
    def before_A54_request_key(_t):
        if os.path.exists("/tmp/upcalls"):
            os.unlink("/tmp/upcalls")

    def before_A64_other_sandbox(self, t):
        """Another sandbox asks for the name first; outside there is nobody who must."""
        if not t.box.sandbox:
            return
        other = self.boxes[t.who, "asker"]
        answer = other.do("A64:allowed", {"nonce": t.nonce.hex()}, None)
        assert answer[0] == "done", answer
        self.log.until_mark(other.sandbox, other.pid)
        self.rig.flush()
        self.rig.reset([t.nonce, t.hex])


class Closing:
    def __init__(self, rig, s):
        self.rig, self.s = rig, s

    def close(self):
        self.rig.forget(self.s)


def established(s):
    try:
        s.getpeername()
        return True
    except OSError:
        return False


def queued(port):
    """Somebody's datagram waits at this port."""
    with open("/proc/net/udp") as f:
        for line in f:
            fields = line.split()
            if len(fields) > 4 and fields[1].endswith(f":{port:04X}"):
                return int(fields[4].split(":")[1], 16) > 0
    return False

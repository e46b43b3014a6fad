# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Files with secrets, processes of others, and what was done to them.

Secrets change before each attempt, and an attack is not told what they are: that it read one is
shown by what it brings back.
"""
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys

from rig import PORT, inside, shell

D = "/srv/attacks"
CLOSED, READONLY, NOEXEC, WORK, WS, RUN = (f"{D}/{n}" for n in (
    "closed", "readonly", "noexec", "work", "ws", "run"))
MARK = f"{D}/mark"
SIGRTMAX = 64
USER, UIDS = 65534, {"user": 65534, "root": 0}
DEEP = [f"{i:03}" + "x" * 57 for i in range(60)]     # 3,600 bytes
BEYOND = [f"{i:03}" + "x" * 57 for i in range(80)]   # 4,800: no path can be written

# kinds of sockets and filesystems that a kernel has as modules
MODULES = ("fuse sctp dccp_ipv4 af_key tipc kcm qrtr rxrpc can_raw bluetooth pppoe smc llc2 vsock "
           "algif_hash l2tp_ip nbd dns_resolver nfs cifs 9p ceph tun vxlan ipip act_mirred "
           "cls_matchall nf_tables nft_nat nft_dup_ipv4 iptable_nat xsk_diag msr binfmt_misc "
           "configfs")
NFT = {
    "dnat": "chain out {{ type nat hook output priority -100; ip daddr 10.203.1.2 "
            "dnat to 10.203.2.2; }}",
    "dup": "chain out {{ type filter hook output priority 0; ip daddr 10.203.1.2 "
           "dup to 10.203.2.2; }}",
}
# where a secret is; the directories' rules are in boxes.py
SECRETS = [f"{CLOSED}/key", f"{CLOSED}/sub/f", f"{WS}/a/b/secret/key", f"{D}/anchored/key",
           f"{D}/anchored/other", f"{D}/over/secret/f", f"{D}/tmpfs/secret/f", f"{CLOSED}/prog.txt", f"{WS}/.env"]
GUARDED = [CLOSED, READONLY, f"{WS}/hooks", f"{WS}/not-yet", f"{WS}/a/b/secret", NOEXEC]


def described(st):
    """The kernel notes each change of contents, names and attributes."""
    return st.st_mode, st.st_uid, st.st_nlink, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino


def snapshot(tops):
    seen, todo = {}, list(tops)
    while todo:
        path = todo.pop()
        try:
            st = os.lstat(path)
        except FileNotFoundError:
            continue
        seen[path] = described(st)
        if stat.S_ISDIR(st.st_mode):
            todo += [f"{path}/{name}" for name in os.listdir(path)]
    return seen


def make(path, content=None, mode=0o666):
    if content is None:
        os.makedirs(path, exist_ok=True)
    else:
        with open(path, "wb") as f:
            f.write(content)
    os.chmod(path, 0o777 if content is None else mode)
    os.chown(path, USER, USER)


def holds_deleted(process):
    """The file behind its descriptor 8 was made anew, and what it holds is an old secret."""
    return os.stat(f"/proc/{process.pid}/fd/8").st_nlink == 0


class Victim:
    """A process outside that has a secret in its environment, its memory and its descriptors."""

    def __init__(self, world, who, host=None):
        self.world, self.who, self.host = world, who, host
        self.process = None
        self.start()

    def start(self):
        self.token = secrets.token_hex(16)
        with inside(self.host):
            sock = socket.create_connection(("10.203.2.2", PORT)) if not self.host else None
        key = os.open(f"{CLOSED}/key", os.O_RDWR)
        fds = {8: key, 9: sock.fileno() if sock else key}

        def prepare():
            # far away first, so that none is closed by the other
            far = {n: os.dup2(fd, n + 500) for n, fd in fds.items()}
            for n, fd in far.items():
                os.dup2(fd, n)
            os.closerange(10, 600)
        command, uid = [f"{D}/bin/attack", "--victim"], UIDS[self.who]
        if self.host:       # a victim of root's
            command = ["ip", "netns", "exec", self.host, *command]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=prepare,
                                        user=uid, group=uid, extra_groups=[], pass_fds=(8, 9),
                                        env={"ATTACK_TOKEN": self.token})
        os.close(key)
        self.sock = sock
        out = self.process.stdout
        ready = out.readline().split()
        if ready[:1] != [b"ready"]:
            sys.exit(f"a victim does not start: {ready}")
        self.address = int(ready[1], 16)
        self.said, self.asked = b"", False
        os.set_blocking(out.fileno(), False)
        self.before = self.state()

    def state(self):
        """None: dead. What others may not change."""
        pid = self.process.pid
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{pid}/limits") as f:
                limits = f.read()
            with open(f"/proc/{pid}/oom_score_adj") as f:
                oom = f.read()
            with open(f"/proc/{pid}/mem", "rb") as f:
                f.seek(self.address)
                memory = f.read(32)
        except OSError:
            return None
        if fields[0] in "ZX":
            return None
        policy = os.sched_getscheduler(pid), sorted(os.sched_getaffinity(pid))
        stopped = fields[0] in "Tt"
        try:
            said = self.process.stdout.read() or b""
        except BlockingIOError:
            said = b""
        self.said += said
        return stopped, fields[16], limits, oom, memory, policy, self.said

    def settle(self):
        """Signals come by number, so that when the last is told all before it were."""
        pid, mark = self.process.pid, f"signal {SIGRTMAX}\n".encode()
        while self.state() is not None and not self.state()[0]:
            if self.said.endswith(mark):
                self.said = self.said[:-len(mark)]
                return
            if not self.asked:
                self.asked = True
                os.kill(pid, SIGRTMAX)

    def harmed(self):
        self.asked = False
        self.settle()
        return self.state() != self.before

    def reset(self):
        if self.harmed() or holds_deleted(self.process):
            self.process.kill()
            self.process.wait()
            self.start()


class World:
    def __init__(self, build):
        self.build = build
        self.victims = {}
        self.token = ""

    # ---- files

    def make_place(self):
        """A filesystem with everything that attacks know of."""
        shell(f"""
            mkdir -p {D} /etc/egressctl/policies /etc/systemd/system
            modprobe -aq loop ext4 overlay {MODULES} || true
            sysctl -qw kernel.yama.ptrace_scope=0 fs.protected_hardlinks=0 fs.protected_regular=0
            test ! -e /proc/sys/dev/tty/legacy_tiocsti || sysctl -qw dev.tty.legacy_tiocsti=1
            truncate -s 96M /tmp/attacks.img
            mkfs.ext4 -q -F /tmp/attacks.img
            mount -o loop /tmp/attacks.img {D}
            chmod 755 {D}; rm -rf {D}/lost+found
            mkdir {D}/bin {D}/links {D}/anchored {RUN} {D}/mnt {D}/tmpfs {D}/over {D}/layers
            chmod 777 {D}/links {D}/anchored {RUN} {D}/mnt {D}/bin
            install -m 755 {self.build}/selftests/attacks/attack {D}/bin/attack
            install -m 755 {self.build}/egressctl {self.build}/egress-run {D}/bin
            install -D -m 755 {self.build}/egressd {D}/service/egressd
            install -m 4755 {self.build}/selftests/attacks/attack {D}/bin/suid
            mount -t tmpfs -o mode=777 attacks {D}/tmpfs
            mkdir /sys/fs/cgroup/attacks
            mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || true
            mkdir -p {D}/layers/lower/secret {D}/layers/upper {D}/layers/work
            echo lower >{D}/layers/lower/secret/f
            chmod -R 777 {D}/layers/lower
            mount -t overlay -o lowerdir={D}/layers/lower,upperdir={D}/layers/upper,\
workdir={D}/layers/work attacks {D}/over
        """)
        make(MARK, b"mark", 0o644)
        for name, rule in NFT.items():
            with open(f"{D}/bin/{name}.nft", "w") as f:
                f.write("table ip attacks { " + rule.replace("{{", "{").replace("}}", "}") + "\n}\n")
        make(f"{D}/tmpfs/secret")
        for name in ("key", "other"):
            make(f"{D}/anchored/{name}", b"")
            os.link(f"{D}/anchored/{name}", f"{D}/links/{name}")
        self.block_device()
        for names in (DEEP, BEYOND):
            self.make_deep(names)
        self.rebuild()

    def block_device(self):
        """Its content is a secret, too."""
        self.block_token = secrets.token_hex(16)
        with open("/tmp/attacks-block.img", "wb") as f:
            f.write(self.block_token.encode().ljust(1 << 20, b"\0"))
        out = subprocess.run(["losetup", "-f", "--show", "/tmp/attacks-block.img"], check=True,
                             stdout=subprocess.PIPE)
        self.loop_device = out.stdout.decode().strip()
        os.symlink(self.loop_device, f"{D}/block")

    def make_deep(self, names):
        """A tree that is too deep to name, with a secret at its end."""
        fd = os.open(D, os.O_RDONLY)
        for name in [f"deep{len(names)}", *names]:
            os.mkdir(name, dir_fd=fd)
            os.chmod(name, 0o777, dir_fd=fd)
            below = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        self.deep_token = getattr(self, "deep_token", None) or secrets.token_hex(16)
        for name in ("secret", ".env"):
            out = os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd)
            os.write(out, self.deep_token.encode())
            os.fchmod(out, 0o666)
            os.close(out)
        os.close(fd)

    def rebuild(self):
        subprocess.run(["chattr", "-R", "-i", "-a", CLOSED, READONLY], stderr=subprocess.DEVNULL)
        for top in (CLOSED, READONLY, NOEXEC, WS):
            shutil.rmtree(top, ignore_errors=True)
        for path in (CLOSED, f"{CLOSED}/sub", f"{CLOSED}/empty", READONLY, f"{READONLY}/d",
                     f"{READONLY}/empty", NOEXEC, WS, f"{WS}/a", f"{WS}/a/b", f"{WS}/a/b/secret",
                     f"{WS}/hooks", f"{WS}/other"):
            make(path)
        with open(f"{D}/bin/attack", "rb") as f:
            program = f.read()
        for path in (f"{CLOSED}/prog", f"{NOEXEC}/prog"):
            make(path, program, 0o777)
        shutil.copy("/usr/bin/id", f"{NOEXEC}/dynamic")
        make(f"{NOEXEC}/script", b"#!/bin/sh\necho ran\n", 0o777)
        for path in (f"{READONLY}/f", f"{READONLY}/d/f", f"{WS}/other/f"):
            make(path, b"content")
        make(f"{WS}/hooks/pre-commit", b"#!/bin/sh\n", 0o777)
        os.setxattr(f"{READONLY}/f", "user.mark", b"there")
        self.guarded = None

    def reset(self, judge):
        """Before each attempt, as far as its judge looks at it."""
        self.clear_work()
        if judge in ("tree", "loot", "both", "ran"):
            self.reset_files()
        if judge in ("victim", "loot", "both"):
            for victim in self.victims.values():
                victim.reset()

    def reset_files(self):
        if self.guarded is None or snapshot(GUARDED) != self.guarded:
            self.rebuild()
        self.token = secrets.token_hex(16)
        for path in SECRETS:
            if not os.path.exists(path):
                make(path, b"")
            fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
            os.write(fd, self.token.encode().ljust(512))  # a loop device counts in sectors
            os.close(fd)
        self.guarded = snapshot(GUARDED)

    def clear_work(self):
        if not os.path.isdir(WORK):
            make(WORK)
        for e in os.scandir(WORK):
            if e.is_dir(follow_symlinks=False):
                shutil.rmtree(e.path, ignore_errors=True)
            else:
                os.unlink(e.path)
        os.chmod(WORK, 0o777)

    def changed(self):
        return snapshot(GUARDED) != self.guarded

    # ---- secrets

    def tokens(self):
        return [self.token, self.block_token, self.deep_token,
                *(v.token for v in self.victims.values())]

    def looted(self, data):
        return any(t and t.encode() in data for t in self.tokens())

    # ---- victims

    def start_victims(self):
        self.victims = {who: Victim(self, who) for who in UIDS}
        self.victims["hosted"] = Victim(self, "root", "evil")

# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Where attacks run: outside, or in a sandbox; one process there does all of them, a line each."""
import json
import os
import socket
import subprocess

from rig import PORT
from world import D, CLOSED, MARK, NOEXEC, READONLY, RUN, UIDS, WORK, WS

# Everything that the system has, written to where a task may at all: what is refused there is
# refused by the guard and not by a rule.
FILES = f"""
files:
  default: none
  /: r
  /usr: rx
  /bin: rx
  /sbin: rx
  /lib: rx
  /lib64: rx
  /etc: r
  /dev: rwc
  /proc: rw
  /sys: rwc
  /tmp: rwxc
  {D}: r
  {D}/bin: rx
  {D}/links: rwxc
  {D}/mnt: rwxc
  {D}/tmpfs: rwxc
  {D}/tmpfs/secret: none
  {D}/over: rwxc
  {D}/over/secret: none
  {D}/layers: none
  {D}/anchored: none
  {D}/anchored/key: none
  {D}/deep60: rwxc
  {D}/deep80: rwxc
  "{D}/**/.env": none
  {WORK}: rwxc
  {WS}: rwxc
  {WS}/a/b/secret: none
  {WS}/hooks: rx
  {WS}/not-yet: none
  {CLOSED}: none
  {READONLY}: r
  {NOEXEC}: rwc
  {RUN}: r
  {MARK}: none
"""
# everything but what is a secret, and what is egressctl's
WIDE = f"""
files:
  default: rwxc
  {CLOSED}: none
  {MARK}: none
"""
OK = f'"10.203.1.2/32:{PORT}", "10.203.1.2/32:{PORT}/udp", "[fd20:1::2]:{PORT}",' \
     f' "[fd20:1::2]:{PORT}/udp", "10.203.1.2:443/tcp"'
NAMES = '{host: "*.allowed.test", ports: [7300, "7300/udp"], tls: off, private: true},' \
        ' {host: "*.public.test", ports: [7300, "7200", "7001"], tls: off}'


def egress(allow, more=""):
    return f"""
egress:
  allow: [{allow}]
  unix: ["@attacks-passer", "{WORK}/allowed.sock"]
  {more}
"""


POLICIES = {
    "main": FILES + egress(f"{OK}, {NAMES}"),
    # everything but one network
    "broad": FILES + egress('"0.0.0.0/0:*", "[::]/0:*"',
                            'deny: ["10.203.2.0/24", "fd20:2::/64"]'),
    # asks for a name that others may ask for, too, and do not
    "asker": FILES + egress(f"{OK}, {NAMES}"),
    # kinds of sockets that pass where TCP and UDP do not
    "kinds": FILES + egress(f'{OK}, "10.203.1.2:*/icmp"', "sockets: [raw, ping, mptcp, sctp]"),
    "strict": FILES + egress(OK) + "exec: strict\n",
    "wide": WIDE + egress(OK),
    # egressctl's own settings, on purpose
    "named": WIDE + "  /etc/egressctl: rwxc\n" + egress(OK),
    # capabilities in a user namespace of its own
    "userns": FILES + egress(OK) + "privileges: [userns]\n",
    "mounts": FILES + egress(OK) + "privileges: [userns, mounts]\n",
}


class Box:
    """sandbox: None, or a function that puts a command into one."""

    def __init__(self, rig, who, sandbox, mark, name, uid=None):
        self.rig, self.who, self.name = rig, who, name
        self.uid = UIDS[who] if uid is None else uid    # who starts it
        self.lines, self.rest = [], b""
        command = [f"{D}/bin/attack", "--serve"] + ([MARK] if mark else [])
        self.process = self.start(sandbox(command) if sandbox else command)
        rig.loop.register(self.process.stdout, 1, self.read)
        line = rig.until(self.line, f"{name} does not start")
        assert line[0] == "S", line
        self.pid = int(line[1])

    def start(self, command):
        """8 and 9 are open: a secret, and a connection to evil."""
        key = os.open(f"{CLOSED}/key", os.O_RDWR)
        sock = socket.create_connection(("10.203.2.2", PORT))
        fds = {8: key, 9: sock.fileno()}

        def prepare():
            far = {n: os.dup2(fd, n + 500) for n, fd in fds.items()}
            for n, fd in far.items():
                os.dup2(fd, n)
            os.closerange(10, 600)
            os.chdir(WORK)
        os.makedirs("/tmp/home", exist_ok=True)
        os.chmod("/tmp/home", 0o777)
        self.errors = open(f"/tmp/attacks.{self.name}.err", "wb")
        p = subprocess.Popen(
            command, user=self.uid, group=self.uid, extra_groups=[],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, pass_fds=(8, 9),
            preexec_fn=prepare,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp/home", "LANG": "C.UTF-8"})
        os.close(key)
        sock.close()
        os.set_blocking(p.stdout.fileno(), False)
        return p

    def read(self):
        data = self.process.stdout.read()
        if data is None:
            return
        if not data:
            self.rig.loop.unregister(self.process.stdout)
            self.lines.append(["X"])
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines += [l.decode(errors="replace").split("\t") for l in lines]

    def line(self):
        return self.lines.pop(0) if self.lines else None

    def do(self, row, words, meet):
        """The answer to one row: (how, errno, loot, why, pid)."""
        text = " ".join([row] + [f"{k}={v}" for k, v in words.items()]) + "\n"
        self.say(text)
        while True:
            line = self.rig.until(self.line, f"{self.name}: {row} gives no answer")
            if line[0] == "M":
                meet(line[1], int(line[2]))
                self.say("go\n")
            elif line[0] == "R":
                _, _, pid, how, err, loot, why = line
                return how, err, bytes.fromhex(loot), why, int(pid)
            else:
                with open(self.errors.name, errors="replace") as f:
                    raise RuntimeError(f"{self.name} ended in {row}: {f.read()}")

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        self.rig.until(lambda: self.process.poll() is not None, f"{self.name} does not end")


class Log:
    """What `egressctl log -f --json` says, by sandbox."""

    def __init__(self, rig, egressctl):
        self.rig, self.events, self.rest = rig, {}, b""
        self.process = subprocess.Popen([egressctl, "log", "-f", "--json"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        rig.loop.register(self.process.stdout, 1, self.read)

    def read(self):
        data = self.process.stdout.read()
        if data is None:
            return
        if not data:
            self.rig.loop.unregister(self.process.stdout)
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.events.setdefault(event.get("sandbox"), []).append(event)

    def until_mark(self, sandbox, pid):
        """The events up to where the process of the box opened its mark."""
        def marked():
            events = self.events.get(sandbox, [])
            for i, e in enumerate(events):
                if e.get("path") == MARK and e.get("pid") == pid:
                    self.events[sandbox] = events[i + 1:]
                    return events[:i + 1]
            return None
        return self.rig.until(marked, f"sandbox {sandbox}: no mark in the log")[:-1]

    def end(self):
        self.process.kill()
        self.process.wait()

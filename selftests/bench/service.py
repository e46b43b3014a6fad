# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""For the benches: an egressd in mount and network namespaces of its own, and its control socket."""
import json
import os
import socket
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONTROL = "/run/egressctl/control.sock"


def enter(*mounts):
    """Run the calling script again in namespaces where /run and bpffs are its own."""
    if os.environ.get("EGRESSCTL_BENCH") != "inside":
        os.environ["EGRESSCTL_BENCH"] = "inside"
        os.execvp("unshare", ["unshare", "--mount", "--net", "--", sys.executable] + sys.argv)
    for what, where in ("tmpfs", "/run"), ("bpf", "/sys/fs/bpf"), *mounts:
        subprocess.run(["mount", "-t", what, "bench", where], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ["EGRESSCTL_POLICY_DIR"] = os.path.join(TOP, "policies")


class Service:
    """with Service(BUILD, OPTION...) as s: …; s.work is a directory, s.events its log's."""

    def __init__(self, build, *options):
        self.build, self.options = os.path.abspath(build), options

    def __enter__(self):
        self.temp = tempfile.TemporaryDirectory()
        self.work = self.temp.name
        self.events = self.work + "/events"
        self.log = open(self.work + "/log", "w+")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(self.work + "/notify")
        notify.settimeout(300)
        self.egressd = subprocess.Popen(
            [self.build + "/egressd", "--log-dir", self.events, *self.options],
            stdout=self.log, stderr=self.log,
            env=dict(os.environ, NOTIFY_SOCKET=self.work + "/notify"))
        try:
            notify.recv(4096)
            self.connect()
        except OSError as e:
            self.__exit__()
            sys.exit(f"egressd: {e}")
        return self

    def connect(self):
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.connect(CONTROL)

    def ask(self, request):
        try:
            self.control.send(json.dumps(request).encode())
            answer, files, _, _ = socket.recv_fds(self.control, 1 << 20, 1)
        except (BrokenPipeError, ConnectionResetError):
            return b""
        for f in files:  # a long one
            with os.fdopen(f, "rb") as file:
                file.seek(0)
                answer = file.read()
        return answer

    def call(self, request):
        answer = self.ask(request)
        if not answer:  # who asks nothing gives way to others
            self.connect()
            answer = self.ask(request)
        answer = json.loads(answer)
        if "error" in answer:
            sys.exit(f"{request}: {answer['error']}")
        return answer

    def policy(self, text):
        path = self.work + "/policy.yaml"
        with open(path, "w") as f:
            f.write(text)
        return path

    def run(self, policy, *argv, **popen):
        """egressctl run in the background; its output is thrown away unless asked for."""
        popen.setdefault("stdout", subprocess.DEVNULL)
        popen.setdefault("stderr", subprocess.DEVNULL)
        return subprocess.Popen([self.build + "/egressctl", "run", "--egress-only", "-p", policy,
                                 "--", *argv], stdin=subprocess.PIPE, **popen)

    def __exit__(self, *why):
        self.egressd.terminate()
        self.egressd.wait()
        if why and why[0]:
            self.log.seek(0)
            sys.stderr.write(self.log.read())
        self.log.close()
        self.temp.cleanup()

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The attacks of suite.py under other sandboxes of Debian's, as docs/comparison.md.

    compare.py [ROW...]     in a VM with systemd, as root; the page goes to standard output

Each is told the same: these secrets are closed, this directory is for work, one host may be reached by
one port. Where it has no word for that, the stricter of what it has is taken. An attack counts where it
succeeds outside of all of them; rows that need a policy of egressctl's, or its log, are left out.
"""
import sys

sys.dont_write_bytecode = True      # the tree stays as git has it

import collections
import datetime
import fnmatch
import os
import platform
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

from boxes import POLICIES, Box
from suite import Suite, read_rows
from world import CLOSED, D, MARK, NOEXEC, READONLY, UIDS, WORK, WS

LEFT_OUT = ["A14:*", "A32:*", "A33:*", "A35:*", "A36:*", "A37:*", "A64:*", "C06:*", "C07:*",
            "C18:*", "D01:service", "D03:service*", "D18:run", "D18:log", "D18:cgroup", "D18:pins"]
SECRETS = [CLOSED, f"{WS}/a/b/secret", f"{D}/anchored", f"{D}/tmpfs/secret", f"{D}/layers",
           f"{D}/over/secret", MARK]
WRITABLE = [WORK, WS, NOEXEC, f"{D}/links", f"{D}/mnt"]


def flat(*parts):
    return [w for p in parts for w in ([p] if isinstance(p, str) else p)]


def bubblewrap(_who):
    return flat("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
                "--tmpfs", "/tmp", "--tmpfs", "/run",
                [w for p in WRITABLE for w in ("--bind", p, p)],
                "--ro-bind", f"{WS}/hooks", f"{WS}/hooks",
                [w for p in SECRETS[:-1] for w in ("--tmpfs", p)],
                "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
                "--chdir", WORK, "--")


def firejail(_who):
    return flat("firejail", "--quiet", "--noprofile", "--caps.drop=all", "--nonewprivs",
                "--seccomp", "--noroot", "--net=none", "--ipc-namespace", "--private-tmp",
                "--private-dev", "--read-only=/", [f"--read-write={p}" for p in WRITABLE],
                f"--read-only={WS}/hooks", f"--noexec={NOEXEC}",
                [f"--blacklist={p}" for p in SECRETS], "--")


def landlock(_who):
    return flat(f"{D}/bin/landlocked",
                [w for p in ("/usr", "/bin", "/lib", "/lib64", "/sbin", f"{D}/bin")
                 for w in ("-x", p)],
                [w for p in ("/etc", "/proc", "/sys", "/dev", READONLY, f"{WS}/hooks")
                 for w in ("-r", p)],
                [w for p in (WORK, "/dev/null", f"{D}/links", f"{D}/mnt", f"{WS}/other")
                 for w in ("-w", p)], "-p", "7001", "--")


def systemd(who):
    properties = flat(
        f"User={UIDS[who]}", f"WorkingDirectory={WORK}", "NoNewPrivileges=yes",
        "CapabilityBoundingSet=", "ProtectSystem=strict",
        [f"ReadWritePaths={p}" for p in WRITABLE], f"ReadOnlyPaths={WS}/hooks",
        [f"InaccessiblePaths={p}" for p in SECRETS], f"NoExecPaths={NOEXEC} {CLOSED}",
        "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "PrivateIPC=yes",
        "ProtectProc=invisible", "ProcSubset=pid", "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
        "ProtectClock=yes", "ProtectHostname=yes", "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "RestrictSUIDSGID=yes",
        "RestrictRealtime=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=@system-service", "SystemCallArchitectures=native",
        "IPAddressDeny=any", "IPAddressAllow=10.203.1.2 fd20:1::2")
    return flat("systemd-run", "--quiet", "--pipe", "--wait", "--collect",
                [f"--property={p}" for p in properties], "--")


# `deny` goes before whatever allows. Nothing of networks, mounts, signals and capabilities: none is granted.
APPARMOR = f"""abi <abi/3.0>,
profile attacks flags=(attach_disconnected) {{
  / r,
  /** r,
  /{{usr,bin,sbin,lib,lib64}}/** rmix,
  {D}/bin/** rmix,
  /dev/{{null,zero,full}} rw,
  {NOEXEC}/** rwkl,
{"".join(f"  {p}/{{,**}} rwklmix,{chr(10)}" for p in WRITABLE if p != NOEXEC)}\
  deny {WS}/hooks/{{,**}} wl,
{"".join(f"  deny {p}{{,/**}} rwklmx,{chr(10)}" for p in SECRETS)}\
}}
"""


def apparmor(_who):
    return ["aa-exec", "-p", "attacks", "--"]


def egressctl(_who):
    return [f"{os.environ['EGRESSCTL_BUILD']}/egressctl", "run", "-p", f"{D}/bin/main.yaml", "--"]


Tool = collections.namedtuple("Tool", "name command version note")
TOOLS = [
    Tool("egressctl", egressctl, [f"{os.environ.get('EGRESSCTL_BUILD', '')}/egressctl",
                                  "--version"],
         "Root keeps its user and its capabilities, which the guard narrows."),
    Tool("bubblewrap", bubblewrap, ["bwrap", "--version"],
         "A network of its own or the host's: nothing between. With none, the allowed host is out "
         "of reach as well. It sets up namespaces for others to build on and has no policy."),
    Tool("firejail", firejail, ["firejail", "--version"],
         "Made for desktop programs of a user's; it is set-uid root itself, and refuses the user nobody, whom "
         "these attacks are. Addresses are a matter of iptables in a network namespace with a bridge, so "
         "here too there is no network."),
    Tool("Landlock", landlock, ["uname", "-r"],
         "What a program asks for itself, without privilege: paths to allow, ports without addresses "
         "(Linux 6.7), no UDP, no way to close what is below an open path; attributes and existing "
         "names are not its subject."),
    Tool("systemd-run", systemd, ["systemctl", "--version"],
         "Hardening of services by their administrator: the manager starts them, addresses are judged "
         "by packet and without ports, paths by mounts and permissions."),
    Tool("AppArmor", apparmor, ["apparmor_parser", "--version"],
         "Profiles of an administrator's for programs. Of networks the kernel's own part of it knows families "
         "and kinds, no addresses, so here too there is none."),
]


def stopped(suite, row, who, box):
    suite.boxes[who, "x"] = box
    t = suite.attempt(row, who, "x")
    return not t.done


def start(suite, tool, who):
    """A box, or why there is none."""
    try:
        if tool.name == "egressctl":
            b = suite.box(who, "main")
            b.sandbox = None    # its events are not looked at here
            return b
        b = Box(suite.rig, who, lambda c: [*tool.command(who), *c], False, f"{tool.name}-{who}",
                0 if tool.command is systemd else None)
        b.sandbox = None
        return b
    except (AssertionError, RuntimeError, TimeoutError) as e:
        path = f"/tmp/attacks.{tool.name}-{who}.err"
        with open(path, errors="replace") as f:
            return f.read().strip()[-200:] or str(e)


def first_line(command):
    try:
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return out.stdout.decode(errors="replace").splitlines()[0]
    except (OSError, IndexError) as e:
        return f"not there: {e}"


def compare(suite, rows):
    """{(entry, tool, who): [stopped, of]}, and {(tool, who): why it does not start}"""
    counts, dead = {}, {}
    for who in ("user", "root"):
        suite.boxes[who, None] = suite.box(who, None)
        good = [r for r in rows if r.by in ("both", who) and suite.attempt(r, who, None).done]
        for tool in TOOLS:
            box = start(suite, tool, who)
            if isinstance(box, str):
                dead[tool.name, who] = box
                continue
            for row in good:
                c = counts.setdefault((row.entry, tool.name, who), [0, 0])
                try:
                    c[0] += stopped(suite, row, who, box)
                except (RuntimeError, TimeoutError):
                    c[0] += 1   # killed for trying
                    box = start(suite, tool, who)
                c[1] += 1
    return counts, dead


def shown(command):
    return [os.path.basename(command[0]), *command[1:]]


def page(counts, dead, kernel):
    entries = sorted({e for e, _, _ in counts})
    lines = [
        "# Comparison", "",
        f"<!-- Generated by selftests/attacks/compare.py (make compare) on "
        f"{datetime.date.today()}: do not edit. -->", "",
        f"The attacks of `selftests/attacks` under sandboxes that Debian 12 has, on Linux {kernel}, "
        f"{datetime.date.today()}.", "",
        "All are told the same: secrets are closed, one directory is for work, one host is open at one "
        "port. Each cell says how many of the attacks that succeed without any sandbox were stopped, "
        "as an ordinary user and as root. They are attacks that egressctl was made against, chosen by "
        "its authors; the others have other purposes, which the notes say. To stop an attack by "
        "having no network at all counts as stopping it.", "",
        "| | " + " | ".join(t.name for t in TOOLS) + " |",
        "| --- |" + " --- |" * len(TOOLS)]

    def cell(keys, tool):
        text = []
        for who in ("user", "root"):
            n, of = (sum(counts.get((e, tool.name, who), (0, 0))[i] for e in keys) for i in (0, 1))
            text.append(f"{n}/{of}" if of else "–")
        return ", ".join(text)
    for title, keys in [("**all**", entries), *[(e, [e]) for e in entries]]:
        lines.append(f"| {title} | " + " | ".join(cell(keys, t) for t in TOOLS) + " |")
    lines += ["", "## How each was run", ""]
    for tool in TOOLS:
        lines += [f"**{tool.name}**: {first_line(tool.version)}. {tool.note}", ""]
        lines += [f"{who}: did not start: {why}" for (name, who), why in dead.items()
                  if name == tool.name]
        if tool.command is apparmor:
            lines += ["With this profile:", "", *("    " + l for l in APPARMOR.splitlines()), "",
                      "and this command:", ""]
        lines += ["    " + " ".join(w if w.isprintable() and " " not in w else repr(w)
                                    for w in shown(tool.command("user"))), ""]
    return "\n".join(lines)


def main():
    build = os.environ["EGRESSCTL_BUILD"]
    if not os.environ.get("EGRESSCTL_VM"):
        sys.exit("this changes the network and attacks the machine: only in tools/vm")
    patterns = sys.argv[1:] or ["*"]
    rows = [r for r in read_rows(f"{build}/selftests/attacks/attack")
            if r.policy == "main" and r.err and any(fnmatch.fnmatch(r.name, p) for p in patterns)
            and not any(fnmatch.fnmatch(r.name, p) for p in LEFT_OUT)]
    # systemd-run --wait hears on the bus what became of it; tools/vm has masked all units
    subprocess.run(["sh", "-ec", "rm -f /etc/systemd/system/dbus.s*; systemctl daemon-reload; "
                    "systemctl start dbus.service"], check=True)
    suite = Suite(build)
    suite.begin([], [])
    with open(f"{D}/bin/main.yaml", "w") as f:
        f.write("version: 1\n" + POLICIES["main"])
    subprocess.run(["install", f"{build}/selftests/attacks/landlocked", f"{D}/bin"], check=True)
    subprocess.run(["apparmor_parser", "--replace", "--skip-cache"], input=APPARMOR.encode(), check=True)
    print(page(*compare(suite, rows), platform.release()))


if __name__ == "__main__":
    main()

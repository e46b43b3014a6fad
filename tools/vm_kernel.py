# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What tools/vm boots: stock Debian kernels, and an initramfs for each; both kept in a cache."""
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

# virtio_console: the ports. The others: DESIGN, testing on a real kernel.
MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_rng"]

# PID 1 until the real root is complete; busybox from the initramfs, nothing of the host's.
INIT = r"""#!/bin/sh
# Mounts the guest's root and starts vm-init in it. Anything that fails ends the VM with a panic.
set -e
export PATH=/bin
root=/newroot
options=trans=virtio,version=9p2000.L,msize=512000
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for m in $(cat /modules/order); do insmod /modules/$m; done

mkdir -p /job /lower /rw $root
mount -t 9p -o $options,ro,cache=loose job /job
mount -t 9p -o $options,ro,cache=loose root /lower
mount -t tmpfs -o size=75% rw /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work root $root

# The working tree may lie below a directory that a fresh mount is about to cover.
tree=$(cat /job/tree)
covered=
case $tree/ in /tmp/*|/run/*|/dev/shm/*) covered=$tree ;; esac
if [ -n "$covered" ]; then
	mkdir /tree
	mount --bind "$root$covered" /tree
fi

for d in dev proc sys; do mkdir -p $root/$d; mount --move /$d $root/$d; done
mkdir -p $root/dev/pts $root/dev/shm $root/dev/mqueue $root/run $root/tmp
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts $root/dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm $root/dev/shm
mount -t mqueue mqueue $root/dev/mqueue
ln -sf /proc/self/fd $root/dev/fd
ln -sf /proc/self/fd/0 $root/dev/stdin
ln -sf /proc/self/fd/1 $root/dev/stdout
ln -sf /proc/self/fd/2 $root/dev/stderr
mount -t tmpfs -o mode=755,nosuid,nodev run $root/run
mount -t tmpfs -o mode=1777,nosuid,nodev tmp $root/tmp
mkdir -p $root/run/lock $root/run/vm
chmod 1777 $root/run/lock
# The options systemd uses, unless it was told about hierarchies itself.
if ! grep -q systemd.unified_cgroup_hierarchy= $root/proc/cmdline; then
	mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $root/sys/fs/cgroup
	for c in $(cat $root/sys/fs/cgroup/cgroup.controllers); do
		echo +$c >$root/sys/fs/cgroup/cgroup.subtree_control
	done
fi
mount -t bpf -o mode=700 bpf $root/sys/fs/bpf
mount -t securityfs securityfs $root/sys/kernel/security
mount -t debugfs debugfs $root/sys/kernel/debug
mount -t tracefs tracefs $root/sys/kernel/tracing
mkdir -p $root/lib/modules
mount -t 9p -o $options,ro,cache=loose modules $root/lib/modules

if [ -n "$covered" ]; then
	mkdir -p "$root$covered"
	mount --move /tree "$root$covered"
fi
# Written back to the host. cache=mmap: shared writable mappings work, nothing else is cached.
n=0
while IFS= read -r dir; do
	mkdir -p "$root$dir"
	mount -t 9p -o $options,cache=mmap share$n "$root$dir"
	n=$((n + 1))
done </job/shares

ip link set lo up
hostname localhost	# the one name that resolves without a network
ulimit -Hn 524288
mkdir $root/run/vm/job
cp /job/argv /job/env /job/cwd $root/run/vm/job
[ ! -e /job/systemd ] || cp /job/systemd $root/run/vm/job
cp /vm-init $root/run/vm/init
umount /job
# The ports appear one by one, under a number that depends on the order of the virtio devices.
while ! ports=$(ls -d $root/dev/vport*p3 2>/dev/null); do usleep 10000; done
ports=${ports%3}
while [ ! -e ${ports}1 -o ! -e ${ports}2 ]; do usleep 10000; done
if [ -e $root/run/vm/job/systemd ]; then
	# Only what somebody asks for by name starts: what this machine would start at boot is masked,
	# in files that no other system sees.
	rm -f $root/.dockerenv	# it is no container here
	units=$root/run/systemd/system
	mkdir -p $units $root/run/systemd/journald.conf.d $root/etc/systemd/system
	for u in $root/lib/systemd/system/*.target.wants/* $root/etc/systemd/system/*.wants/*; do
		case ${u##*/} in
		systemd-journald*|'*') ;;
		*) ln -sfn /dev/null $root/etc/systemd/system/${u##*/} ;;
		esac
	done
	printf '[Journal]\nStorage=volatile\nForwardToConsole=no\n' \
		>$root/run/systemd/journald.conf.d/vm.conf
	printf '[Unit]\nRequires=vm.service\nAllowIsolate=yes\n' >$units/vm.target
	printf '%s\n' '[Unit]' DefaultDependencies=no 'Wants=systemd-journald.socket' \
		'After=systemd-journald.socket' '[Service]' StandardInput=null StandardOutput=null \
		StandardError=null LimitNOFILE=1048576 \
		"ExecStart=/run/vm/init /run/vm/job ${ports#$root}" >$units/vm.service
	exec switch_root $root /lib/systemd/systemd --unit=vm.target
fi
exec switch_root $root /run/vm/init /run/vm/job ${ports#$root}
"""


class Error(Exception):
    """Something tools/vm itself could not do; the message is for the user."""


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def run(*argv, **options):
    """The output of a command that must succeed."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, **options)
    except FileNotFoundError as e:
        raise Error(f"{argv[0]} is not installed (run tools/deps)") from e
    if done.returncode:
        raise Error(f"{' '.join(argv[:3])}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def cache_dir():
    base = os.environ.get("EGRESSCTL_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        base = os.path.join(home, "egressctl")
    path = os.path.join(os.path.realpath(base), "vm")
    os.makedirs(path, exist_ok=True)
    return path


class CacheLock:
    """Held while the cache is filled. What its holder finds half-made belongs to a dead process."""

    def __init__(self, cache):
        self.cache = cache

    def __enter__(self):
        self.file = open(os.path.join(self.cache, "lock"), "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        for stale in glob.glob(os.path.join(glob.escape(self.cache), "tmp.*")):
            shutil.rmtree(stale)

    def __exit__(self, *_):
        self.file.close()


def package_name(series):
    """The package that holds the newest stock kernel of a series."""
    if series == "6.1":
        shown = run("apt-cache", "show", "--no-all-versions", "linux-image-amd64")
        names = re.findall(r"^Depends:.*?(linux-image-6\.1\.[^ ,]*-amd64)", shown, re.M)
    else:
        found = run("apt-cache", "search", "--names-only", r"^linux-image-6\.12\.")
        # Signed is what people boot; cloud, rt, dbg and unsigned do not match.
        names = re.findall(r"^(linux-image-6\.12\.[0-9]+(?:\+[a-z0-9]+)?-amd64) ", found, re.M)
    if not names:
        raise Error(f"apt knows no kernel {series} (Debian 12 with its security suite has it)")
    return max(names, key=lambda n: [int(x) for x in re.findall(r"[0-9]+", n)])


def download(series, directory):
    """Fetches the package; the lists may be missing, or name a version that is gone."""
    for attempt in (1, 2):
        try:
            name = package_name(series)
            say(f"fetching {name}")
            # apt would otherwise become another user, who cannot write here.
            run("apt-get", "-o", "APT::Sandbox::User=root", "download", name, cwd=directory)
            return glob.glob(os.path.join(glob.escape(directory), "*.deb"))[0]
        except Error:
            if attempt == 2 or os.geteuid() != 0:
                raise
            say("updating apt's package lists")
            run("apt-get", "-o", "DPkg::Lock::Timeout=300", "update")


def ensure_kernel(cache, series):
    """The directory with boot/vmlinuz-RELEASE and lib/modules/RELEASE; and RELEASE."""
    final = os.path.join(cache, series)
    if not os.path.isdir(final):
        tmp = tempfile.mkdtemp(prefix="tmp.", dir=cache)
        deb = download(series, tmp)
        tree = os.path.join(tmp, "tree")
        say(f"unpacking {os.path.basename(deb)}")
        run("dpkg-deb", "-x", deb, tree)
        run("depmod", "-b", tree, os.listdir(os.path.join(tree, "lib/modules"))[0])
        os.rename(tree, final)
        shutil.rmtree(tmp)
    return final, os.listdir(os.path.join(final, "lib/modules"))[0]


def copy_modules(kernel, release, to):
    """Modules in the order to insert them, uncompressed: busybox knows no xz'd module."""
    order = []
    for module in MODULES:
        deps = run("modprobe", "-C", "/dev/null", "-d", kernel, "-S", release, "--show-depends", module)
        for path in re.findall(r"^insmod (\S+)", deps, re.M):
            name = os.path.basename(path).split(".ko")[0] + ".ko"
            if name in order:
                continue
            order.append(name)
            target = os.path.join(to, name)
            shutil.copy(path, target + path.split(".ko")[1])
            if path.endswith(".xz"):
                run("xz", "-d", target + ".xz")
    with open(os.path.join(to, "order"), "w") as f:
        f.write("\n".join(order) + "\n")


def make_initramfs(kernel, release, busybox, init_source, tmp):
    root = os.path.join(tmp, "root")
    for d in ("bin", "dev", "proc", "sys", "tmp", "modules"):
        os.makedirs(os.path.join(root, d))
    shutil.copy(busybox, os.path.join(root, "bin/busybox"))
    for applet in run(busybox, "--list").split():
        if applet != "busybox":
            os.symlink("busybox", os.path.join(root, "bin", applet))
    copy_modules(kernel, release, os.path.join(root, "modules"))
    init = os.path.join(root, "init")
    with open(init, "w") as f:
        f.write(INIT)
    os.chmod(init, 0o755)
    run("gcc", "-static", "-O2", "-Wall", "-o", os.path.join(root, "vm-init"), init_source)
    archive = os.path.join(tmp, "initramfs.cpio")
    run("sh", "-c", 'find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 >"$1"', "sh", archive,
        cwd=root)
    return archive


def ensure_initramfs(cache, kernel, release):
    busybox = shutil.which("busybox")
    if not busybox:
        raise Error("busybox is not installed (run tools/deps)")
    init_source = os.path.join(os.path.dirname(os.path.realpath(__file__)), "vm-init.c")
    recipe = hashlib.sha256("\0".join([INIT, *MODULES]).encode())
    for path in (busybox, init_source):
        with open(path, "rb") as f:
            recipe.update(f.read())
    final = os.path.join(cache, f"initramfs-{release}-{recipe.hexdigest()[:16]}.cpio")
    if not os.path.exists(final):
        tmp = tempfile.mkdtemp(prefix="tmp.", dir=cache)
        os.rename(make_initramfs(kernel, release, busybox, init_source, tmp), final)
        shutil.rmtree(tmp)
    return final


def ensure(series):
    cache = cache_dir()
    with CacheLock(cache):
        kernel, release = ensure_kernel(cache, series)
        initramfs = ensure_initramfs(cache, kernel, release)
    return kernel, os.path.join(kernel, "boot", f"vmlinuz-{release}"), initramfs

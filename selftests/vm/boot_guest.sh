#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# In the VM, for reboot.sh: a system on a disk, with GRUB's own scripts and a kernel, is set up for
# BPF LSM and back. The last line is what its menu then says to the kernel.
set -u

egressctl=$EGRESSCTL_BUILD/egressctl
w=/srv/boot
root=$w/root
menu=$root/boot/grub/grub.cfg
failed=0 status=0

result() { # STATUS NAME
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
		return
	fi
	echo "not ok $2"
	{ echo "status $status"; cat $w/out $w/err; } 2>/dev/null | sed 's/^/# /'
	failed=1
}

check() { # NAME COMMAND…
	local name=$1
	shift
	"$@"
	result $? "$name"
}

say() { # COMMAND…: in that system
	chroot $root "$@" >$w/out 2>$w/err </dev/null
	status=$?
}

is() { [ "$status" = "$1" ]; }
out() { grep -qF -- "$1" $w/out; }
err() { grep -qF -- "$1" $w/err; }

# kernels TYPE: the command lines of the menu, of all kernels or of those for recovery
kernels() { sed -n 's/^[[:space:]]*linux[[:space:]]*[^ ]* *//p' "$menu" | grep "$@"; }

# grub-probe wants a block device below /, which the VM's own root is not; and GRUB's scripts list no
# kernel for one that is a loop.
disk() {
	modprobe ext4 && modprobe brd rd_nr=1 rd_size=65536 && mkfs.ext4 -q /dev/ram0 &&
		mount /dev/ram0 $root || return 1
	(cd $root && mkdir -p boot/grub dev etc/default proc sys tmp usr var/lib &&
		ln -s usr/bin usr/lib usr/lib64 usr/sbin .) || return 1
	for d in dev proc sys usr; do
		mount --rbind /$d $root/$d || return 1
	done
	cp -a /etc/grub.d $root/etc && cp "$egressctl" $root/egressctl || return 1
	cat >$root/etc/default/grub <<-END
		GRUB_DEFAULT=0
		GRUB_DISTRIBUTOR=Debian
		GRUB_TERMINAL=console
		GRUB_CMDLINE_LINUX_DEFAULT="quiet"
		GRUB_CMDLINE_LINUX="lsm=landlock"
	END
	touch "$root/boot/vmlinuz-$(uname -r)" "$root/boot/initrd.img-$(uname -r)"
}

mkdir -p $root
disk >$w/out 2>&1
result $? "a system on a disk"
say update-grub
check "GRUB's scripts make its menu" is 0
check "with kernels" [ "$(kernels -c .)" -gt 0 ]
check "without bpf" [ "$(kernels -c bpf)" = 0 ]
cp "$menu" $w/menu

"$egressctl" doctor >$w/out 2>$w/err
status=$?
check "doctor: a part can be enforced" is 1
check "and what to do for the rest" out "egressctl setup --boot"

list=$(cat /sys/kernel/security/lsm)
say /egressctl setup --boot --dry-run
check "a look" is 0
check "shows the list" out "lsm=$list,bpf:"
check "and the file" out "+++ /etc/default/grub.d/99-egressctl.cfg"
check "and changes nothing" [ ! -e $root/etc/default/grub.d ]
say /egressctl setup --boot
check "nobody is there to be asked" is 1
check "so nothing is changed" [ ! -e $root/etc/default/grub.d ]
say /egressctl setup --boot --yes
check "setup" is 0
check "says what is left to do" out "Reboot, then see: egressctl doctor"
check "every kernel has it, and last" [ "$(kernels -v single | grep -cv "lsm=[^ ]*,bpf\$")" = 0 ]
check "but for recovery" [ "$(kernels single | grep -c bpf)" = 0 ]
words=$(kernels -v single | head -1 | sed 's/^root=[^ ]* ro *//')
say /egressctl setup --boot --yes
check "once more" is 0
check "has nothing to do" out "has bpf in its list already"
say /egressctl setup --boot --undo --yes
check "the way back" is 0
check "is the menu as it was" cmp -s "$menu" $w/menu
check "and the files" [ -z "$(ls -d $root/etc/default/grub.d $root/var/lib/egressctl 2>/dev/null)" ]

echo 'GRUB_CMDLINE_LINUX_DEFAULT=quiet' >$w/last
mkdir $root/etc/default/grub.d && cp $w/last $root/etc/default/grub.d/99-last.cfg
say /egressctl setup --boot --yes
check "a setting that comes later is seen" is 125
check "and said" err "no kernel of GRUB's menu has lsm="
check "and nothing stays" [ "$(ls $root/etc/default/grub.d)" = 99-last.cfg ]
check "of it in the menu" cmp -s "$menu" $w/menu
echo "words $words"
exit $failed

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One row for each program: the access that shows that it is in force. A unit test
 * compares the table with the programs that there are.
 */
#include <errno.h>

#include "prove_int.h"
#include "util.h"

#define ROW(program, what, fn, err, otherwise) \
	{ .prog = program, .access = what, .try = try_##fn, .refused = err, .free = otherwise }
#define CGROUP_ROW(program, what, fn, err, otherwise) \
	{ .prog = program, .access = what, .try = try_##fn, .refused = err, .free = otherwise, \
	  .cgroup = true }
#define CGROUP_WORKS(program, what, fn) \
	{ .prog = program, .access = what, .try = try_##fn, .cgroup = true }
/* works only thanks to the program */
#define WORKS(program, what, fn, ...) \
	{ .prog = program, .access = what, .try = try_##fn, .needs = { __VA_ARGS__ } }
#define NEEDS(other, program, what, fn, err, otherwise) \
	{ .prog = program, .access = what, .try = try_##fn, .refused = err, .free = otherwise, \
	  .needs = { other } }
/* at the quota in audit mode */
#define QUOTA(program, what, fn) \
	{ .prog = program, .access = what, .try = try_##fn, .stage = PROVE_AUDIT, .violations = 1 }
#define COUNTED(program, what, fn, n, otherwise) \
	{ .prog = program, .access = what, .try = try_##fn, .free = otherwise, \
	  .stage = PROVE_AUDIT, .violations = n, .needs = { n > 1 ? "capable" : NULL } }

const struct prove_row prove_rows[] = {
	/* files.bpf.c */
	ROW("file_open", "open a file", open, -EACCES, 0),
	ROW("file_receive", "receive a descriptor", receive, -EACCES, 0),
	NEEDS("task_alloc", "bprm_check_security", "execute a memfd", exec, -EACCES, -ENOEXEC),
	ROW("mmap_file", "map a file executable", mmap_exec, -EACCES, PROVE_ANY),
	ROW("file_mprotect", "make memory executable", mprotect_exec, -EACCES, 0),
	ROW("path_notify", "watch a directory", notify, -EACCES, 0),
	/* gain.bpf.c */
	NEEDS("task_alloc", "exec_gain", "execute what gains rights", gain, -EPERM, 0),
	/* names.bpf.c */
	ROW("path_unlink", "remove a file", unlink, -EACCES, 0),
	ROW("path_rmdir", "remove a directory", rmdir, -EACCES, 0),
	ROW("path_mkdir", "make a directory", mkdir, -EACCES, 0),
	ROW("path_symlink", "make a symbolic link", symlink, -EACCES, 0),
	ROW("path_mknod", "make a file", mknod, -EACCES, 0),
	ROW("path_rename", "rename a file", rename, -EACCES, 0),
	ROW("path_link", "link a file", link, -EACCES, 0),
	ROW("path_truncate", "truncate a file", truncate, -EACCES, 0),
	ROW("file_truncate", "truncate an open file", ftruncate, -EACCES, 0),
	ROW("path_chmod", "change a file's mode", chmod, -EACCES, 0),
	ROW("path_chown", "change a file's owner", chown, -EACCES, 0),
	/* attrs.bpf.c */
	ROW("inode_setattr_2", "change a file's times", utimes, -EACCES, 0),
	ROW("inode_setattr_3", "change a file's times", utimes, -EACCES, 0),
	ROW("inode_setxattr", "set an extended attribute", setxattr, -EACCES, PROVE_ANY),
	ROW("inode_removexattr", "remove an extended attribute", removexattr, -EACCES, PROVE_ANY),
	ROW("inode_set_acl", "set an ACL", set_acl, -EACCES, PROVE_ANY),
	ROW("inode_remove_acl", "remove an ACL", remove_acl, -EACCES, PROVE_ANY),
	ROW("file_ioctl", "type into a terminal", ioctl, -EACCES, -ENOTTY),
	NEEDS("task_alloc", "file_ioctl_compat", "type into a terminal, 32 bits", ioctl_compat,
	      -EACCES, -ENOTTY),
	NEEDS("file_open", "d_move", "open a file in a directory that was moved", moved_dir,
	      -EACCES, 0),
	NEEDS("file_open", "d_exchange", "open a file in a directory that was exchanged",
	      swapped_dir, -EACCES, 0),
	WORKS("devpts_pty_new", "open an own pseudo terminal", own_pty, "file_open"),
	/* guard.bpf.c */
	ROW("sb_mount", "mount", mount, -EPERM, -EINVAL),
	ROW("sb_kern_mount", "make a filesystem", fsconfig_create, -EPERM, 0),
	ROW("sb_remount", "change a filesystem's options", fsconfig_reconfigure, -EPERM, 0),
	ROW("sb_umount", "unmount", umount, -EPERM, -EINVAL),
	ROW("sb_pivotroot", "change the root", pivot_root, -EPERM, PROVE_ANY),
	ROW("move_mount", "move a mount", move_mount, -EPERM, -EINVAL),
	NEEDS("task_alloc", "userns_create", "make a user namespace", userns, -EPERM, 0),
	ROW("bpf_command", "call bpf()", bpf, -EPERM, -EINVAL),
	ROW("perf_event_open", "call perf_event_open()", perf, -EPERM, PROVE_ANY),
	/* each with `capable` before it */
	COUNTED("kernel_load_data", "load a kernel", load_data, 2, -EINVAL),
	COUNTED("kernel_read_file", "load a module", read_file, 2, -EIO),
	ROW("ptrace_access", "look into a process outside", ptrace, -EPERM, 0),
	ROW("task_kill", "signal a process outside", kill, -EPERM, 0),
	ROW("file_fcntl", "choose a signal for a file", setsig, -EPERM, 0),
	ROW("anon_inode", "make an io_uring", io_uring, -EPERM, 0),
	ROW("task_setscheduler", "schedule a process outside", setscheduler, -EPERM, 0),
	ROW("task_setnice", "change the priority of a process outside", setnice, -EPERM, 0),
	ROW("task_setioprio", "change the I/O priority of a process outside", setioprio, -EPERM, 0),
	/* with `ptrace_access` before it, which does not count who only looks */
	COUNTED("task_movememory", "move memory of a process outside", movememory, 1, 0),
	ROW("task_setrlimit", "change limits of a process outside", setrlimit, -EPERM, 0),
	ROW("capable", "use a capability", capability, -EPERM, 0),
	NEEDS("task_alloc", "ptrace_traceme", "be traced", traceme, -EPERM, 0),
	/* ipc.bpf.c */
	QUOTA("shm_alloc", "make SysV memory beyond the quota", make_shm),
	QUOTA("msg_alloc", "make a SysV queue beyond the quota", make_msg),
	QUOTA("sem_alloc", "make SysV semaphores beyond the quota", make_sem),
	WORKS("ipc_added", "use own SysV semaphores", own_sem, "sem_ctl"),
	/* the quota is used up by what was removed */
	{ .prog = "ipc_removed", .access = "make SysV semaphores again", .try = try_sem_again,
	  .free = -ENOSPC, .needs = { "ipc_added", "sem_alloc" } },
	ROW("ipc_permission", "attach SysV memory made outside", shmat, -EACCES, 0),
	ROW("shm_ctl", "change SysV memory made outside", shmctl, -EPERM, 0),
	ROW("msg_ctl", "change a SysV queue made outside", msgctl, -EPERM, 0),
	ROW("sem_ctl", "change SysV semaphores made outside", semctl, -EPERM, 0),
	/* then it is opened */
	{ .prog = "mq_create", .access = "make a message queue", .try = try_mq_create,
	  .stage = PROVE_AUDIT, .violations = 2, .needs = { "file_open" } },
	ROW("mq_unlink", "remove a message queue", mq_unlink, -EACCES, 0),
	/* keys.bpf.c */
	NEEDS("task_alloc", "key_alloc", "make a keyring that has a name", name_keyring, -EACCES,
	      0),
	ROW("key_permission", "read a key made outside", read_key, -ENOKEY, 0),
	NEEDS("task_alloc", "session_to_parent", "give the parent a keyring", session_to_parent,
	      -ENOMEM, 0),
	/* socket.bpf.c, unix.bpf.c */
	ROW("socket_create", "make a socket of an odd kind", socket, -EPERM, 0),
	WORKS("socket_post_create", "bind an own socket", bind_own, "socket_bind"),
	ROW("socket_connect", "connect a socket made outside", connect_foreign, -EPERM, 0),
	ROW("socket_bind", "bind a socket made outside", bind_foreign, -EPERM, -EINVAL),
	ROW("socket_listen", "listen on a socket made outside", listen_foreign, -EPERM, 0),
	ROW("socket_accept", "accept from a socket made outside", accept_foreign, -EPERM, -EAGAIN),
	ROW("socket_setsockopt", "set IP options", setsockopt, -EPERM, 0),
	ROW("netlink_send", "change a network link", netlink, -EPERM, 0),
	ROW("unix_connect", "connect to a unix socket outside", unix_connect, -EPERM, 0),
	ROW("unix_may_send", "send to a unix socket outside", unix_send, -EPERM, 0),
	/* connect.bpf.c, egress.bpf.c */
	CGROUP_ROW("connect4", "connect by IPv4", connect4, -EPERM, PROVE_ANY),
	CGROUP_ROW("connect6", "connect by IPv6", connect6, -EPERM, PROVE_ANY),
	CGROUP_ROW("skb_egress", "send a datagram", send, -EPERM, 0),
	CGROUP_ROW("skb_ingress", "hear a datagram", receive_datagram, -EAGAIN, 0),
	CGROUP_WORKS("getpeername4", "see the IPv4 name server that was asked", peername4),
	CGROUP_WORKS("getpeername6", "see the IPv6 name server that was asked", peername6),
	CGROUP_WORKS("recvmsg4", "hear the IPv4 name server that was asked", from4),
	CGROUP_WORKS("recvmsg6", "hear the IPv6 name server that was asked", from6),
	/* attach.bpf.c, task.bpf.c */
	{ .prog = "cgroup_move", .access = "open a file after being moved in",
	  .try = try_open_by_joined, .refused = -EACCES, .stage = PROVE_JOINED,
	  .needs = { "file_open" } },
	{ .prog = "task_alloc", .access = "start a process after the sandbox's end",
	  .try = try_fork, .refused = -EAGAIN, .stage = PROVE_DEAD },
};
const size_t prove_nrows = ARRAY_SIZE(prove_rows);

const struct prove_exempt prove_exempts[] = {
	{ "attach_tasks", "an iterator: run by hand as a cgroup is attached, and counted there" },
	{ "attach_files", "the same for sockets" },
	{ "count_out", "counts what a traced sandbox sends, at its cgroup alone: no judge" },
	{ "count_in", "the same for what it gets" },
	{ "cgroup_made", "finds new cgroups that egressd.yaml names: none of its is made for a "
			 "proof" },
	{ "cgroup_gone", "forgets them" },
	{ "enter_exec", "ends what a container runtime may do while it sets up: only a program "
			"that the host has as one could try it; and what waits for a policy" },
	{ "devpts_pty_kill", "forgets the owner of a pseudo terminal that is gone, whose number "
			     "is anybody's next: there is no way to be given a certain number" },
	{ "key_freed", "forgets the owner of a key that is gone; the kernel frees keys when it has "
		       "time for it" },
	{ "sock_graft", "stamps connections that waited to be accepted when their listener was "
			"attached: no other has none" },
	{ "sctp_sk_clone", "stamps what an SCTP listener accepts: a module that hosts do not load, "
			   "and without the stamp the cgroup tells whose the socket is" },
};
const size_t prove_nexempts = ARRAY_SIZE(prove_exempts);

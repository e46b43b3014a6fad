/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the prover share; everything else uses prove.h. */
#ifndef EGRESSCTL_PROVE_INT_H
#define EGRESSCTL_PROVE_INT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "prove.h"

#define PROVE_DIR_MAX 200u /* bytes of the directory's path */
#define PROVE_SANDBOXED 1 /* number of the set that is used in the sandbox; 0: outside */

/* All that probes work on, made before the sandbox is entered; one set outside, one inside. */
struct probe {
	char dir[PROVE_DIR_MAX]; /* absolute; no rule allows it */
	uint8_t set; /* 0, PROVE_SANDBOXED */
	int dirfd;
	int file; /* in `dir`, open for reading and writing */
	int memfd; /* holds nothing that can be executed */
	int sysfs; /* an attribute, open for reading */
	int detached; /* a tmpfs that is mounted nowhere; -1: the kernel made none */
	int passed; /* a unix socket with a descriptor on its way in it */
	int inotify;
	int udp, udp6; /* bound to localhost, both to the same port; -1: no IPv6 */
	int spare; /* a datagram socket, bound to localhost */
	int tcp, listener; /* bound to localhost */
	struct sockaddr_in udp_addr, spare_addr;
	int stream, dgram; /* abstract unix sockets */
	struct sockaddr_un stream_addr, dgram_addr;
	socklen_t stream_len, dgram_len;
	int shm, msg, sem; /* SysV objects, ids; -1: none */
	int32_t key; /* in the keyring of the process; -1: none */
	pid_t outsider; /* stays outside; does what it is asked to */
	int helper; /* the way to ask it */
};

/* What the outsider does. */
enum prove_ask {
	PROVE_MOVE = 1, /* here/moved -> there/moved */
	PROVE_EXCHANGE, /* here/swapped <-> there/swapped */
	PROVE_DATAGRAM, /* one to `port` on localhost, then one to p->udp */
	PROVE_OPEN, /* the set's file */
};

/* 0, or a negative errno. prove_child.c */
int prove_ask(struct probe *p, enum prove_ask what, uint16_t port);
/* What `fn` returns in a child of its own, for what may end or change the caller. */
int prove_in_child(struct probe *p, int (*fn)(struct probe *p));

/* ---- prove_child.c ------------------------------------------------------------------- */

enum prove_word { PROVE_READY = 1, PROVE_GO, PROVE_STAGE_DONE, PROVE_FAILED };

struct prove_message {
	uint32_t word; /* enum prove_word */
	int32_t err; /* PROVE_FAILED */
	uint32_t slot; /* PROVE_GO: of the sandbox */
	int32_t outsider; /* PROVE_READY: its pid */
	uint16_t dns_port; /* PROVE_READY: host byte order; what stands in for the resolver */
	uint16_t pad;
};

struct prove_answer { /* one for each row, at the end */
	int32_t control, got;
};

struct prove_child {
	const char *dir;
	const bool *wanted; /* for each row: has the agent its program */
	int sandboxes_fd; /* of the map, to count violations by */
	int in, out; /* pipes */
};

/* The child's whole life. */
void prove_child_main(const struct prove_child *c) __attribute__((noreturn));

/* ---- probes: prove_{files,guard,ipc,sockets}.c ------------------------------- */

#define PROBE(name) int try_##name(struct probe *p)
PROBE(utimes);
PROBE(setxattr);
PROBE(removexattr);
PROBE(set_acl);
PROBE(remove_acl);
PROBE(ioctl);
PROBE(ioctl_compat);
PROBE(moved_dir);
PROBE(swapped_dir);
PROBE(own_pty);
PROBE(open);
PROBE(receive);
PROBE(exec);
PROBE(gain);
PROBE(mmap_exec);
PROBE(mprotect_exec);
PROBE(notify);
PROBE(unlink);
PROBE(rmdir);
PROBE(mkdir);
PROBE(symlink);
PROBE(mknod);
PROBE(rename);
PROBE(link);
PROBE(truncate);
PROBE(ftruncate);
PROBE(chmod);
PROBE(chown);
PROBE(mount);
PROBE(fsconfig_create);
PROBE(fsconfig_reconfigure);
PROBE(umount);
PROBE(pivot_root);
PROBE(move_mount);
PROBE(userns);
PROBE(bpf);
PROBE(perf);
PROBE(load_data);
PROBE(read_file);
PROBE(ptrace);
PROBE(kill);
PROBE(setsig);
PROBE(io_uring);
PROBE(setscheduler);
PROBE(setnice);
PROBE(setioprio);
PROBE(movememory);
PROBE(setrlimit);
PROBE(capability);
PROBE(open_by_joined);
PROBE(fork);
PROBE(socket);
PROBE(bind_own);
PROBE(connect_foreign);
PROBE(bind_foreign);
PROBE(listen_foreign);
PROBE(accept_foreign);
PROBE(setsockopt);
PROBE(netlink);
PROBE(unix_connect);
PROBE(unix_send);
PROBE(connect4);
PROBE(connect6);
PROBE(send);
PROBE(receive_datagram);
PROBE(peername4);
PROBE(peername6);
PROBE(from4);
PROBE(from6);
PROBE(shmat);
PROBE(shmctl);
PROBE(msgctl);
PROBE(semctl);
PROBE(make_shm);
PROBE(make_msg);
PROBE(make_sem);
PROBE(own_sem);
PROBE(sem_again);
PROBE(mq_create);
PROBE(mq_unlink);
PROBE(name_keyring);
PROBE(read_key);
PROBE(session_to_parent);
PROBE(traceme);
#undef PROBE

/*
 * What the probes of prove_ipc.c work on. The caller has an IPC namespace of its own, with
 * which all of it ends; what could not be made is seen by the probe that needs it.
 */
void prove_make_ipc(struct probe *p);

#endif

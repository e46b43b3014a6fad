/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Probes of what has no file or is found by a name of its own: SysV objects, message
 * queues, keys. All of it is in an IPC namespace and in keyrings of the child's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prove_int.h"
#include "util.h"

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static void queue_name(char *name, size_t size, const struct probe *p, const char *what)
{
	snprintf(name, size, "egressctl-%u-%s", p->set, what);
}

/* Not mq_open(3): the system call takes the name without its slash. */
static int make_queue(const char *name)
{
	long fd = syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, NULL);

	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int32_t put_key(const struct probe *p, int32_t keyring)
{
	char name[32];

	snprintf(name, sizeof(name), "egressctl-probe-%u", p->set);
	return (int32_t)syscall(SYS_add_key, "user", name, "probe", (size_t)5, keyring);
}

void prove_make_ipc(struct probe *p)
{
	char name[32];

	p->shm = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	p->msg = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	p->sem = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	queue_name(name, sizeof(name), p, "unlink");
	(void)make_queue(name);
	p->key = put_key(p, KEY_SPEC_PROCESS_KEYRING);
}

/* ---- made outside -------------------------------------------------------------------- */

int try_shmat(struct probe *p)
{
	void *at;

	if (p->shm < 0)
		return PROVE_CANNOT(-ENOSYS);
	at = shmat(p->shm, NULL, SHM_RDONLY);
	if (at == (void *)-1)
		return -errno;
	return result(shmdt(at));
}

/* Gone with the namespace in any case. */
int try_shmctl(struct probe *p)
{
	return p->shm < 0 ? PROVE_CANNOT(-ENOSYS) : result(shmctl(p->shm, IPC_RMID, NULL));
}

int try_msgctl(struct probe *p)
{
	return p->msg < 0 ? PROVE_CANNOT(-ENOSYS) : result(msgctl(p->msg, IPC_RMID, NULL));
}

int try_semctl(struct probe *p)
{
	return p->sem < 0 ? PROVE_CANNOT(-ENOSYS) : result(semctl(p->sem, 0, IPC_RMID));
}

int try_mq_unlink(struct probe *p)
{
	char name[32];

	queue_name(name, sizeof(name), p, "unlink");
	return result(syscall(SYS_mq_unlink, name));
}

int try_read_key(struct probe *p)
{
	if (p->key < 0)
		return PROVE_CANNOT(-ENOKEY);
	return result(syscall(SYS_keyctl, KEYCTL_READ, p->key, NULL, (size_t)0));
}

/* ---- made in the sandbox ------------------------------------------------------------- */

int try_own_sem(struct probe *p)
{
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

	(void)p;
	if (id < 0)
		return -errno;
	return result(semctl(id, 0, IPC_RMID));
}

/* There is room for one. */
int try_sem_again(struct probe *p)
{
	int err = try_own_sem(p);

	return err ? err : try_own_sem(p);
}

/* In audit mode one more is counted, and made. */
int try_make_sem(struct probe *p)
{
	return try_own_sem(p);
}

int try_make_shm(struct probe *p)
{
	int id = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

	(void)p;
	if (id < 0)
		return -errno;
	return result(shmctl(id, IPC_RMID, NULL));
}

int try_make_msg(struct probe *p)
{
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	(void)p;
	if (id < 0)
		return -errno;
	return result(msgctl(id, IPC_RMID, NULL));
}

static int name_keyring(struct probe *p)
{
	char name[32];

	snprintf(name, sizeof(name), "egressctl-ring-%u", p->set);
	return result(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name));
}

/* It is gone with the child that joined it. */
int try_name_keyring(struct probe *p)
{
	return prove_in_child(p, name_keyring);
}

int try_mq_create(struct probe *p)
{
	char name[32];

	queue_name(name, sizeof(name), p, "create");
	return make_queue(name);
}

/* The parent is the caller of the probe. */
static int session_to_parent(struct probe *p)
{
	(void)p;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		return -errno;
	return result(syscall(SYS_keyctl, KEYCTL_SESSION_TO_PARENT));
}

int try_session_to_parent(struct probe *p)
{
	int err = prove_in_child(p, session_to_parent);

	return err == -EACCES ? PROVE_CANNOT(err) : err; /* its new keyring is not its own */
}

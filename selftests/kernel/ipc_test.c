/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SysV objects and POSIX message queues: those of others are refused, own ones work,
 * one sandbox has so many, and none is left when it ends.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#define KEY 0x65677265 /* of the victim's objects */
#define OWN_KEY 0x65677266
#define QUEUE "egressctl-test"
#define SHM_FILE "/dev/shm/egressctl-test"

static int shm_id, msg_id, sem_id; /* the victim's */

static const char *policy(const char *privileges)
{
	return str("version: 1\nfiles: {default: rwxc}\nprivileges: [%s]\n", privileges);
}

/* ---- the victim's objects ------------------------------------------------------------ */

static void remove_all(void)
{
	(void)shmctl(shm_id, IPC_RMID, NULL);
	(void)msgctl(msg_id, IPC_RMID, NULL);
	(void)semctl(sem_id, 0, IPC_RMID);
}

static void make_all(const void *unused)
{
	struct { long type; char text[1]; } m = { 1, "s" };

	(void)unused;
	remove_all();
	shm_id = must(shmget(KEY, 4096, IPC_CREAT | IPC_EXCL | 0666));
	msg_id = must(msgget(KEY, IPC_CREAT | IPC_EXCL | 0666));
	sem_id = must(semget(KEY, 1, IPC_CREAT | IPC_EXCL | 0666));
	must(msgsnd(msg_id, &m, 1, 0));
	must(semctl(sem_id, 0, SETVAL, 1));
}

static int done(long r)
{
	return r < 0 ? -errno : 0;
}

/* ---- acts ---------------------------------------------------------------------------- */

static int act_shm_key(const void *unused)
{
	(void)unused;
	return done(shmget(KEY, 0, 0));
}

static int act_shm_attach(const void *unused)
{
	void *at = shmat(shm_id, NULL, 0);

	(void)unused;
	return at == (void *)-1 ? -errno : done(shmdt(at));
}

static int act_shm_stat(const void *unused)
{
	struct shmid_ds ds;

	(void)unused;
	return done(shmctl(shm_id, IPC_STAT, &ds));
}

/* Past the permissions, for whoever may list: procfs shows as much. */
static int act_shm_stat_any(const void *unused)
{
	struct shmid_ds ds;
	int top = shmctl(0, SHM_INFO, &ds);

	(void)unused;
	for (int i = 0; i <= top; i++)
		if (shmctl(i, SHM_STAT_ANY, &ds) == shm_id)
			return 0;
	return -errno;
}

static int act_shm_remove(const void *unused)
{
	(void)unused;
	return done(shmctl(shm_id, IPC_RMID, NULL));
}

static int act_msg_key(const void *unused)
{
	(void)unused;
	return done(msgget(KEY, 0));
}

static int act_msg_send(const void *unused)
{
	struct { long type; char text[1]; } m = { 1, "x" };

	(void)unused;
	return done(msgsnd(msg_id, &m, 1, IPC_NOWAIT));
}

static int act_msg_receive(const void *unused)
{
	struct { long type; char text[1]; } m;

	(void)unused;
	return done(msgrcv(msg_id, &m, 1, 0, IPC_NOWAIT));
}

static int act_msg_remove(const void *unused)
{
	(void)unused;
	return done(msgctl(msg_id, IPC_RMID, NULL));
}

static int act_sem_key(const void *unused)
{
	(void)unused;
	return done(semget(KEY, 0, 0));
}

static int act_sem_take(const void *unused)
{
	struct sembuf op = { 0, -1, IPC_NOWAIT };

	(void)unused;
	return done(semop(sem_id, &op, 1));
}

static int act_sem_value(const void *unused)
{
	(void)unused;
	return done(semctl(sem_id, 0, GETVAL));
}

static int act_sem_remove(const void *unused)
{
	(void)unused;
	return done(semctl(sem_id, 0, IPC_RMID));
}

static void foreign_objects(void)
{
	struct attempt a[] = {
		{ .name = "find memory by its key", .act = act_shm_key, .err = EACCES },
		{ .name = "attach memory", .act = act_shm_attach, .err = EACCES },
		{ .name = "look at memory", .act = act_shm_stat, .err = EACCES },
		{ .name = "remove memory", .act = act_shm_remove, .err = EPERM, .only_root = true },
		{ .name = "find a queue by its key", .act = act_msg_key, .err = EACCES },
		{ .name = "send to a queue", .act = act_msg_send, .err = EACCES },
		{ .name = "receive from a queue", .act = act_msg_receive, .err = EACCES },
		{ .name = "remove a queue", .act = act_msg_remove, .err = EPERM,
		  .only_root = true },
		{ .name = "find semaphores by their key", .act = act_sem_key, .err = EACCES },
		{ .name = "take a semaphore", .act = act_sem_take, .err = EACCES },
		{ .name = "read a semaphore", .act = act_sem_value, .err = EACCES },
		{ .name = "remove semaphores", .act = act_sem_remove, .err = EPERM,
		  .only_root = true },
		{ .name = "list memory", .act = act_shm_stat_any, .err = EPERM,
		  .more_events = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].before = make_all;
		a[i].deny = policy("");
		a[i].allow = policy("ipc");
		a[i].op = EG_OP_IPC;
		a[i].reason = EG_WHY_FOREIGN;
		attempt(&a[i]);
	}
	remove_all();
}

/* ---- own objects --------------------------------------------------------------------- */

static int act_make_own(const void *unused)
{
	struct sembuf give = { 0, 1, 0 };
	struct { long type; char text[1]; } m = { 1, "o" };
	struct shmid_ds ds;
	int shm, msg, sem;
	char *at;

	(void)unused;
	shm = shmget(OWN_KEY, 4096, IPC_CREAT | IPC_EXCL | 0600);
	msg = msgget(OWN_KEY, IPC_CREAT | IPC_EXCL | 0600);
	sem = semget(OWN_KEY, 1, IPC_CREAT | IPC_EXCL | 0600);
	if (shm < 0 || msg < 0 || sem < 0)
		return -errno;
	at = shmat(shm, NULL, 0);
	if (at == (char *)-1)
		return -errno;
	*at = 'o';
	return done(shmdt(at)) ?: done(shmctl(shm, IPC_STAT, &ds)) ?: done(msgsnd(msg, &m, 1, 0)) ?:
	       done(semop(sem, &give, 1));
}

static int act_use_own(const void *unused)
{
	struct sembuf take = { 0, -1, IPC_NOWAIT };
	struct { long type; char text[1]; } m;
	int shm = shmget(OWN_KEY, 0, 0), msg = msgget(OWN_KEY, 0), sem = semget(OWN_KEY, 0, 0);
	char *at;

	(void)unused;
	if (shm < 0 || msg < 0 || sem < 0)
		return -errno;
	at = shmat(shm, NULL, 0);
	if (at == (char *)-1)
		return -errno;
	if (*at != 'o')
		return -EIO;
	return done(shmdt(at)) ?: done(msgrcv(msg, &m, 1, 0, IPC_NOWAIT)) ?:
	       done(semop(sem, &take, 1));
}

static int act_remove_own(const void *unused)
{
	(void)unused;
	return done(shmctl(shmget(OWN_KEY, 0, 0), IPC_RMID, NULL)) ?:
	       done(msgctl(msgget(OWN_KEY, 0), IPC_RMID, NULL)) ?:
	       done(semctl(semget(OWN_KEY, 0, 0), 0, IPC_RMID));
}

static void expect(const char *what, int got, int want)
{
	check(got == want, "%s: %s, expected %s", what, result_text(got), result_text(want));
}

static void own_objects(enum as as, const char *whose)
{
	struct box *a = box_new(policy("")), *b = box_new(policy(""));

	if (case_begin("own objects work, those of another sandbox do not [%s]", whose)) {
		expect("make", box_run(a, as, act_make_own, NULL), 0);
		expect("another sandbox", box_run(b, as, act_use_own, NULL), -EACCES);
		expect("its other process", box_run(a, as, act_use_own, NULL), 0);
		expect("three counted", (int)box_counters(a)->ipc_objects, 3);
		expect("outside", act_remove_own(NULL), 0);
		expect("none counted", (int)box_counters(a)->ipc_objects, 0);
		expect("make again", box_run(a, as, act_make_own, NULL), 0);
		expect("remove", box_run(a, as, act_remove_own, NULL), 0);
		expect("none counted", (int)box_counters(a)->ipc_objects, 0);
		case_end();
	}
	box_free(a);
	box_free(b);
}

static bool there(void)
{
	return shmget(OWN_KEY, 0, 0) >= 0 || msgget(OWN_KEY, 0) >= 0 || semget(OWN_KEY, 0, 0) >= 0;
}

static void nothing_left(void)
{
	struct box *a;

	if (!case_begin("its objects end with a sandbox"))
		return;
	a = box_new(policy(""));
	expect("make", box_run(a, AS_USER, act_make_own, NULL), 0);
	check(there(), "nothing was made");
	box_free(a);
	check(!there(), "something is left");
	case_end();
}

/* ---- quota --------------------------------------------------------------------------- */

/* As many as there may be, of all kinds in turn; the last error. */
static int act_fill(const void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i <= EG_IPC_QUOTA; i++) {
		int r = i % 3 == 0 ? semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) :
			i % 3 == 1 ? msgget(IPC_PRIVATE, IPC_CREAT | 0600) :
				     shmget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

		if (r < 0)
			return i == EG_IPC_QUOTA ? -errno : -EIO;
	}
	return 0;
}

static bool has_quota_event(struct box *b, uint16_t op)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n = box_events(b, &e), i, found = 0;

	for (i = 0; i < n; i++)
		found += e[i].op == op && e[i].reason == EG_WHY_QUOTA;
	return n == 1 && found == 1;
}

static void quota(void)
{
	struct box *a, *b;

	if (!case_begin("one sandbox at its quota costs another none"))
		return;
	a = box_new(policy(""));
	b = box_new(policy(""));
	expect("one too many", box_run(a, AS_USER, act_fill, NULL), -ENOSPC);
	check(has_quota_event(a, EG_OP_IPC), "no event, or more than one");
	expect("another sandbox", box_run(b, AS_USER, act_make_own, NULL), 0);
	expect("another sandbox", box_run(b, AS_USER, act_remove_own, NULL), 0);
	box_free(a);
	box_free(b);
	case_end();
}

/* ---- POSIX queues and memory --------------------------------------------------------- */

static void make_queue(const void *unused)
{
	long fd;

	(void)unused;
	(void)syscall(SYS_mq_unlink, QUEUE);
	(void)syscall(SYS_mq_unlink, QUEUE "-new");
	(void)umask(0);
	fd = must(syscall(SYS_mq_open, QUEUE, O_RDWR | O_CREAT, 0666, NULL));
	(void)close((int)fd);
	(void)close(must(open(SHM_FILE, O_RDWR | O_CREAT, 0666)));
}

static int act_mq_open(const void *unused)
{
	(void)unused;
	return done(syscall(SYS_mq_open, QUEUE, O_RDWR, 0, NULL));
}

static int act_mq_create(const void *unused)
{
	(void)unused;
	return done(syscall(SYS_mq_open, QUEUE "-new", O_RDWR | O_CREAT, 0600, NULL));
}

static int act_mq_unlink(const void *unused)
{
	(void)unused;
	return done(syscall(SYS_mq_unlink, QUEUE));
}

static int act_shm_open(const void *unused)
{
	(void)unused;
	return done(open(SHM_FILE, O_RDWR));
}

static void posix(void)
{
	struct attempt a[] = {
		{ .name = "open a message queue", .act = act_mq_open, .op = EG_OP_OPEN,
		  .want = EG_R | EG_W, .path = "/dev/mqueue/" QUEUE },
		{ .name = "make a message queue", .act = act_mq_create, .op = EG_OP_CREATE,
		  .want = EG_C, .path = "/dev/mqueue/" QUEUE "-new" },
		{ .name = "remove a message queue", .act = act_mq_unlink, .op = EG_OP_UNLINK,
		  .want = EG_C, .path = "/dev/mqueue/" QUEUE, .only_root = true },
		{ .name = "open POSIX memory", .act = act_shm_open, .op = EG_OP_OPEN,
		  .want = EG_R | EG_W, .path = SHM_FILE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].before = make_queue;
		a[i].deny = POLICY_FILES("default: rwxc", "/dev/mqueue: none", "/dev/shm: none");
		a[i].allow = POLICY_FILES("default: none", "/dev/mqueue/" QUEUE ": rwc",
					  "/dev/mqueue/" QUEUE "-new: rwc", "/dev/shm: rw");
		a[i].err = EACCES;
		a[i].reason = EG_WHY_RULE;
		attempt(&a[i]);
	}
	(void)syscall(SYS_mq_unlink, QUEUE);
	(void)syscall(SYS_mq_unlink, QUEUE "-new");
	(void)unlink(SHM_FILE);
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	foreign_objects();
	own_objects(AS_ROOT, "root");
	own_objects(AS_USER, "user");
	nothing_left();
	quota();
	posix();
	return harness_done();
}

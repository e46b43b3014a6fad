/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memo stays right whatever moves, and is used; many threads that rename and open. */
#include "files_common.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/mman.h>

#define OPENS 500
#define MOVES 3000
#define M D "/m"

/* ---- it is used ---------------------------------------------------------------------- */

static int act_open_often(const void *path)
{
	int i, r = 0;

	for (i = 0; i < OPENS && !r; i++)
		r = open_result(path, O_RDONLY);
	return r;
}

static void used(void)
{
	struct box *b = box_shared(policy_some());
	uint64_t walks;
	int r;

	if (!case_begin("opening a file again is answered from the memo"))
		return;
	fresh(NULL);
	walks = files_stat(EG_ST_PATH_WALK);
	r = box_run(b, AS_USER, act_open_often, D "/dir/f");
	walks = files_stat(EG_ST_PATH_WALK) - walks;
	check(r == 0, "%s", result_text(r));
	check(walks > 0 && walks < OPENS / 10, "%d opens, %lu walks", OPENS, walks);
	case_end();
}

/* ---- somebody outside moves a directory, while others look at it --------------------- */

static struct shared {
	int stop;
	int wrong;
} *shared;

static int act_keep_opening(const void *path)
{
	_cleanup_close_ int at = open(path, O_PATH | O_CLOEXEC);

	child_meet();
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		int fd = openat(at, "f", O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)close(fd);
	}
	return 0;
}

/* After each move: denied when it lies in `closed`, allowed when not. */
static int act_check_moves(const void *path)
{
	_cleanup_close_ int at = open(path, O_PATH | O_CLOEXEC);
	int i, wrong = 0;

	child_meet();
	for (i = 0; i < MOVES; i++) {
		int fd;

		child_meet();
		fd = openat(at, "f", O_RDONLY | O_CLOEXEC);
		wrong += (fd >= 0) != (i % 2 == 1);
		if (fd >= 0)
			(void)close(fd);
		child_meet();
	}
	return wrong;
}

static void moved_outside(const char *name, unsigned int flags)
{
	struct child racer, checker;
	struct box *b;
	int r, i;

	if (!case_begin("%d %s of a directory by an outsider: no open is wrong", MOVES, name))
		return;
	remove_tree(M);
	make_dir(M "/open/x");
	make_dir(M "/closed/x");
	write_file(M "/open/x/f", "content");
	write_file(M "/closed/x/f", "content");
	if (!flags)
		shell("rm -r " M "/closed/x");
	b = box_new(POLICY_FILES("default: rwxc", M "/closed: none"));
	shared->stop = 0;
	child_start(&racer, b, AS_USER, act_keep_opening, M "/open/x");
	child_meet_from_parent(&racer);
	child_start(&checker, b, AS_USER, act_check_moves, M "/open/x");
	child_meet_from_parent(&checker);
	for (i = 0; i < MOVES; i++) {
		bool back = i % 2 && !flags;

		must(renameat2(AT_FDCWD, back ? M "/closed/x" : M "/open/x", AT_FDCWD,
			       back ? M "/open/x" : M "/closed/x", flags));
		child_meet_from_parent(&checker);
		child_meet_from_parent(&checker);
	}
	shared->stop = 1;
	r = child_wait(&checker);
	check(r == 0, "%s wrong", result_text(r));
	(void)child_wait(&racer);
	box_free(b);
	case_end();
}

/* ---- mounts -------------------------------------------------------------------------- */

/* 1: could be opened. */
static int act_opens_at(const void *path)
{
	_cleanup_close_ int at = open(path, O_PATH | O_CLOEXEC);
	int i, opened = 0;

	for (i = 0; i < 6; i++) {
		int fd = openat(at, "f", O_RDONLY | O_CLOEXEC);

		opened |= (fd >= 0) << i;
		if (fd >= 0)
			(void)close(fd);
		child_meet();
		child_meet();
	}
	return opened;
}

static void mounts(void)
{
	struct child c;
	struct box *b;
	int r, i;

	if (!case_begin("a mount that moves takes its rules along"))
		return;
	make_dir(M "/m1");
	make_dir(M "/m2");
	shell("mount -t tmpfs x " M "/m1 && mkdir -m 777 " M "/m1/d && touch " M "/m1/d/f && "
	      "chmod 666 " M "/m1/d/f && mount --make-private " M "/m1");
	b = box_new(POLICY_FILES("default: rwxc", M "/m2: none"));
	child_start(&c, b, AS_USER, act_opens_at, M "/m1/d");
	for (i = 0; i < 6; i++) {
		child_meet_from_parent(&c);
		if (i % 2)
			shell("mount --move " M "/m2 " M "/m1");
		else
			shell("mount --move " M "/m1 " M "/m2");
		child_meet_from_parent(&c);
	}
	r = child_wait(&c);
	check(r == 0x15, "opened at %#x, expected every second time", r);
	box_free(b);
	shell("umount " M "/m1");
	case_end();
}

/* path, and whether it may be opened; forward and backward, again and again */
struct want {
	const char *path;
	int result;
};

static int act_wants(const void *arg)
{
	const struct want *w;
	int wrong = 0, round;

	for (round = 0; round < 8; round++)
		for (w = arg; w->path; w++)
			wrong += open_result(w->path, O_RDONLY) != w->result;
	return wrong;
}

static void two_mounts(void)
{
	static const struct want w[] = {
		{ D "/dir/f", 0 }, { M "/b1/f", -EACCES }, { M "/b2/f", 0 }, { M "/b3/f", -EACCES },
		{ M "/b4/f", 0 }, { M "/b5/f", -EACCES }, { M "/b6/f", 0 }, { NULL },
	};
	struct box *b;
	int r, i;

	if (!case_begin("one directory through more mounts than there are ways, with other rules"))
		return;
	fresh(NULL);
	for (i = 1; i <= 6; i++) {
		make_dir(str(M "/b%d", i));
		shell("mount --bind " D "/dir " M "/b%d", i);
	}
	/* patterns, which are not anchored: each name has its own rule */
	b = box_new(POLICY_FILES("default: rwxc", "\"" M "/b[135]\": none"));
	r = box_run(b, AS_USER, act_wants, w);
	check(r == 0, "%s wrong", result_text(r));
	box_free(b);
	for (i = 1; i <= 6; i++)
		shell("umount " M "/b%d", i);
	case_end();
}

static void versions(void)
{
	static const struct want denied[] = { { D "/dir/f", -EACCES }, { NULL } };
	static const struct want allowed[] = { { D "/dir/f", 0 }, { NULL } };
	struct box *b[EG_MEMO_WAYS + 3];
	size_t i, round;

	if (!case_begin("one directory under more policies than there are ways"))
		return;
	fresh(NULL);
	for (i = 0; i < ARRAY_SIZE(b); i++)
		b[i] = box_new(POLICY_FILES("default: rwxc", str(D "/v%zu: none", i),
					    i % 2 ? "\"" D "/di?/f\": none" : D "/v: none"));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(b); i++) {
			int r = box_run(b[i], AS_USER, act_wants, i % 2 ? denied : allowed);

			check(r == 0, "policy %zu: %s wrong", i, result_text(r));
		}
	}
	for (i = 0; i < ARRAY_SIZE(b); i++)
		box_free(b[i]);
	case_end();
}

/* ---- threads ------------------------------------------------------------------------- */

#define RACE D "/race"
#define THREADS 64
#define ROUNDS 40

static void try_read(const char *path)
{
	char text[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "secret"))
		__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED);
	(void)close(fd);
}

/* Even ones move directories and what is in them about, odd ones open by every name. */
static void *race_thread(void *arg)
{
	unsigned int me = (uintptr_t)arg, round;
	char a[64], b[64], key[80], other[80];

	snprintf(a, sizeof(a), RACE "/t%u", me / 2 % 4);
	for (round = 0; round < ROUNDS; round++) {
		snprintf(b, sizeof(b), RACE "/u%u", (me + round) % 4);
		snprintf(key, sizeof(key), "%s/key", me % 4 < 2 ? a : b);
		snprintf(other, sizeof(other), "%s/x", me % 4 < 2 ? b : a);
		if (me % 2) {
			try_read(key);
			try_read(other);
			continue;
		}
		(void)renameat2(AT_FDCWD, a, AT_FDCWD, b, round % 3 ? RENAME_EXCHANGE : 0);
		(void)!link(key, other);
		(void)rename(key, other);
		(void)renameat2(AT_FDCWD, other, AT_FDCWD, key, RENAME_EXCHANGE);
		(void)rename(b, a);
	}
	return NULL;
}

static int act_race(const void *unused)
{
	pthread_t t[THREADS];
	size_t i;

	(void)unused;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, race_thread, (void *)i))
			return -EAGAIN;
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	return 0;
}

static void threads(void)
{
	struct box *b;
	int r, i;

	if (!case_begin("%d threads move and open: nothing denied is read", THREADS))
		return;
	remove_tree(RACE);
	for (i = 0; i < 4; i++) {
		make_dir(str(RACE "/t%d", i));
		make_dir(str(RACE "/u%d", i));
		write_file(str(RACE "/t%d/key", i), "secret");
		write_file(str(RACE "/u%d/key", i), "secret");
		write_file(str(RACE "/u%d/x", i), "plain");
	}
	shell("chmod -R a+rwX " RACE);
	b = box_new(POLICY_FILES("default: rwxc", "\"**/key\": none"));
	shared->wrong = 0;
	r = box_run(b, AS_USER, act_race, NULL);
	check(r == 0, "%s", result_text(r));
	check(!shared->wrong, "%d of them read", shared->wrong);
	check(box_counters(b)->denied > 0, "nothing was denied: the test tests nothing");
	box_free(b);
	case_end();
}

void files_memo(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		harness_die("mmap: %m");
	used();
	moved_outside("renames", 0);
	moved_outside("exchanges", RENAME_EXCHANGE);
	mounts();
	two_mounts();
	versions();
	threads();
}

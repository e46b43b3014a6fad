/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* rename and link: `c` where a name appears or vanishes, and nothing gains by moving. */
#include "files_common.h"

#include <linux/fs.h>
#include <sys/syscall.h>

#define W D "/w" /* rwxc */
#define RC D "/rc" /* rc */
#define R D "/r" /* r */

struct move {
	const char *from, *to;
	unsigned int flags;
};

static int act_move(const void *arg)
{
	const struct move *m = arg;

	return renameat2(AT_FDCWD, m->from, AT_FDCWD, m->to, m->flags) ? -errno : 0;
}

static int act_uring_rename(const void *arg)
{
	const struct move *m = arg;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD,
				    .addr = (uintptr_t)m->from, .addr2 = (uintptr_t)m->to,
				    .len = (uint32_t)AT_FDCWD };

	return uring_one(&sqe, 0);
}

static int act_hard_link(const void *arg)
{
	const struct move *m = arg;

	return link(m->from, m->to) ? -errno : 0;
}

static int act_uring_link(const void *arg)
{
	const struct move *m = arg;
	struct io_uring_sqe sqe = { .opcode = IORING_OP_LINKAT, .fd = AT_FDCWD,
				    .addr = (uintptr_t)m->from, .addr2 = (uintptr_t)m->to,
				    .len = (uint32_t)AT_FDCWD };

	return uring_one(&sqe, 0);
}

static int act_link_opath(const void *arg)
{
	const struct move *m = arg;
	_cleanup_close_ int fd = open(m->from, O_PATH | O_CLOEXEC);
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return fd < 0 || linkat(AT_FDCWD, self, AT_FDCWD, m->to, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static void dirs(const char *const *list)
{
	for (; *list; list++) {
		make_dir(*list);
		must(chmod(*list, 0777));
		own(*list);
	}
}

static void files(const char *const *list)
{
	for (; *list; list++) {
		write_file(*list, "content");
		must(chmod(*list, 0666));
		own(*list);
	}
}

/* Everything below the three directories afresh. */
static void before(const void *unused)
{
	static const char *const d[] = { W, W "/dir", W "/empty", W "/p", W "/p/in", W "/q", RC,
					 RC "/dir", R, W "/git", W "/git/hooks", W "/plant",
					 W "/plant/hooks", NULL };
	static const char *const f[] = { W "/a", W "/b", W "/dir/f", W "/p/secret", W "/p/in/f",
					 W "/secret", RC "/g", RC "/dir/f", R "/g",
					 W "/plant/hooks/x", W "/git/hooks/x", NULL };

	(void)unused;
	remove_tree(W);
	remove_tree(RC);
	remove_tree(R);
	dirs(d);
	files(f);
}

static const char *policy(void)
{
	return POLICY_FILES("default: rwxc", R ": r", RC ": rc", W "/secret: none",
			    W "/p/secret: none", W "/new/hooks: rx", W "/git/hooks: rx");
}

static void moves(void)
{
	static const struct {
		const char *name;
		act_fn act;
		struct move m;
		int err; /* 0: allowed under policy() too */
	} t[] = {
		/* nothing changes for it */
		{ "rename a file", act_move, { W "/a", W "/c", 0 }, 0 },
		{ "rename a file over another", act_move, { W "/a", W "/b", 0 }, 0 },
		{ "rename a directory", act_move, { W "/dir", W "/dir2", 0 }, 0 },
		{ "link a file", act_hard_link, { W "/a", W "/c", 0 }, 0 },
		{ "exchange two files", act_move, { W "/a", W "/b", RENAME_EXCHANGE }, 0 },
		{ "exchange a file and a directory", act_move,
		  { W "/a", W "/dir", RENAME_EXCHANGE }, 0 },
		{ "RENAME_NOREPLACE", act_move, { W "/a", W "/c", RENAME_NOREPLACE }, 0 },
		{ "rename from where it had less is no gain the other way", act_move,
		  { W "/a", RC "/a", 0 }, 0 },
		{ "rename a directory to where all of it has less", act_move,
		  { W "/dir", RC "/dir2", 0 }, 0 },
		/* no `c` at one of the names */
		{ "rename into a readable directory", act_move, { W "/a", R "/a", 0 }, EACCES },
		{ "rename out of a readable directory", act_move, { R "/g", W "/g", 0 }, EACCES },
		{ "rename onto a denied file", act_move, { W "/a", W "/secret", 0 }, EACCES },
		{ "rename a denied file away", act_move, { W "/secret", W "/s", 0 }, EACCES },
		{ "rename by io_uring", act_uring_rename, { W "/secret", W "/s", 0 }, EACCES },
		{ "link into a readable directory", act_hard_link, { W "/a", R "/a", 0 }, EACCES },
		{ "exchange with a denied file", act_move,
		  { W "/a", W "/secret", RENAME_EXCHANGE }, EACCES },
		{ "exchange a denied file", act_move,
		  { W "/secret", W "/a", RENAME_EXCHANGE }, EACCES },
		{ "RENAME_WHITEOUT of a denied file", act_move,
		  { W "/secret", W "/s", RENAME_WHITEOUT }, EACCES },
		/* it would gain */
		{ "rename a file to where it has more", act_move, { RC "/g", W "/g", 0 }, EXDEV },
		{ "rename a directory to where it has more", act_move,
		  { RC "/dir", W "/dir2", 0 }, EXDEV },
		{ "link a denied file", act_hard_link, { W "/secret", W "/s", 0 }, EXDEV },
		{ "link a readable file", act_hard_link, { R "/g", W "/g", 0 }, EXDEV },
		{ "link through an O_PATH descriptor", act_link_opath, { W "/secret", W "/s", 0 },
		  EXDEV },
		{ "link by io_uring", act_uring_link, { W "/secret", W "/s", 0 }, EXDEV },
		{ "exchange with a file that has less", act_move,
		  { W "/a", RC "/g", RENAME_EXCHANGE }, EXDEV },
		{ "exchange a file that has less", act_move,
		  { RC "/g", W "/a", RENAME_EXCHANGE }, EXDEV },
		{ "exchange directories", act_move,
		  { W "/dir", RC "/dir", RENAME_EXCHANGE }, EXDEV },
		{ "RENAME_WHITEOUT to where it has more", act_move,
		  { RC "/g", W "/g", RENAME_WHITEOUT }, EXDEV },
		{ "rename a directory with a denied file below", act_move,
		  { W "/p", W "/p2", 0 }, EXDEV },
		{ "exchange a directory with a denied file below", act_move,
		  { W "/q", W "/p", RENAME_EXCHANGE }, EXDEV },
		/* what may not be made there would appear there */
		{ "bring what may not be made, by its directory", act_move,
		  { W "/plant", W "/new", 0 }, EXDEV },
		{ "move a protected directory's parent away", act_move,
		  { W "/git", W "/old", 0 }, EXDEV },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct attempt a = {
			.name = t[i].name, .act = t[i].act, .arg = &t[i].m, .before = before,
			.err = t[i].err, .deny = policy(), .allow = policy_all(),
			.op = t[i].act == act_move || t[i].act == act_uring_rename ? EG_OP_RENAME :
										     EG_OP_LINK,
			.reason = t[i].err == EXDEV ? EG_WHY_GAIN : EG_WHY_RULE,
			.path = t[i].m.from, .path2 = t[i].m.to,
		};
		struct box *b;
		int r;

		if (t[i].err) {
			attempt(&a);
			continue;
		}
		if (!case_begin("%s: allowed", t[i].name))
			continue;
		before(NULL);
		b = box_shared(policy());
		box_events_drop(b);
		r = box_run(b, AS_USER, t[i].act, &t[i].m);
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
}

/* As npm upgrades a package: its directory aside, the new one in its place. */
static int act_npm(const void *unused)
{
	(void)unused;
	if (mkdir(W "/node_modules", 0777) || mkdir(W "/node_modules/pkg", 0777) ||
	    open_result(W "/node_modules/pkg/index.js", O_CREAT | O_WRONLY) ||
	    mkdir(W "/node_modules/.pkg-new", 0777) ||
	    open_result(W "/node_modules/.pkg-new/index.js", O_CREAT | O_WRONLY) ||
	    rename(W "/node_modules/pkg", W "/node_modules/.pkg-old") ||
	    rename(W "/node_modules/.pkg-new", W "/node_modules/pkg") ||
	    rename(W "/node_modules/.pkg-old", D "/trash") ||
	    rename(D "/trash/index.js", D "/trash/x.js"))
		return -errno;
	return 0;
}

static int act_env_out(const void *unused)
{
	(void)unused;
	return rename(W "/dir/.env", W "/dir/env") ? -errno : 0;
}

static int act_env_by_dir(const void *unused)
{
	(void)unused;
	if (rename(W "/dir", W "/moved"))
		return -errno;
	return open_result(W "/moved/.env", O_RDONLY);
}

static void npm(void)
{
	struct box *b = box_new(POLICY_FILES("default: rwxc", "\"**/.env\": none",
					     "\"**/*.pem\": none", "\"**/id_*\": none"));
	int r;

	before(NULL);
	write_file(W "/dir/.env", "secret");
	if (case_begin("directories move where **/.env is none")) {
		r = box_run(b, AS_USER, act_npm, NULL);
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
	if (case_begin("what matches cannot be renamed")) {
		r = box_run(b, AS_USER, act_env_out, NULL);
		check(r == -EACCES, "%s", result_text(r));
		one_event(b, EG_OP_RENAME, EG_WHY_RULE, EACCES, W "/dir/.env");
		case_end();
	}
	if (case_begin("and stays denied below a renamed directory")) {
		r = box_run(b, AS_USER, act_env_by_dir, NULL);
		check(r == -EACCES, "%s", result_text(r));
		one_event(b, EG_OP_OPEN, EG_WHY_RULE, EACCES, W "/moved/.env");
		case_end();
	}
	box_free(b);
}

/* ---- anchors: names that were there before ------------------------------------------- */

struct want {
	const char *path;
	bool allowed;
};

static int act_wants(const void *arg)
{
	const struct want *w;
	int wrong = 0, r, round;

	/* the first look walks, the second one finds the memo */
	for (round = 0; round < 2; round++) {
		for (w = arg; w->path; w++) {
			r = open_result(w->path, O_RDONLY);
			if (r == (w->allowed ? 0 : -EACCES))
				continue;
			printf("# %s, round %d: %s\n", w->path, round, result_text(r));
			wrong++;
		}
	}
	return wrong;
}

static void anchors(void)
{
	static const struct want w[] = {
		{ W "/alias", false }, { W "/bfile", false }, { W "/bdir/f", false },
		{ W "/bdir/open", true }, { W "/bdir/openly/f", true }, { CLOSED "/open", true },
		{ CLOSED "/openly/f", true }, { CLOSED "/f", false }, { W "/bsub/f", true },
		{ W "/bpublic", false }, { W "/btree/closed/f", false },
		{ W "/btree/public", true },
		{ W "/btree/closed/open", true }, { W "/a", true }, { D "/cover", false }, { NULL },
	};
	static const char *const f[] = { CLOSED "/openly/f", D "/cover", W "/bfile", W "/bpublic",
					 NULL };
	static const char *const d[] = { CLOSED "/openly", W "/bdir", W "/bsub", W "/btree", NULL };
	struct box *b;
	int r;

	fresh(NULL);
	before(NULL);
	dirs(d);
	files(f);
	if (!case_begin("other names of what is denied, made before"))
		return;
	must(link(SECRET, W "/alias"));
	shell("mount --bind " SECRET " " W "/bfile && mount --bind " CLOSED " " W "/bdir && "
	      "mount --bind " D "/dir " W "/bsub && mount --bind " D " " W "/btree && "
	      "mount --bind " SECRET " " D "/cover");
	b = box_new(POLICY_FILES("default: rwxc", SECRET ": none", CLOSED ": none",
				 CLOSED "/open: rwxc", CLOSED "/openly: rwxc", W "/bpublic: r"));
	/* the anchor of what a mount covers does not speak for what is seen there */
	shell("mount --bind " SECRET " " W "/bpublic");
	r = box_run(b, AS_ROOT, act_wants, w);
	check(r == 0, "root: %s wrong", result_text(r));
	r = box_run(b, AS_USER, act_wants, w);
	check(r == 0, "user: %s wrong", result_text(r));
	box_events_drop(b);
	r = box_run(b, AS_USER, act_open_read, W "/alias");
	one_event(b, EG_OP_OPEN, EG_WHY_ANCHOR, EACCES, W "/alias");
	r = box_run(b, AS_USER, act_open_read, SECRET);
	one_event(b, EG_OP_OPEN, EG_WHY_RULE, EACCES, SECRET);
	box_free(b);
	shell("umount " W "/bfile " W "/bpublic " W "/bdir " W "/bsub " W "/btree " D "/cover");
	case_end();
}

void files_move(void)
{
	moves();
	npm();
	anchors();
}

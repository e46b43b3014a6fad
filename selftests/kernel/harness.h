/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernel-facing tests: one program a subject, run as root in the VM. It loads
 * the agent once and judges everything through it. See docs/testing.md.
 *
 *	int main(int argc, char **argv)
 *	{
 *		harness_init(argc, argv);
 *		attempt(&(struct attempt){
 *			.name = "read a denied file",
 *			.act = act_open_read, .arg = HARNESS_DIR "/secret",
 *			.deny = POLICY_FILES("default: rwxc", HARNESS_DIR "/secret: none"),
 *			.allow = POLICY_FILES("default: rwxc"),
 *			.err = EACCES, .op = EG_OP_OPEN, .want = EG_R,
 *			.path = HARNESS_DIR "/secret",
 *		});
 *		return harness_done();
 *	}
 *
 * Cases are printed as "ok N - name", "not ok N - name" with "# why" lines, and
 * "ok N - name # SKIP why"; an argument of the program runs only the cases whose
 * name contains it. Whatever the harness itself cannot do ends the program.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../../bpf/egressctl.h"

/* ---- the program --------------------------------------------------------------- */

/* Needs root in the VM. Refuses to run elsewhere: it attaches programs. */
void harness_init(int argc, char **argv);

/* Removes everything, prints the plan; what main() returns. */
int harness_done(void);

struct agent;
struct compiled;
struct sandboxes;
struct publisher;
struct agent *harness_agent(void); /* loaded at the first call that needs it */
struct publisher *harness_publisher(void);
struct sandboxes *harness_sandboxes(void);
/* One program of the agent's does not run, for a while; both return when it is so. */
void program_off(const char *name);
void program_on(const char *name);

/* ---- cases that are not attempts --------------------------------------------------- */

/*
 * if (case_begin("name")) { …; check(…); case_end(); } — false when the case is
 * not to be run. One result line a case, whatever number of checks.
 */
bool case_begin(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void case_end(void);

/* The case fails, with why; it goes on. */
void case_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define fail(...) case_fail(__FILE__, __LINE__, __VA_ARGS__)
/* Tested and said in words; yields whether it held. */
#define check(cond, ...) ((cond) ? true : (fail(__VA_ARGS__), false))

/* The case cannot be tried here. Only skips in selftests/expected-skips are forgiven. */
void case_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The set-up of the test itself failed: prints and exits. */
void harness_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* For calls that cannot fail unless the machine is broken. */
#define must(expr) \
	({ \
		__typeof__(expr) __r = (expr); \
		if (__r < 0) \
			harness_die("%s:%d: %s: %m", __FILE__, __LINE__, #expr); \
		__r; \
	})

bool kernel_at_least(unsigned int major, unsigned int minor);

/* ---- sandboxes ---------------------------------------------------------------------- */

/*
 * Policies are YAML. These paste one together; `files:` and `egress:` alone
 * leave the other half unjudged.
 */
#define POLICY_(section, ...) harness_policy(section, (const char *const[]){ __VA_ARGS__, NULL })
#define POLICY_FILES(...) POLICY_("files", __VA_ARGS__)
#define POLICY_EGRESS(...) POLICY_("egress", __VA_ARGS__)
const char *harness_policy(const char *section, const char *const *lines); /* kept for good */

struct box; /* a live sandbox */

/*
 * A new sandbox under this policy, for root or uid. Dies when the policy does
 * not compile. ${WORKDIR} is HARNESS_DIR, ${HOME} /root; shipped policies can be
 * extended.
 */
struct box *box_new(const char *policy);
/* One per text of policy for the whole program: versions are dear to publish. */
struct box *box_shared(const char *policy);
void box_free(struct box *b); /* kills and waits; not for shared ones */

struct sandbox *box_sandbox(struct box *b);
/* A policy for publisher_put(); dies when it does not compile. */
struct compiled *box_compile(const char *policy);
const struct eg_sandbox *box_counters(struct box *b);

enum as { AS_ROOT, AS_USER, AS_END }; /* uid 0 with every capability; uid and gid 65534 */

/*
 * What a child does: 0 or positive on success, negative errno on failure. It
 * runs in a process of its own, with no descriptors beyond 0, 1, 2 (and two
 * pipes at 900 and 901).
 */
typedef int (*act_fn)(const void *arg);

/*
 * Run `act` in a child inside `b` (NULL: outside of every sandbox) and return
 * what it returned; INT_MIN + signal when it died of one. Waits for the child,
 * not for what the child left behind.
 */
int box_run(struct box *b, enum as as, act_fn act, const void *arg);

/* The same in two steps: for children that go on while the parent does something. */
struct child {
	pid_t pid;
	int pidfd;
	struct child_shared *shared;
};
void child_start(struct child *c, struct box *b, enum as as, act_fn act, const void *arg);
int child_wait(struct child *c);
/*
 * A rendezvous: child_meet() in the child and child_meet_from_parent() return
 * when both have been called. Two of them are around what the child waits for.
 */
void child_meet(void);
void child_meet_from_parent(struct child *c);

#define DIED_OF(sig) (INT32_MIN + (sig))
/* "0", "5", "EACCES", "killed by signal 9": static storage of four results. */
const char *result_text(int result);

/* ---- events --------------------------------------------------------------------------- */

struct seen { /* one event, copied */
	uint16_t op;
	uint8_t reason, verdict, want, proto;
	int32_t error;
	uint16_t port; /* host byte order */
	uint8_t addr[16];
	uint64_t seq, aux, gap;
	uint32_t pid, uid, rule;
	char path[4097], path2[4097], exe[1025], comm[17];
	size_t path_len, path2_len;
};

/* Take what has come since the last call for this sandbox; the caller frees. */
size_t box_events(struct box *b, struct seen **events);
void box_events_drop(struct box *b);
void seen_print(const struct seen *s); /* as a "# " line */
void counters_print(struct box *b); /* what the kernel counted for this sandbox */

/* ---- the four-part form -------------------------------------------------------------------- */

#define WANT_ANY_REASON 255u

/*
 * Control: `act` succeeds outside. Deny: in a sandbox under `deny` it returns
 * -err. Event: exactly one, with these fields. Allow: under `allow` it succeeds
 * and there is no event. One case for each of root and user.
 */
struct attempt {
	const char *name;
	act_fn act;
	const void *arg;
	const char *deny;
	const char *allow; /* NULL: no policy can allow it */
	int err; /* positive */
	int answer; /* the same, where the kernel tells the caller another one; or 0 */

	/* of the event */
	uint16_t op; /* enum eg_op */
	uint8_t reason; /* enum eg_reason, WANT_ANY_REASON */
	uint8_t want; /* EG_R …; 0: not compared */
	uint8_t proto; /* 0: not compared */
	uint16_t port; /* host byte order; 0: not compared */
	const char *path; /* of the event; NULL: not compared */
	const char *path2;
	const char *addr; /* "10.0.0.1", "::1" */
	bool more_events; /* others may come with it */

	bool only_root; /* an ordinary user may not do it outside either */
	bool only_user;
	/* Before each part, outside: make the objects afresh. */
	void (*before)(const void *arg);
	/*
	 * After each part, outside: what it did or, when `refused`, must not have
	 * done. Calls fail().
	 */
	void (*after)(const void *arg, bool refused);
};
void attempt(const struct attempt *a);
void attempts(const struct attempt *a, size_t n);

/* ---- acts --------------------------------------------------------------------------------- */

/* arg is a path */
int act_open_read(const void *path);
int act_open_write(const void *path); /* no O_CREAT, no O_TRUNC */
int act_open_path_reopen(const void *path); /* O_PATH, then through /proc/self/fd */
int act_create(const void *path); /* O_CREAT | O_EXCL */
int act_list(const void *path);
int act_unlink(const void *path);
int act_mkdir(const void *path);
int act_rmdir(const void *path);
int act_truncate(const void *path);
int act_exec(const void *path); /* in a child of its own; positive: its exit status */
/* arg is struct two_paths */
struct two_paths {
	const char *from, *to;
};
int act_rename(const void *two);
int act_link(const void *two);

/* ---- files --------------------------------------------------------------------------------- */

/* On a tmpfs, empty at the start, removed at the end; anybody may write. */
#define HARNESS_DIR "/tmp/egtest"
/* printf into a string that is kept for good. */
const char *str(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void write_file(const char *path, const char *content); /* made or replaced, mode 0666 */
char *read_file(const char *path); /* malloc()ed; NULL: cannot be read */
void make_dir(const char *path); /* and its parents, mode 0777 */
void remove_tree(const char *path); /* may not exist */
/* Run a shell command outside; dies when it fails. */
void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

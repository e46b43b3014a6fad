/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys: those of others cannot be seen, used or found, own ones work, and none is left
 * where others would find it.
 */
#include "harness.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

#define NAME "egressctl:test"
#define RING "egressctl-ring"

/* What keys(7) calls these; key_serial_t is an int. */
static long add(const char *type, const char *name, int ring)
{
	const char *payload = strcmp(type, "keyring") ? "secret" : NULL;

	return syscall(SYS_add_key, type, name, payload, payload ? (size_t)6 : (size_t)0, ring);
}

static long ctl(int what, unsigned long a, unsigned long b, unsigned long c)
{
	return syscall(SYS_keyctl, what, a, b, c, 0ul);
}

static int done(long r)
{
	return r < 0 ? -errno : 0;
}

static const char *policy(const char *privileges)
{
	return str("version: 1\nfiles: {default: rwxc}\nprivileges: [%s]\n", privileges);
}

static long victim[AS_END]; /* a key in the keyring of each user */

#define POSSESSOR_ALL 0x3f000000ul
#define USER_ALL 0x003f0000ul

/* By a child that becomes the user: the keyring is the user's. */
static void make_victim(enum as as)
{
	int fds[2];
	long key;
	pid_t pid;

	must(pipe(fds));
	pid = must(fork());
	if (!pid) {
		if (as == AS_USER && (setresgid(65534, 65534, 65534) ||
				      setresuid(65534, 65534, 65534)))
			_exit(1);
		key = add("user", NAME, KEY_SPEC_USER_KEYRING);
		if (key >= 0)
			(void)ctl(KEYCTL_SETPERM, key, POSSESSOR_ALL | USER_ALL, 0);
		_exit(write(fds[1], &key, sizeof(key)) != sizeof(key));
	}
	must(read(fds[0], &victim[as], sizeof(victim[as])));
	must(waitpid(pid, NULL, 0));
	(void)close(fds[0]);
	(void)close(fds[1]);
	if (victim[as] < 0)
		harness_die("cannot make a key");
}

/* With an empty session keyring, as egress-run starts programs. */
static unsigned long mine(void)
{
	(void)ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0);
	return victim[getuid() ? AS_USER : AS_ROOT];
}

/* ---- acts ---------------------------------------------------------------------------- */

static int act_read(const void *unused)
{
	char buf[16];

	(void)unused;
	return done(ctl(KEYCTL_READ, mine(), (unsigned long)buf, sizeof(buf)));
}

static int act_update(const void *unused)
{
	(void)unused;
	return done(ctl(KEYCTL_UPDATE, mine(), (unsigned long)"secret", 6));
}

static int act_setperm(const void *unused)
{
	(void)unused;
	return done(ctl(KEYCTL_SETPERM, mine(), POSSESSOR_ALL | USER_ALL, 0));
}

static int act_search(const void *unused)
{
	(void)unused;
	(void)mine();
	return done(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", NAME, 0));
}

/* A key of its own, where everybody of its user looks. */
static int act_plant(const void *unused)
{
	(void)unused;
	(void)mine();
	return done(add("user", "egressctl:planted", KEY_SPEC_USER_KEYRING));
}

static int act_link_out(const void *unused)
{
	long key = add("user", "egressctl:own", KEY_SPEC_PROCESS_KEYRING);

	(void)unused;
	(void)mine();
	return key < 0 ? -EIO : done(ctl(KEYCTL_LINK, key, KEY_SPEC_USER_KEYRING, 0));
}

static int act_link_in(const void *unused)
{
	(void)unused;
	return done(ctl(KEYCTL_LINK, mine(), KEY_SPEC_PROCESS_KEYRING, 0));
}

static int act_persistent(const void *unused)
{
	(void)unused;
	return done(ctl(KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_PROCESS_KEYRING, 0));
}

static int act_named_session(const void *unused)
{
	(void)unused;
	return done(ctl(KEYCTL_JOIN_SESSION_KEYRING, (unsigned long)RING, 0, 0));
}

/* What is not there is made by a program that the kernel starts: there is none for this type. */
static int act_upcall(const void *unused)
{
	(void)unused;
	(void)mine();
	if (syscall(SYS_request_key, "user", "egressctl:nowhere", "x",
		    KEY_SPEC_PROCESS_KEYRING) < 0 && errno != ENOKEY && errno != ENOENT)
		return -errno;
	return 0;
}

static int act_to_parent(const void *unused)
{
	(void)unused;
	if (ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) < 0)
		return -EIO;
	return done(ctl(KEYCTL_SESSION_TO_PARENT, 0, 0, 0));
}

static void refused(void)
{
	struct attempt a[] = {
		{ .name = "read a key", .act = act_read, .answer = ENOKEY,
		  .reason = EG_WHY_FOREIGN },
		{ .name = "change a key", .act = act_update, .reason = EG_WHY_FOREIGN },
		{ .name = "change who may use a key", .act = act_setperm,
		  .reason = EG_WHY_FOREIGN },
		{ .name = "search the user's keyring", .act = act_search,
		  .answer = ENOKEY,
		  .reason = EG_WHY_FOREIGN },
		{ .name = "put a key into the user's keyring", .act = act_plant, .answer = ENOKEY,
		  .reason = EG_WHY_FOREIGN },
		{ .name = "link a key into the user's keyring", .act = act_link_out,
		  .answer = ENOKEY,
		  .reason = EG_WHY_FOREIGN },
		{ .name = "link a key of the user", .act = act_link_in, .reason = EG_WHY_FOREIGN },
		{ .name = "the persistent keyring", .act = act_persistent,
		  .reason = WANT_ANY_REASON },
		{ .name = "a keyring that has a name", .act = act_named_session,
		  .reason = EG_WHY_GUARD },
		{ .name = "a helper that makes a key", .act = act_upcall, .reason = EG_WHY_GUARD },
		{ .name = "a keyring for the parent", .act = act_to_parent, .err = ENOMEM,
		  .reason = EG_WHY_GUARD, .only_root = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		a[i].deny = policy("");
		a[i].allow = policy("keys");
		a[i].op = EG_OP_KEY;
		if (!a[i].err)
			a[i].err = EACCES;
		attempt(&a[i]);
	}
}

/* ---- what is not seen ---------------------------------------------------------------- */

static int act_look(const void *unused)
{
	char line[512];
	FILE *f = fopen("/proc/keys", "re");
	int found = 0;

	(void)unused;
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, NAME) != NULL;
	(void)fclose(f);
	return found;
}

static void not_listed(void)
{
	struct box *b = box_shared(policy(""));

	if (!case_begin("keys of others are in no list"))
		return;
	check(box_run(NULL, AS_ROOT, act_look, NULL) == 1, "outside it is in none either");
	check(box_run(b, AS_ROOT, act_look, NULL) == 0, "it is listed");
	case_end();
}

/* ---- own keys ------------------------------------------------------------------------ */

static int act_own(const void *unused)
{
	char buf[16] = {};
	long ring, key;

	(void)unused;
	if (ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0) < 0)
		return -errno;
	ring = ctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0);
	key = add("user", NAME, KEY_SPEC_SESSION_KEYRING);
	if (ring < 0 || key < 0)
		return -errno;
	if (syscall(SYS_request_key, "user", NAME, NULL, 0) != key)
		return -ENOKEY;
	if (ctl(KEYCTL_READ, key, (unsigned long)buf, sizeof(buf)) != 6 ||
	    memcmp(buf, "secret", 6))
		return -EIO;
	return done(ctl(KEYCTL_LINK, key, KEY_SPEC_PROCESS_KEYRING, 0)) ?:
	       done(ctl(KEYCTL_UNLINK, key, ring, 0)) ?: done(ctl(KEYCTL_REVOKE, key, 0, 0));
}

static void own_keys(enum as as, const char *whose)
{
	struct box *b = box_shared(policy(""));
	int r;

	if (!case_begin("own keys work [%s]", whose))
		return;
	r = box_run(b, as, act_own, NULL);
	check(r == 0, "returned %s", result_text(r));
	case_end();
}

struct held {
	long key;
	struct box *box;
};

/* A key that anybody of its user may use, held while the others try. */
static int act_hold(const void *arg)
{
	volatile struct held *h = *(struct held *const *)arg;

	h->key = add("user", NAME, KEY_SPEC_PROCESS_KEYRING);
	if (h->key < 0 || ctl(KEYCTL_SETPERM, h->key, POSSESSOR_ALL | USER_ALL, 0) < 0)
		return -errno;
	child_meet();
	child_meet();
	return 0;
}

static int act_read_held(const void *arg)
{
	const struct held *h = *(struct held *const *)arg;
	char buf[16];

	return done(ctl(KEYCTL_READ, h->key, (unsigned long)buf, sizeof(buf)));
}

static void two_sandboxes(struct held *h)
{
	struct box *a, *b;
	struct child c;
	int r;

	if (!case_begin("a key of another sandbox"))
		return;
	a = box_new(policy(""));
	b = box_new(policy(""));
	child_start(&c, a, AS_USER, act_hold, &h);
	child_meet_from_parent(&c);
	r = box_run(a, AS_USER, act_read_held, &h);
	check(r == 0, "in its own: %s", result_text(r));
	r = box_run(b, AS_USER, act_read_held, &h);
	check(r == -ENOKEY, "in another: %s", result_text(r));
	r = box_run(NULL, AS_USER, act_read_held, &h);
	check(r == 0, "outside: %s", result_text(r));
	child_meet_from_parent(&c);
	r = child_wait(&c);
	check(r == 0, "the holder: %s", result_text(r));
	box_free(a);
	box_free(b);
	case_end();
}

/* ---- quota --------------------------------------------------------------------------- */

/* The process keyring is one of them. */
static int act_fill(const void *unused)
{
	char name[32];

	(void)unused;
	for (unsigned int i = 0; i < EG_KEY_QUOTA; i++) {
		snprintf(name, sizeof(name), NAME "-%u", i);
		if (add("user", name, KEY_SPEC_PROCESS_KEYRING) < 0)
			return i == EG_KEY_QUOTA - 1 ? -errno : -EIO;
	}
	return 0;
}

static void quota(void)
{
	_cleanup_free_ struct seen *e = NULL;
	struct box *a, *b;
	size_t n;
	int r;

	if (!case_begin("one sandbox at its quota costs another none"))
		return;
	a = box_new(policy(""));
	b = box_new(policy(""));
	r = box_run(a, AS_ROOT, act_fill, NULL);
	check(r == -EDQUOT, "one too many: %s", result_text(r));
	n = box_events(a, &e);
	check(n == 1 && e[0].op == EG_OP_KEY && e[0].reason == EG_WHY_QUOTA, "%zu events", n);
	r = box_run(b, AS_ROOT, act_own, NULL);
	check(r == 0, "another sandbox: %s", result_text(r));
	box_free(a);
	box_free(b);
	case_end();
}

/* ---- what was forgotten ---------------------------------------------------------------- */

#define STALE 64
#define TRIES 20000 /* more than there can be room for in what is partly used */

static int act_make(const void *unused)
{
	char name[32];

	(void)unused;
	for (int i = 0; i < STALE; i++) {
		snprintf(name, sizeof(name), NAME "-%d", i);
		if (add("user", name, KEY_SPEC_PROCESS_KEYRING) < 0)
			return -errno;
	}
	return 0;
}

/* Each CPU keeps what was freed on it. */
static void run_on(int n, const cpu_set_t *all)
{
	int count = CPU_COUNT(all), cpu = -1;
	cpu_set_t one;

	for (n %= count; n >= 0; n -= CPU_ISSET(cpu, all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	must(sched_setaffinity(0, sizeof(one), &one));
}

/*
 * The program that forgets owners was passed over: who makes a key where one of the
 * sandbox's was has it for itself. The kernel frees keys when it has time for it.
 */
static void stale(void)
{
	static long next[TRIES];
	struct box *b;
	char name[64];
	cpu_set_t all;
	uint32_t n;
	int i, r;

	if (!case_begin("a key at the address of one of its own"))
		return;
	program_off("key_freed");
	b = box_new(policy(""));
	r = box_run(b, AS_ROOT, act_make, NULL);
	n = box_counters(b)->nkeys;
	check(!r && n > STALE, "control: %s, %u keys", result_text(r), n);
	must(sched_getaffinity(0, sizeof(all), &all));
	for (i = 0; i < TRIES && box_counters(b)->nkeys == n; i++) {
		if (!(i % STALE))
			run_on(i / STALE, &all);
		snprintf(name, sizeof(name), NAME "-next-%d", i);
		must(next[i] = add("user", name, KEY_SPEC_USER_KEYRING));
	}
	must(sched_setaffinity(0, sizeof(all), &all));
	check(box_counters(b)->nkeys < n, "its owner is the sandbox still");
	while (i--)
		(void)ctl(KEYCTL_INVALIDATE, (unsigned long)next[i], 0, 0);
	program_on("key_freed");
	box_free(b);
	case_end();
}

int main(int argc, char **argv)
{
	static struct held *h;

	harness_init(argc, argv);
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		harness_die("no memory");
	make_victim(AS_ROOT);
	make_victim(AS_USER);
	refused();
	not_listed();
	own_keys(AS_ROOT, "root");
	own_keys(AS_USER, "user");
	two_sandboxes(h);
	quota();
	stale();
	for (int as = 0; as < AS_END; as++)
		(void)ctl(KEYCTL_INVALIDATE, victim[as], 0, 0);
	return harness_done();
}

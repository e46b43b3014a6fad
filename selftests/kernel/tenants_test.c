// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Two sandboxes that may not do the same, turn by turn, over whatever their rows share: what one
 * may, the other may not, and what one is refused is told and counted as its own. What is asked
 * of both is the same object, so that each answer that is remembered for one meets the other.
 *
 * Besides: bindings of names (names_test), System V and POSIX objects (ipc_test), keys (keys_test),
 * sockets that are handed over (egress_unix, egress_local), more versions than a memo has ways
 * (files_memo), slots that are used again (identity_test), crowds (floods_test).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf_load.h"
#include "harness.h"
#include "net_hosts.h"
#include "sandbox.h"
#include "util.h"

#define D HARNESS_DIR "/tenants"
#define ROUNDS 3
#define CROWD 2000
#define CROWD_RATE 10 /* events a second that it may tell: less than an emulator refuses */
#define PATIENCE_MS 10000 /* ends what would hang, decides nothing */

enum { ONE, OTHER, TENANTS };

struct access {
	const char *name;
	act_fn act;
	const void *arg[TENANTS]; /* what each of them may */
	int err; /* for the other one */
};

/* Who may, and who may not: in turn, so that each comes behind each. */
static void in_turn(struct box *b[TENANTS], const struct access *a, void (*before)(void))
{
	if (!case_begin("%s: what one may, the other may not", a->name))
		return;
	for (int round = 0; round < ROUNDS; round++) {
		for (int k = 0; k < TENANTS * TENANTS; k++) {
			int who = k / TENANTS, whose = k % TENANTS, r;

			before();
			r = box_run(b[who], AS_ROOT, a->act, a->arg[whose]);
			check(who == whose ? r >= 0 : r == -a->err, "%s to what %s may: %s",
			      who == ONE ? "one" : "the other",
			      whose == ONE ? "one" : "the other", result_text(r));
			before();
			r = box_run(NULL, AS_ROOT, a->act, a->arg[whose]);
			check(r >= 0, "outside: %s", result_text(r));
		}
	}
	case_end();
}

/* ---- paths ------------------------------------------------------------------------------ */

static void scene(void)
{
	for (const char *const *dir = (const char *const[]){ D "/one", D "/other", NULL }; *dir;
	     dir++) {
		make_dir(*dir);
		write_file(str("%s/file", *dir), "text");
		write_file(str("%s/gone", *dir), "text");
		(void)rmdir(str("%s/made", *dir));
	}
}

static void paths(void)
{
#define BOTH(name) { D "/one" name, D "/other" name }
	static const struct two_paths moved[TENANTS] = {
		{ D "/one/gone", D "/one/moved" }, { D "/other/gone", D "/other/moved" },
	};
	static const struct access all[] = {
		{ "read", act_open_read, BOTH("/file"), EACCES },
		{ "write", act_open_write, BOTH("/file"), EACCES },
		{ "truncate", act_truncate, BOTH("/file"), EACCES },
		{ "list", act_list, BOTH(""), EACCES },
		{ "execute", act_exec, BOTH("/true"), EACCES },
		{ "make a directory", act_mkdir, BOTH("/made"), EACCES },
		{ "remove", act_unlink, BOTH("/gone"), EACCES },
		{ "rename", act_rename, { &moved[ONE], &moved[OTHER] }, EACCES },
	};
#undef BOTH
	struct box *b[TENANTS];

	scene();
	shell("cp /bin/true " D "/one/true && cp /bin/true " D "/other/true");
	b[ONE] = box_new(POLICY_FILES("default: rwxc", D "/other: none"));
	b[OTHER] = box_new(POLICY_FILES("default: rwxc", D "/one: none"));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		in_turn(b, &all[i], scene);
	for (int i = 0; i < TENANTS; i++)
		box_free(b[i]);
}

/* A rule for a file holds it by every name: in whose policy the rule is. */
static void anchors(void)
{
	static const char *const names[] = { D "/anchor/file", D "/anchor/link" };
	struct box *b[TENANTS];

	if (!case_begin("a file that is anchored for one, by two names"))
		return;
	make_dir(D "/anchor");
	write_file(names[0], "text");
	must(link(names[0], names[1]));
	b[ONE] = box_new(POLICY_FILES("default: rwxc", D "/anchor/file: none"));
	b[OTHER] = box_new(POLICY_FILES("default: rwxc", D "/anchor/other: none"));
	for (int k = 0; k < 2 * ROUNDS; k++) {
		int r = box_run(b[ONE], AS_ROOT, act_open_read, names[k % 2]);

		check(r == -EACCES, "one, %s: %s", names[k % 2], result_text(r));
		r = box_run(b[OTHER], AS_ROOT, act_open_read, names[k % 2]);
		check(r >= 0, "the other, %s: %s", names[k % 2], result_text(r));
	}
	for (int i = 0; i < TENANTS; i++)
		box_free(b[i]);
	case_end();
}

/* ---- addresses --------------------------------------------------------------------------- */

static void addresses(void)
{
	static const struct net_target v4[] = { { NET_OK4, NET_PORT }, { NET_EVIL4, NET_PORT } };
	static const struct net_target v6[] = { { NET_OK6, NET_PORT }, { NET_EVIL6, NET_PORT } };
	static const struct net_target ports[] = { { NET_OK4, 7001 }, { NET_OK4, 7002 } };
	static const struct access all[] = {
		{ "TCP", act_tcp, { &v4[ONE], &v4[OTHER] }, EPERM },
		{ "TCP over IPv6", act_tcp, { &v6[ONE], &v6[OTHER] }, EPERM },
		{ "UDP", act_udp_sendto, { &v4[ONE], &v4[OTHER] }, EPERM },
		{ "connected UDP over IPv6", act_udp_connected, { &v6[ONE], &v6[OTHER] }, EPERM },
	};
	static const struct access port = {
		"a port", act_tcp, { &ports[ONE], &ports[OTHER] }, EPERM,
	};
	struct box *b[TENANTS];

	b[ONE] = box_new(POLICY_EGRESS("allow: [\"" NET_OK4 ":*\", \"" NET_OK4 ":*/udp\", "
				       "\"[" NET_OK6 "]:*\", \"[" NET_OK6 "]:*/udp\"]"));
	b[OTHER] = box_new(POLICY_EGRESS("allow: [\"" NET_EVIL4 ":*\", \"" NET_EVIL4 ":*/udp\", "
					 "\"[" NET_EVIL6 "]:*\", \"[" NET_EVIL6 "]:*/udp\"]"));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		in_turn(b, &all[i], net_reset);
	for (int i = 0; i < TENANTS; i++)
		box_free(b[i]);
	b[ONE] = box_new(POLICY_EGRESS("allow: [\"" NET_OK4 ":7001\"]"));
	b[OTHER] = box_new(POLICY_EGRESS("allow: [\"" NET_OK4 ":7002\"]"));
	in_turn(b, &port, net_reset);
	for (int i = 0; i < TENANTS; i++)
		box_free(b[i]);
}

/* ---- events ------------------------------------------------------------------------------ */

static size_t told(struct box *b, const char *path)
{
	_cleanup_free_ struct seen *e = NULL;
	size_t n = box_events(b, &e);

	for (size_t i = 0; i < n; i++) {
		check(!strcmp(e[i].path, path), "an event about %s, not %s", e[i].path, path);
		check(e[i].seq == i + 1 && !e[i].gap, "event %zu has number %llu", i + 1,
		      (unsigned long long)e[i].seq);
	}
	return n;
}

static void whose_events(void)
{
	static const unsigned int often[TENANTS] = { 5, 3 };
	static const char *const shut[TENANTS] = { D "/other/file", D "/one/file" };
	struct box *b[TENANTS];

	if (!case_begin("each one's refusals are its own, in events and numbers"))
		return;
	scene();
	b[ONE] = box_new(POLICY_FILES("default: rwxc", D "/other: none"));
	b[OTHER] = box_new(POLICY_FILES("default: rwxc", D "/one: none"));
	for (unsigned int k = 0; k < often[ONE]; k++)
		for (int i = 0; i < TENANTS; i++)
			if (k < often[i])
				(void)box_run(b[i], AS_ROOT, act_open_read, shut[i]);
	for (int i = 0; i < TENANTS; i++) {
		size_t n = told(b[i], shut[i]);

		check(n == often[i], "%zu events, expected %u", n, often[i]);
		check(box_counters(b[i])->denied == often[i], "%llu refusals, expected %u",
		      (unsigned long long)box_counters(b[i])->denied, often[i]);
		box_free(b[i]);
	}
	case_end();
}

static int act_crowd(const void *path)
{
	for (int i = 0; i < CROWD; i++)
		if (act_open_read(path) != -EACCES)
			return -EIO;
	return 0;
}

/* One is refused all the time and tells more than it may: the other is heard. */
static void crowded(void)
{
	struct box *b[TENANTS];
	struct eg_sandbox *slot;
	struct child c;
	size_t n;
	int r;

	if (!case_begin("one that tells more than it may costs the other no event"))
		return;
	scene();
	b[ONE] = box_new(POLICY_FILES("default: rwxc", D "/other: none"));
	b[OTHER] = box_new(POLICY_FILES("default: rwxc", D "/one: none"));
	slot = &agent_sandboxes(harness_agent())[sandbox_slot(box_sandbox(b[ONE]))];
	slot->ev_rate = CROWD_RATE;
	slot->ev_burst = CROWD_RATE;
	child_start(&c, b[ONE], AS_ROOT, act_crowd, D "/other/file");
	for (int ms = 0; ms < PATIENCE_MS && !box_counters(b[ONE])->ev_suppressed; ms++)
		usleep(1000);
	for (int i = 0; i < ROUNDS; i++) {
		r = box_run(b[OTHER], AS_ROOT, act_open_read, D "/one/file");
		check(r == -EACCES, "the other meanwhile: %s", result_text(r));
	}
	r = child_wait(&c);
	check(!r, "the crowd: %s", result_text(r));
	n = told(b[OTHER], D "/one/file");
	check(n == ROUNDS, "%zu events of the other, expected %d", n, ROUNDS);
	check(!box_counters(b[OTHER])->ev_suppressed && !box_counters(b[OTHER])->ev_lost,
	      "some of the other's were not told");
	check(box_counters(b[ONE])->ev_suppressed, "the crowd told everything");
	check(box_counters(b[ONE])->denied == CROWD, "%llu refusals of the crowd, expected %d",
	      (unsigned long long)box_counters(b[ONE])->denied, CROWD);
	for (int i = 0; i < TENANTS; i++)
		box_free(b[i]);
	case_end();
}

/* ---- quotas -------------------------------------------------------------------------- */

static int act_pty(const void *unused)
{
	int master, slave;

	(void)unused;
	if (openpty(&master, &slave, NULL, NULL, NULL))
		return -errno;
	(void)close(master);
	return close(slave);
}

/* As many as one may have; one more; and when all of them have gone, one. */
static int act_ptys(const void *unused)
{
	int fds[EG_PTY_QUOTA], i, err = 0;

	(void)unused;
	for (i = 0; i < (int)ARRAY_SIZE(fds); i++) {
		fds[i] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fds[i] < 0)
			return -EBADE;
	}
	child_meet();
	if (act_pty(NULL) != -ENOSPC)
		err = -EBADF;
	child_meet();
	while (i-- > 0)
		(void)close(fds[i]);
	return err ? err : act_pty(NULL);
}

static void terminals(void)
{
	_cleanup_free_ struct seen *e = NULL;
	struct box *b[TENANTS];
	struct child c;
	size_t n;
	int r;

	if (!case_begin("one with as many terminals as it may have costs the other none"))
		return;
	b[ONE] = box_new(POLICY_FILES("default: rwxc"));
	b[OTHER] = box_new(POLICY_FILES("default: rwxc"));
	child_start(&c, b[ONE], AS_ROOT, act_ptys, NULL);
	child_meet_from_parent(&c);
	check(box_counters(b[ONE])->nptys == EG_PTY_QUOTA, "%u counted",
	      box_counters(b[ONE])->nptys);
	r = box_run(b[OTHER], AS_ROOT, act_pty, NULL);
	check(!r, "the other: %s", result_text(r));
	r = box_run(NULL, AS_ROOT, act_pty, NULL);
	check(!r, "outside: %s", result_text(r));
	child_meet_from_parent(&c);
	r = child_wait(&c);
	check(!r, "one too many, and one of those it may have: %s", result_text(r));
	n = box_events(b[ONE], &e);
	check(n == 1 && e[0].op == EG_OP_OPEN && e[0].reason == EG_WHY_QUOTA &&
	      e[0].error == ENOSPC && str_ends(e[0].path, "ptmx"), "%zu events", n);
	for (int i = 0; i < TENANTS; i++) {
		check(!box_counters(b[i])->nptys, "%u counted in the end",
		      box_counters(b[i])->nptys);
		box_free(b[i]);
	}
	case_end();
}

/* What user space has no other name for: it is pinned beside the links that use it. */
static int map_named(const char *name, struct bpf_map_info *info)
{
	uint32_t id = 0, len;
	int fd, found = -1;

	while (!bpf_map_get_next_id(id, &id)) {
		struct bpf_map_info it = {};

		len = sizeof(it);
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &it, &len) || !str_eq(it.name, name)) {
			(void)close(fd);
			continue;
		}
		if (found >= 0)
			harness_die("two maps are called %s", name);
		found = fd;
		*info = it;
	}
	if (found < 0)
		harness_die("no map is called %s", name);
	return found;
}

/* struct eg_room ends with whether somebody has it. */
static void take_rooms(int fd, const struct bpf_map_info *info, uint64_t taken)
{
	_cleanup_free_ char *room = malloc(info->value_size);

	if (!room)
		harness_die("no memory");
	for (uint32_t i = 0; i < info->max_entries; i++) {
		must(bpf_map_lookup_elem(fd, &i, room));
		memcpy(room + info->value_size - sizeof(taken), &taken, sizeof(taken));
		must(bpf_map_update_elem(fd, &i, room, BPF_EXIST));
	}
}

/* What a sandbox is answered where nothing can be judged, and where all can. */
static void answers(struct box *b, const char *who, bool judged)
{
	uint64_t failed = box_counters(b)->failed;
	int r;

	box_events_drop(b);
	r = box_run(b, AS_ROOT, act_open_read, D "/one/file");
	check(r == (judged ? 0 : -EAGAIN), "%s, what it may: %s", who, result_text(r));
	r = box_run(b, AS_ROOT, act_open_read, D "/other/file");
	check(r == (judged ? -EACCES : -EAGAIN), "%s, what it may not: %s", who, result_text(r));
	check((box_counters(b)->failed == failed) == judged, "%s: %llu failures", who,
	      (unsigned long long)(box_counters(b)->failed - failed));
	r = box_run(NULL, AS_ROOT, act_open_read, D "/other/file");
	check(!r, "outside: %s", result_text(r));
}

/*
 * Room to judge in, as if so many programs had been preempted half-way. A kernel whose storages
 * are never busy has one room, which nobody takes: there all of this changes nothing.
 */
static void rooms(void)
{
	_cleanup_close_ int all = -1, shares = -1;
	struct bpf_map_info info, share_info;
	struct box *b[TENANTS];
	uint32_t slot, taken;
	bool used;

	if (!case_begin("all room to judge in is taken, or one sandbox's share"))
		return;
	scene();
	for (int i = 0; i < TENANTS; i++)
		b[i] = box_new(POLICY_FILES("default: rwxc", D "/other: none"));
	all = map_named("rooms", &info);
	shares = map_named("shares", &share_info);
	used = info.max_entries == EG_MAX_ROOMS;
	printf("# this kernel %s rooms\n", used ? "needs" : "has no need of");
	take_rooms(all, &info, 1);
	answers(b[ONE], "no room", !used);
	take_rooms(all, &info, 0);
	answers(b[ONE], "room again", true);
	slot = sandbox_slot(box_sandbox(b[ONE]));
	taken = EG_ROOM_QUOTA;
	must(bpf_map_update_elem(shares, &slot, &taken, BPF_EXIST));
	answers(b[ONE], "its share is taken", !used);
	answers(b[OTHER], "the other's is not", true);
	taken = EG_ROOM_QUOTA - 1;
	must(bpf_map_update_elem(shares, &slot, &taken, BPF_EXIST));
	answers(b[ONE], "one is left", true);
	taken = 0;
	must(bpf_map_update_elem(shares, &slot, &taken, BPF_EXIST));
	for (int i = 0; i < TENANTS; i++)
		box_free(b[i]);
	case_end();
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	net_up();
	paths();
	anchors();
	addresses();
	whose_events();
	crowded();
	terminals();
	rooms();
	return harness_done();
}

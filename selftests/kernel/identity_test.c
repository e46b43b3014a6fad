/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sandboxes come and go, and nothing of them stays: no map entry, link, cgroup, descriptor
 * or kernel memory; and whoever gets the number of a process that was in one is free.
 * EGRESSCTL_ROUNDS: how many sandboxes (make identity: 100,000).
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "egress_acts.h"

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "sandbox.h"
#include "util.h"

#define SECRET HARNESS_DIR "/secret"
#define POLICY "version: 1\nfiles: {default: rwxc, " SECRET ": none}\n" \
	"egress: {loopback: own, listen: own, allow: [\"" NET_OK4 ":*\"]}\n"
#define SANDBOXES 150
#define BESIDE 10
#define SAY_EVERY 10000
/* Slabs that are half empty, memory of cgroups that the kernel frees by and by. */
#define MEMORY_SLACK_KB 24576

static const struct net_target ok = { NET_OK4, NET_PORT };

struct left {
	size_t entries[AGENT_MAP_MAX], fds, links, cgroups, dying, kernel_kb;
};

static size_t map_entries(int fd)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	char key[512], next[512];
	void *at = NULL;
	size_t n = 0;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || info.key_size > sizeof(key))
		return 0;
	if (info.type != BPF_MAP_TYPE_HASH && info.type != BPF_MAP_TYPE_LRU_HASH &&
	    info.type != BPF_MAP_TYPE_LPM_TRIE)
		return 0; /* arrays are as long as they are; storages die with their owner */
	while (!bpf_map_get_next_key(fd, at, next)) {
		n++;
		memcpy(key, next, sizeof(key));
		at = key;
	}
	return n;
}

static size_t dir_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* The number behind a word in a file of the kernel. */
static size_t number_in(const char *file, const char *word)
{
	_cleanup_free_ char *text = read_file(file);
	char *at = text ? strstr(text, word) : NULL;

	return at ? strtoul(at + strlen(word), NULL, 10) : 0;
}

static void look(struct left *l)
{
	const char *top = agent_cgroup_path(harness_agent());

	/* Inodes of a cgroup that has gone lie in a cache until memory is wanted, two a sandbox. */
	write_file("/proc/sys/vm/drop_caches", "3\n");
	for (int i = 0; i < AGENT_MAP_MAX; i++)
		l->entries[i] = map_entries(agent_map_fd(harness_agent(), i));
	l->fds = dir_entries("/proc/self/fd");
	l->links = dir_entries(agent_pins_top(harness_agent()));
	l->cgroups = number_in(str("%s/cgroup.stat", top), "nr_descendants ");
	l->dying = number_in(str("%s/cgroup.stat", top), "nr_dying_descendants ");
	l->kernel_kb = number_in("/proc/meminfo", "SUnreclaim:") +
		       number_in("/proc/meminfo", "Percpu:");
}

/* Something of everything that has state: files, refusals, sockets, children. */
static int live(const void *arg)
{
	int err, fd, pair[2];
	pid_t pid;

	(void)arg;
	err = act_open_read(SECRET);
	if (err != -EACCES)
		return err ? err : -EBADE;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	err = act_udp_sendto(&ok);
	if (err < 0)
		return err;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : -errno;
}

/* BESIDE sandboxes beside each other, from their making to their end. */
static void some(void)
{
	struct box *boxes[BESIDE];
	struct child children[BESIDE];

	for (size_t i = 0; i < BESIDE; i++)
		boxes[i] = box_new(POLICY);
	for (size_t i = 0; i < BESIDE; i++)
		child_start(&children[i], boxes[i], AS_ROOT, live, NULL);
	for (size_t i = 0; i < BESIDE; i++) {
		int err = child_wait(&children[i]);

		check(!err, "inside: %s", result_text(err));
		box_events_drop(boxes[i]);
		box_free(boxes[i]);
	}
}

static void none_left(const struct left *before, const struct left *after)
{
	for (int i = 0; i < AGENT_MAP_MAX; i++) {
		/* a dead cgroup's sockets stay its sandbox's until the slot is used again */
		size_t most = i == AGENT_MAP_CGROUPS ? EG_MAX_SANDBOXES : before->entries[i];

		check(after->entries[i] <= most, "map %d: %zu entries, %zu before", i,
		      after->entries[i], before->entries[i]);
	}
	check(after->fds == before->fds, "%zu descriptors, %zu before", after->fds, before->fds);
	check(after->links == before->links, "%zu pins, %zu before", after->links, before->links);
	check(after->cgroups == before->cgroups, "%zu cgroups, %zu before", after->cgroups,
	      before->cgroups);
	/* the kernel's work queues are behind, by no more than a few hundred */
	check(after->dying < 512, "%zu cgroups that do not die", after->dying);
	check(after->kernel_kb < before->kernel_kb + MEMORY_SLACK_KB,
	      "%zu kB of kernel memory, %zu before", after->kernel_kb, before->kernel_kb);
}

static void come_and_go(void)
{
	const char *text = getenv("EGRESSCTL_ROUNDS");
	uint64_t want = SANDBOXES, n;
	struct left before, after;

	if (!case_begin("sandboxes leave nothing behind"))
		return;
	if (text && parse_u64(text, 1, UINT32_MAX, &want))
		harness_die("EGRESSCTL_ROUNDS=%s: a number from 1", text);
	(void)box_shared(POLICY); /* the version stays */
	some();
	some();
	look(&before);
	for (n = 0; n < want; n += BESIDE) {
		some();
		if (n / SAY_EVERY == (n + BESIDE) / SAY_EVERY)
			continue;
		look(&after);
		printf("# %llu sandboxes; kernel memory %zu kB, %zu before; dying cgroups %zu\n",
		       (unsigned long long)(n + BESIDE), after.kernel_kb, before.kernel_kb,
		       after.dying);
		fflush(stdout);
	}
	look(&after);
	none_left(&before, &after);
	printf("# %llu sandboxes; kernel memory %zu kB, %zu before; dying cgroups %zu, %zu\n",
	       (unsigned long long)n, after.kernel_kb, before.kernel_kb, after.dying,
	       before.dying);
	case_end();
}

static int my_pid(const void *arg)
{
	(void)arg;
	return getpid();
}

/* The next process gets this number, if nobody was faster. */
static bool fork_as(pid_t want, int *opened)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	pid_t pid;
	int status;

	if (fd < 0 || dprintf(fd, "%d", want - 1) < 0)
		harness_die("ns_last_pid: %m");
	pid = must(fork());
	if (!pid)
		_exit(-act_open_read(SECRET));
	must(waitpid(pid, &status, 0));
	*opened = -WEXITSTATUS(status);
	return pid == want;
}

static void used_again(void)
{
	int pid, opened = -1, i;
	struct box *b;

	if (!case_begin("the number of a process that was in a sandbox is used again"))
		return;
	b = box_new(POLICY);
	pid = box_run(b, AS_ROOT, my_pid, NULL);
	for (i = 0; i < 64 && !fork_as(pid, &opened); i++)
		;
	check(i < 64, "the number %d was never free", pid);
	check(!opened, "an outsider with this number: %s", result_text(opened));
	box_free(b);
	case_end();
}

static int pid_of_child(const void *arg)
{
	pid_t pid = fork();

	(void)arg;
	if (!pid)
		_exit(0);
	return pid < 0 ? -errno : waitpid(pid, NULL, 0) == pid ? pid : -errno;
}

/* The other way round: who is in a sandbox is, whatever number it has. */
static int open_as(const void *arg)
{
	(void)arg;
	return act_open_read(SECRET);
}

static void number_of_outsider(void)
{
	pid_t outside;
	struct box *b;
	int err;

	if (!case_begin("a process in a sandbox has the number that an outsider had"))
		return;
	outside = pid_of_child(NULL);
	must(outside);
	{
		_cleanup_close_ int fd = must(open("/proc/sys/kernel/ns_last_pid",
						   O_WRONLY | O_CLOEXEC));

		must(dprintf(fd, "%d", outside - 1));
	}
	b = box_new(POLICY);
	err = box_run(b, AS_ROOT, open_as, NULL);
	check(err == -EACCES, "%s, not EACCES", result_text(err));
	box_free(b);
	case_end();
}

/* As many as there is room for, of scouts that were killed or got stuck. */
static void stale_scouts(void)
{
	const struct eg_scouted seen = {};
	struct box *b;
	int err, map;

	if (!case_begin("what scouts have left behind is in nobody's way"))
		return;
	map = agent_map_fd(harness_agent(), AGENT_MAP_SCOUTED);
	for (uint32_t i = 0; i < EG_MAX_SCOUTED; i++) {
		uint32_t tid = 0x40000000 + i; /* no thread's */

		must(bpf_map_update_elem(map, &tid, &seen, BPF_ANY));
	}
	b = box_new(POLICY);
	err = box_run(b, AS_ROOT, open_as, NULL);
	check(err == -EACCES, "%s, not EACCES", result_text(err));
	check(!map_entries(map), "%zu are there still", map_entries(map));
	box_free(b);
	case_end();
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	net_up();
	write_file(SECRET, "SECRET\n");
	come_and_go();
	used_again();
	number_of_outsider();
	stale_scouts();
	return harness_done();
}

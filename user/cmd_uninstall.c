/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl uninstall`: nothing of ours stays in the kernel, while nothing needs it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bpf_abis.h"
#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "commands.h"
#include "config.h"
#include "diag.h"
#include "eventlog.h"
#include "runs.h"
#include "sandbox.h"
#include "options.h"
#include "print.h"
#include "state.h"
#include "util.h"

struct options {
	bool check, logs, json;
};

static const struct option_row rows[] = {
	{ "--check", NULL, "only say whether anything runs: 0 nothing, 1 something does",
	  .kind = OPTION_FLAG, .at = offsetof(struct options, check) },
	{ "--logs", NULL, "remove " EVENTLOG_DIR ", too", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, logs) },
	{ "--json", NULL, "print what was removed and what was kept as JSON", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, json) },
	{}
};

static const struct command_line line = {
	.name = "egressctl uninstall",
	.args = "[--json] [--check | --logs]",
	.about = "Programs, maps, links, cgroups and state of egressctl are removed. Refused\n"
		 "while sandboxes run or egressd does; files of the installation and of /etc\n"
		 "stay.\n",
	.options = rows,
	.end = "Exit status: 0 done, or nothing runs; 1 something runs; 2 usage; 125 failed.\n",
};

struct host_paths {
	char bpffs[PATH_MAX - 64], cgroup[PATH_MAX - 64];
	json_t *removed, *kept; /* paths */
};

struct found {
	pid_t pid; /* of one of them */
	uint64_t sandbox;
};

static void note_task(void *ctx, int pidfd, pid_t pid, uint64_t sandbox)
{
	struct found *f = ctx;

	(void)pidfd;
	f->pid = pid;
	f->sandbox = sandbox;
}

/* The same by cgroups: of workloads that were attached with egress alone. */
static int check_cgroups(const struct host_paths *h, const char *pins, unsigned int abi,
			 struct diag *d)
{
	_cleanup_close_ int mount = -1;
	int runs;

	if (!h->cgroup[0])
		return 0;
	mount = open(h->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	runs = mount < 0 ? -errno : abi_cgroup(pins, abi, mount);
	if (runs < 0)
		return diag_set(d, runs, "cannot tell which cgroups are held under %s/abi%u: %s",
				pins, abi, strerror(-runs));
	return runs ? diag_set(d, -EBUSY,
			       "an attached workload is running (egressctl ps, egressctl "
			       "detach)")
		    : 0;
}

/* -EBUSY with a message while processes of an agent's sandboxes run. */
static int check_agent(const struct host_paths *h, const char *name, struct diag *d)
{
	unsigned int abis[ABIS_MAX], n, i;
	char path[PATH_MAX + 256];
	_cleanup_close_ int dir = -1;
	struct found f = {};
	int tasks;

	(void)snprintf(path, sizeof(path), "%s/%s", h->bpffs, name);
	n = h->bpffs[0] ? abis_list(path, 0, abis) : 0;
	for (i = 0; i < n; i++) {
		tasks = abi_tasks(path, abis[i], note_task, &f);
		if (tasks < 0)
			return diag_set(d, tasks, "cannot tell what runs under %s/abi%u: %s", path,
					abis[i], strerror(-tasks));
		if (tasks)
			return diag_set(d, -EBUSY,
					"sandboxes are running: %d process%s, %d of sandbox %llu "
					"among them (egressctl ps, egressctl kill)",
					tasks, tasks == 1 ? "" : "es", f.pid,
					(unsigned long long)f.sandbox);
		tasks = check_cgroups(h, path, abis[i], d);
		if (tasks)
			return tasks;
	}
	if (!h->cgroup[0])
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", h->cgroup, name);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir >= 0 && cgroup_populated(dir))
		return diag_set(d, -EBUSY, "processes run in %s", path);
	return 0;
}

/* Calls fn for every agent of ours that has pins or cgroups; stops at an error. */
static int each_agent(const struct host_paths *h,
		      int (*fn)(const struct host_paths *, const char *, struct diag *),
		      struct diag *d)
{
	const char *dirs[] = { h->bpffs, h->cgroup };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && !err; i++) {
		DIR *dir = opendir(dirs[i]);
		struct dirent *e;

		while (dir && !err && (e = readdir(dir)))
			if (str_eq(e->d_name, AGENT_NAME_SERVICE) ||
			    str_starts(e->d_name, AGENT_NAME_RUN))
				err = fn(h, e->d_name, d);
		if (dir)
			closedir(dir);
	}
	return err;
}

static int remove_dir(const struct host_paths *h, const char *path, struct diag *d)
{
	if (access(path, F_OK))
		return 0;
	sweep_tree(path);
	if (!access(path, F_OK))
		return diag_set(d, -EIO, "cannot remove %s", path);
	(void)json_array_append_new(h->removed, json_string(path));
	return 0;
}

static int remove_agent(const struct host_paths *h, const char *name, struct diag *d)
{
	_cleanup_close_ int root = open(h->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX + 256];
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", h->bpffs, name);
	err = h->bpffs[0] ? remove_dir(h, path, d) : 0;
	if (err || !h->cgroup[0])
		return err;
	(void)cgroup_remove(root, name);
	(void)snprintf(path, sizeof(path), "%s/%s", h->cgroup, name);
	if (!access(path, F_OK))
		return diag_set(d, -EIO, "cannot remove %s", path);
	return 0;
}

/* As an egressd that starts: until we end, none can. */
static int take_lock(struct diag *d)
{
	int dir = state_open(d), fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, STATE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	close(dir);
	if (fd < 0)
		return diag_set(d, -errno, "cannot open %s/%s: %s", STATE_DIR, STATE_LOCK,
				strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return diag_set(d, -EBUSY, "egressd is running: stop it first (systemctl stop egressd)");
}

static int find_host(struct host_paths *h, struct diag *d)
{
	if (geteuid())
		return diag_set(d, -EPERM, "root is needed");
	if (mount_find("bpf", h->bpffs, sizeof(h->bpffs)))
		h->bpffs[0] = 0; /* then nothing is pinned */
	/* as in a container or a chroot that a package is removed from: then nothing is held */
	if (mount_find("cgroup2", h->cgroup, sizeof(h->cgroup)))
		h->cgroup[0] = 0;
	return 0;
}

/* By its settings a log may lie among other things, which stay. */
static int remove_logs(const struct host_paths *h, const char *dir, struct diag *d)
{
	char path[PATH_MAX];

	if (access(dir, F_OK))
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, RUNS_DIR);
	sweep_tree(path);
	if (!access(path, F_OK))
		return diag_set(d, -EIO, "cannot remove %s", path);
	eventlog_remove(dir);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, SANDBOX_NUMBERS);
	(void)unlink(path); /* ENOENT; what is left keeps the directory */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, EVENTLOG_FILE);
	if (!access(path, F_OK))
		return diag_set(d, -EIO, "cannot remove %s", path);
	(void)snprintf(path, sizeof(path), "%s%s", rmdir(dir) ? "the logs in " : "", dir);
	(void)json_array_append_new(h->removed, json_string(path));
	return 0;
}

static int see_to_logs(const struct host_paths *h, bool remove, struct diag *d)
{
	_cleanup_free_ char *dir = config_log_dir(CONFIG_FILE, remove ? d : NULL);

	if (!dir)
		return diag_set(d, -ENOMEM, "out of memory");
	if (remove && d->err)
		return d->err; /* where they are is not known */
	if (remove)
		return remove_logs(h, dir, d);
	if (!access(dir, F_OK))
		(void)json_array_append_new(h->kept, json_string(dir));
	return 0;
}

static int uninstall(const struct host_paths *h, bool logs, struct diag *d)
{
	_cleanup_close_ int lock = take_lock(d);
	int err = lock < 0 ? lock : 0;

	if (!err)
		sweep_dead_runs();
	if (!err)
		err = each_agent(h, check_agent, d);
	if (!err)
		err = each_agent(h, remove_agent, d);
	if (!err)
		err = remove_dir(h, STATE_DIR, d);
	return err ? err : see_to_logs(h, logs, d);
}

static void print_done(const struct host_paths *h)
{
	const json_t *path;
	size_t i;

	json_array_foreach(h->removed, i, path)
		printf("removed %s\n", json_string_value(path));
	json_array_foreach(h->kept, i, path)
		printf("kept %s (--logs removes it)\n", json_string_value(path));
}

static void print_as_json(const struct host_paths *h, const struct options *o, int err,
			  const struct diag *d)
{
	json_t *j = o->check ? json_pack("{s:b}", "running", err == -EBUSY) :
			       json_pack("{s:O, s:O}", "removed", h->removed, "kept", h->kept);

	(void)json_object_set_new(j, "error", err ? json_string(d->msg) : json_null());
	(void)print_json(stdout, j, JSON_INDENT(2));
	json_decref(j);
}

int cmd_uninstall(int argc, char **argv)
{
	struct options o = {};
	struct host_paths h;
	struct diag d = {};
	int status, err;

	if (options_done(&line, &o, &argc, &argv, &status))
		return status;
	if (o.check && o.logs)
		return options_bad(&line, "--check removes nothing: leave --logs out");
	h.removed = json_array();
	h.kept = json_array();
	err = find_host(&h, &d);
	if (!err)
		err = o.check ? each_agent(&h, check_agent, &d) : uninstall(&h, o.logs, &d);
	if (o.json)
		print_as_json(&h, &o, err, &d);
	else
		print_done(&h);
	json_decref(h.removed);
	json_decref(h.kept);
	if (!err)
		return 0;
	diag_print(stderr, "egressctl", &d);
	return err == -EBUSY ? 1 : 125;
}

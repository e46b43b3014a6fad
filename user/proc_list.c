// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "proc_list.h"
#include "util.h"

void proc_list_clear(struct proc_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].command);
	free(list->v);
	free(list->cgroups);
	*list = (struct proc_list){ 0 };
}

/* ---- one process ---------------------------------------------------------------------- */

static ssize_t read_some(int dir, const char *file, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size);

	return n < 0 ? -errno : n;
}

/* Parent and name; the name may hold anything, parentheses too: the last one ends it. */
static int read_stat(int dir, struct proc *p, char comm[64])
{
	char buf[512];
	ssize_t n = read_some(dir, "stat", buf, sizeof(buf) - 1);
	const char *from, *to;
	int parent;

	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	from = memchr(buf, '(', (size_t)n);
	to = memrchr(buf, ')', (size_t)n);
	if (!from || !to || to < from || sscanf(to, ") %*c %d", &parent) != 1)
		return -ESRCH;
	p->parent = parent;
	(void)snprintf(comm, 64, "[%.*s]", (int)MIN((size_t)(to - from - 1), (size_t)60), from + 1);
	return 0;
}

static int read_proc(pid_t pid, struct proc *p)
{
	char path[32], comm[64], args[PROC_COMMAND_MAX];
	_cleanup_close_ int dir = -1;
	struct stat st;
	ssize_t n;
	int err;

	*p = (struct proc){ .pid = pid };
	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st))
		return -ESRCH;
	p->uid = st.st_uid;
	err = read_stat(dir, p, comm);
	if (err)
		return err;
	n = read_some(dir, "cmdline", args, sizeof(args));
	while (n > 0 && !args[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		args[i] = args[i] ? args[i] : ' ';
	p->len = n > 0 ? (size_t)n : strlen(comm);
	p->command = malloc(p->len + 1);
	if (!p->command)
		return -ENOMEM;
	memcpy(p->command, n > 0 ? args : comm, p->len);
	p->command[p->len] = '\0';
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------ */

static int add_procs(struct proc_list *list, int cgroup)
{
	int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	int pid, err = 0;

	if (!f) {
		if (fd >= 0)
			close(fd);
		/* a threaded one lists no processes: they are in the domain above it */
		return errno == EOPNOTSUPP ? 0 : -errno;
	}
	while (!err && fscanf(f, "%d", &pid) == 1) {
		if (list->n == PROC_LIST_MAX) {
			list->more = true;
			break;
		}
		err = array_reserve(&list->v, &list->cap, list->n);
		if (!err && pid > 0)
			err = read_proc(pid, &list->v[list->n]);
		if (!err && pid > 0)
			list->n++;
		if (err == -ESRCH)
			err = 0; /* it ended */
	}
	return err;
}

static int add_cgroup(struct proc_list *list, int cgroup)
{
	struct dirent *e;
	uint64_t id;
	int err, fd;
	DIR *dir;

	if (list->ncgroups == PROC_LIST_MAX) {
		list->more = true;
		return 0;
	}
	err = cgroup_id(cgroup, &id);
	if (!err)
		err = array_reserve(&list->cgroups, &list->cgroups_cap, list->ncgroups);
	if (err)
		return err;
	list->cgroups[list->ncgroups++] = id;
	err = add_procs(list, cgroup);
	fd = err ? -1 : openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (!err && dir && (e = readdir(dir))) {
		_cleanup_close_ int child = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = openat(cgroup, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0)
			err = add_cgroup(list, child);
	}
	if (dir)
		closedir(dir);
	return err == -ENODEV ? 0 : err; /* the cgroup went away */
}

/* ---- as a tree ------------------------------------------------------------------------- */

static int by_pid(const void *a, const void *b)
{
	const struct proc *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

struct tree {
	const struct proc_list *from;
	struct proc *to;
	size_t n;
	bool *taken;
};

static void take(struct tree *t, size_t at, unsigned int depth)
{
	if (t->taken[at])
		return;
	t->taken[at] = true;
	t->to[t->n] = t->from->v[at];
	t->to[t->n++].depth = depth;
	for (size_t i = 0; i < t->from->n; i++)
		if (t->from->v[i].parent == t->from->v[at].pid)
			take(t, i, depth + 1);
}

static int as_tree(struct proc_list *list)
{
	struct proc *to = calloc(list->n + 1, sizeof(*to));
	_cleanup_free_ bool *taken = calloc(list->n + 1, sizeof(*taken));
	struct tree t = { list, to, 0, taken };

	if (!to || !taken) {
		free(to);
		return -ENOMEM;
	}
	qsort(list->v, list->n, sizeof(*list->v), by_pid);
	for (size_t i = 0; i < list->n; i++) {
		struct proc key = { .pid = list->v[i].parent };

		if (!bsearch(&key, list->v, list->n, sizeof(*list->v), by_pid))
			take(&t, i, 0);
	}
	/* numbers that were used again while we read can make a ring of parents */
	for (size_t i = 0; i < list->n; i++)
		take(&t, i, 0);
	free(list->v);
	list->v = to;
	return 0;
}

int proc_list_read(struct proc_list *list, int cgroup_fd)
{
	int err = add_cgroup(list, cgroup_fd);

	return err || !list->n ? err : as_tree(list);
}

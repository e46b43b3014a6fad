/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf_progs.h"
#include "diag.h"
#include "util.h"

#include <linux/types.h>

#define BY_HAND "prog_"

bool prog_is_of_cgroup(const struct bpf_program *prog)
{
	switch (bpf_program__type(prog)) {
	case BPF_PROG_TYPE_CGROUP_SKB:
	case BPF_PROG_TYPE_CGROUP_SOCK:
	case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
	case BPF_PROG_TYPE_CGROUP_SOCKOPT:
	case BPF_PROG_TYPE_CGROUP_SYSCTL:
	case BPF_PROG_TYPE_CGROUP_DEVICE:
	case BPF_PROG_TYPE_SOCK_OPS:
		return true;
	default:
		return false;
	}
}

/* agent_count() attaches these to the cgroups of traced sandboxes */
static const char *const of_some[] = { "count_out", "count_in" };

bool prog_is_attached(const struct bpf_program *prog)
{
	for (size_t i = 0; i < ARRAY_SIZE(of_some); i++)
		if (str_eq(bpf_program__name(prog), of_some[i]))
			return false;
	return bpf_program__expected_attach_type(prog) != BPF_TRACE_ITER;
}

const char *prog_name(const struct prog *p)
{
	return bpf_program__name(p->prog);
}

int progs_init(struct progs *ps, struct bpf_object *obj, const char *dir, struct diag *d)
{
	struct bpf_program *prog;

	*ps = (struct progs){ .dir = dir };
	bpf_object__for_each_program(prog, obj) {
		if (ps->n == PROGS_MAX)
			return diag_set(d, -E2BIG, "more than %u BPF programs", PROGS_MAX);
		ps->all[ps->n++] = (struct prog){ .prog = prog, .fd = -1, .link = -1 };
	}
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void progs_close(struct progs *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		close_one(&ps->all[i].link);
		close_one(&ps->all[i].fd);
	}
}

struct prog *progs_find(const struct progs *ps, const char *name)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->all[i].fd >= 0 && str_eq(prog_name(&ps->all[i]), name))
			return (struct prog *)&ps->all[i];
	return NULL;
}

static int pin_path(char path[PATH_MAX], const struct progs *ps, const char *prefix,
		    const struct prog *p)
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", ps->dir, prefix, prog_name(p));

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- from pins ------------------------------------------------------------------------ */

/* The program of a link that is in force. */
static int program_of(int link, bool of_cgroup, uint64_t cgroup)
{
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link, &info, &len))
		return -errno;
	/* 0: it was detached. Those of other kinds cannot be while anybody holds them. */
	if (of_cgroup && (info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.cgroup_id != cgroup))
		return -ENOENT;
	return bpf_prog_get_fd_by_id(info.prog_id);
}

static int take_one(const struct progs *ps, struct prog *p, uint64_t cgroup)
{
	bool attached = prog_is_attached(p->prog);
	int *fd = attached ? &p->link : &p->fd;
	char path[PATH_MAX];
	int err;

	err = pin_path(path, ps, attached ? "" : BY_HAND, p);
	if (err)
		return err;
	*fd = bpf_obj_get(path);
	if (*fd >= 0 && attached)
		p->fd = program_of(p->link, prog_is_of_cgroup(p->prog), cgroup);
	return p->fd < 0 ? -ENOENT : 0;
}

int progs_take(struct progs *ps, uint64_t cgroup)
{
	int err = 0;

	for (size_t i = 0; i < ps->n && !err; i++)
		if (bpf_program__autoload(ps->all[i].prog))
			err = take_one(ps, &ps->all[i], cgroup);
	if (err)
		progs_close(ps);
	return err;
}

/* ---- of this process ------------------------------------------------------------------ */

int prog_link(const struct prog *p, int cgroup)
{
	int fd = bpf_link_create(p->fd, prog_is_of_cgroup(p->prog) ? cgroup : 0,
				 bpf_program__expected_attach_type(p->prog), NULL);

	return fd < 0 ? -errno : fd;
}

static int pin(const struct progs *ps, const struct prog *p, int fd, const char *prefix,
	       struct diag *d)
{
	char path[PATH_MAX];
	int err = pin_path(path, ps, prefix, p);

	if (!err && bpf_obj_pin(fd, path))
		err = -errno;
	return err ? diag_set(d, err, "cannot pin the BPF program '%s' at %s: %s", prog_name(p),
			      path, strerror(-err)) : 0;
}

int progs_attach(struct progs *ps, struct prog *p, int cgroup, struct diag *d)
{
	p->link = prog_link(p, cgroup);
	if (p->link < 0)
		return diag_set(d, p->link, "cannot attach the BPF program '%s': %s", prog_name(p),
				strerror(-p->link));
	return pin(ps, p, p->link, "", d);
}

int progs_attach_all(struct progs *ps, int cgroup, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < ps->n && !err; i++) {
		struct prog *p = &ps->all[i];

		if (!bpf_program__autoload(p->prog))
			continue;
		/* ours, whatever becomes of the object's */
		p->fd = fcntl(bpf_program__fd(p->prog), F_DUPFD_CLOEXEC, 3);
		if (p->fd < 0)
			return diag_set(d, -errno, "no more descriptors");
		err = prog_is_attached(p->prog) ? progs_attach(ps, p, cgroup, d) :
						  pin(ps, p, p->fd, BY_HAND, d);
	}
	return err;
}

void progs_leave(struct progs *ps)
{
	for (size_t i = 0; i < ps->n; i++)
		close_one(&ps->all[i].link);
}

int progs_detach(struct progs *ps, struct prog *p)
{
	char path[PATH_MAX];
	int err;

	err = pin_path(path, ps, "", p);
	if (!err && unlink(path))
		err = -errno;
	close_one(&p->link);
	return err;
}

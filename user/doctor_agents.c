/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF programs of others that run where ours do: on LSM hooks, and on the cgroups
 * from the root down to the one that sandboxes are in. Needs root.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf_load.h"
#include "doctor.h"
#include "util.h"

#define MAX_OWN 1024u /* programs of ours: egressd's and of each `egressctl run` */
#define MAX_AT_HOOK 64u /* BPF_CGROUP_MAX_PROGS */
#define PIN_DEPTH 4 /* NAME/abiN/links-PID-START/PROG */

struct own {
	uint32_t ids[MAX_OWN];
	size_t n;
};

static const struct {
	enum bpf_attach_type type;
	const char *name;
} cgroup_hooks[] = {
	{ BPF_CGROUP_INET_EGRESS, "egress" },
	{ BPF_CGROUP_INET_INGRESS, "ingress" },
	{ BPF_CGROUP_INET4_CONNECT, "connect4" },
	{ BPF_CGROUP_INET6_CONNECT, "connect6" },
	{ BPF_CGROUP_UDP4_SENDMSG, "sendmsg4" },
	{ BPF_CGROUP_UDP6_SENDMSG, "sendmsg6" },
	{ BPF_CGROUP_UDP4_RECVMSG, "recvmsg4" },
	{ BPF_CGROUP_UDP6_RECVMSG, "recvmsg6" },
	{ BPF_CGROUP_INET4_GETPEERNAME, "getpeername4" },
	{ BPF_CGROUP_INET6_GETPEERNAME, "getpeername6" },
};

/* ---- which are ours ------------------------------------------------------------------ */

static void add_own(struct own *own, uint32_t id)
{
	if (own->n < MAX_OWN)
		own->ids[own->n++] = id;
}

static bool is_own(const struct own *own, uint32_t id)
{
	for (size_t i = 0; i < own->n; i++)
		if (own->ids[i] == id)
			return true;
	return false;
}

static void own_pin(struct own *own, const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	/* a map's descriptor says something else, and has no prog_id */
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
		add_own(own, info.prog_id);
}

static void own_below(struct own *own, const char *dir, int depth)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    (!depth && !str_starts(e->d_name, AGENT_NAME_SERVICE)) ||
		    (depth == 2 && !str_starts(e->d_name, "links-")) ||
		    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
			continue;
		if (depth + 1 < PIN_DEPTH)
			own_below(own, path, depth + 1);
		else
			own_pin(own, path);
	}
	if (d)
		closedir(d);
}

/* ---- the others ---------------------------------------------------------------------- */

static struct doctor_agent *add_agent(struct doctor_facts *f)
{
	if (f->nagents < DOCTOR_MAX_AGENTS)
		return &f->agents[f->nagents++];
	f->more_agents++;
	return NULL;
}

static bool program_info(uint32_t id, struct bpf_prog_info *info)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, info, &len);
}

static void name_agent(struct doctor_agent *a, const struct bpf_prog_info *info, const char *hook)
{
	snprintf(a->name, sizeof(a->name), "%.*s", (int)sizeof(info->name), info->name);
	if (!a->name[0])
		snprintf(a->name, sizeof(a->name), "program %u", info->id);
	snprintf(a->hook, sizeof(a->hook), "%s", hook);
}

/* The name of a function of the kernel, "bpf_lsm_" left out. */
static const char *hook_name(const struct btf *kernel, uint32_t id)
{
	const struct btf_type *t = kernel ? btf__type_by_id(kernel, id) : NULL;
	const char *name = t ? btf__name_by_offset(kernel, t->name_off) : NULL;

	if (!name)
		return "?";
	return str_starts(name, "bpf_lsm_") ? name + strlen("bpf_lsm_") : name;
}

/*
 * LSM programs are attached by links. Whoever uses another way has no link to find,
 * and bpf() offers none for these programs.
 */
static int find_lsm(struct doctor_facts *f, const struct own *own, const struct btf *kernel)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info link = {};
		struct bpf_prog_info prog;
		uint32_t len = sizeof(link);
		struct doctor_agent *a;

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &link, &len) ||
		    link.type != BPF_LINK_TYPE_TRACING || is_own(own, link.prog_id) ||
		    !program_info(link.prog_id, &prog) || prog.type != BPF_PROG_TYPE_LSM)
			continue;
		a = add_agent(f);
		if (a)
			name_agent(a, &prog, hook_name(kernel, link.tracing.target_btf_id));
	}
	return errno == ENOENT ? 0 : -errno;
}

static int find_at(struct doctor_facts *f, const struct own *own, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* ours is not made yet */
	for (size_t h = 0; h < ARRAY_SIZE(cgroup_hooks); h++) {
		uint32_t ids[MAX_AT_HOOK], n = MAX_AT_HOOK, flags = 0;

		if (bpf_prog_query(fd, cgroup_hooks[h].type, 0, &flags, ids, &n)) {
			if (errno == EINVAL)
				continue; /* a hook that this kernel does not have */
			return -errno;
		}
		for (uint32_t i = 0; i < n; i++) {
			struct bpf_prog_info prog;
			struct doctor_agent *a;

			if (is_own(own, ids[i]) || !program_info(ids[i], &prog))
				continue;
			a = add_agent(f);
			if (!a)
				continue;
			name_agent(a, &prog, cgroup_hooks[h].name);
			snprintf(a->where, sizeof(a->where), "%s", path);
			a->overridable = flags & BPF_F_ALLOW_OVERRIDE;
			a->exclusive = !(flags & (BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI));
		}
	}
	return 0;
}

void doctor_find_agents(struct doctor_facts *f, const char *bpffs)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	struct own *own = calloc(1, sizeof(*own));
	char path[PATH_MAX + 32];
	int err = own ? 0 : -ENOMEM;

	if (own && *bpffs)
		own_below(own, bpffs, 0);
	if (!err)
		err = find_lsm(f, own, kernel);
	if (!err)
		err = find_at(f, own, f->cgroup);
	snprintf(path, sizeof(path), "%s/%s", f->cgroup, AGENT_NAME_SERVICE);
	if (!err)
		err = find_at(f, own, path);
	f->agents_err = err;
	btf__free(kernel);
	free(own);
}

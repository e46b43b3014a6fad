/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pins, below the bpffs:
 *
 *	NAME/abi1/map_policies …		one per map that outlives a load
 *	NAME/abi1/links-PID-START-ID/PROG …	one directory per load: bpf_progs.h
 *
 * ID is the programs'. Who has the same takes over that directory as it is. A load of
 * others attaches and pins its own links before it removes those that were there, so
 * there is no moment without a program. Pins of another ABI judge by maps of their own:
 * they stay while any task lives in a sandbox.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf_cover.h"
#include "bpf_load.h"
#include "bpf_maps.h"
#include "bpf_progs.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "diag.h"
#include "egressctl.skel.h"
#include "host.h"
#ifndef EG_PROGRAMS_ID
#include "programs_id.h"
#endif
#include "state.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define LINKS "links-"

struct agent {
	struct agent_options o;
	struct host host;
	struct egressctl_bpf *skel;
	struct maps maps;
	char name[64];
	char top[PATH_MAX]; /* NAME */
	char pins[PATH_MAX + 16]; /* NAME/abiN */
	char links[PATH_MAX + 160];
	char cgroup[PATH_MAX];
	int cgroup_fd;
	int cgroup_root; /* the mount: controllers are enabled there first */
	bool adopted, existed; /* pins of an earlier loader: not ours to remove on failure */
	bool kept; /* the programs of an earlier loader are in force, and ours */
	struct progs progs;
	struct covers *covers;
	const char *missing[PROGS_MAX];
};

/* ---- libbpf's messages ----------------------------------------------------------- */

static bool print_verbose;
static char last_warning[256];

/* The last warning says why a load failed; the rest of the log is for -v. */
static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	va_list copy;

	if (level == LIBBPF_WARN && !last_warning[0]) {
		va_copy(copy, ap);
		vsnprintf(last_warning, sizeof(last_warning), fmt, copy);
		va_end(copy);
		last_warning[strcspn(last_warning, "\n")] = 0;
	}
	if (!print_verbose || level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, ap);
}

/* ---- loading ------------------------------------------------------------------------ */

static int choose_programs(struct agent *a, struct diag *d)
{
	struct bpf_program *prog;
	struct btf *kernel;
	size_t n = 0;
	int ok = 1;

	kernel = btf__load_vmlinux_btf();
	if (!kernel)
		return diag_set(d, -errno, "cannot read the kernel's type information: %s",
				strerror(errno));
	bpf_object__for_each_program(prog, a->skel->obj) {
		if (a->o.egress_only && !prog_is_of_cgroup(prog)) {
			bpf_program__set_autoload(prog, false);
			continue;
		}
		ok = host_has_hook(kernel, prog, d);
		if (ok < 0)
			break;
		if (ok != 1)
			bpf_program__set_autoload(prog, false);
		if (!ok && n + 1 < PROGS_MAX)
			a->missing[n++] = bpf_program__name(prog);
	}
	/* of a kernel that has the other one too, this one never says that it is busy */
	if (btf__find_by_name_kind(kernel, "bpf_task_storage_get_recur", BTF_KIND_FUNC) >= 0) {
		a->skel->rodata->storage_blocks = false;
		(void)bpf_map__set_max_entries(a->skel->maps.rooms, 1);
	}
	btf__free(kernel);
	return ok < 0 ? ok : 0;
}

static int open_object(struct agent *a, struct diag *d)
{
	int err;

	print_verbose = a->o.verbose;
	last_warning[0] = 0;
	libbpf_set_print(print_libbpf);
	a->skel = egressctl_bpf__open();
	if (!a->skel)
		return diag_set(d, -errno, "cannot open the BPF programs: %s", strerror(errno));
	err = choose_programs(a, d);
	if (!err)
		err = maps_choose(&a->maps, a->skel->obj, a->pins, a->links, d);
	if (!err && a->o.egress_only)
		maps_without_inodes(&a->maps);
	a->adopted = !err && maps_pinned(&a->maps);
	if (a->adopted && !a->o.adopt)
		err = diag_set(d, -EBUSY, "%s is in use", a->pins);
	return err ? err : progs_init(&a->progs, a->skel->obj, a->links, d);
}

static int load(struct agent *a, struct diag *d)
{
	struct bpf_program *prog;
	int err = maps_pin(&a->maps, d);

	if (err)
		return err;
	/* of those that are in force already the maps alone are opened */
	bpf_object__for_each_program(prog, a->skel->obj)
		if (a->kept)
			bpf_program__set_autoload(prog, false);
	err = egressctl_bpf__load(a->skel);
	if (err == -EPERM)
		return diag_set(d, err,
				"the kernel does not let this process load BPF programs (%s): "
				"CAP_SYS_ADMIN is missing, kernel lockdown is in force, or it runs "
				"in a sandbox itself",
				last_warning);
	if (err)
		return diag_set(d, err, "cannot load the BPF programs: %s (%s)", strerror(-err),
				last_warning);
	return maps_loaded(&a->maps, d);
}

/* ---- programs of an earlier load --------------------------------------------------- */

/*
 * "links-PID-START-ID": of our programs, and all of them? There is another where a start was
 * broken off.
 */
static bool take_links(struct agent *a)
{
	DIR *dir = a->adopted && !a->o.anew ? opendir(a->pins) : NULL;
	struct dirent *e;
	bool taken = false;
	uint64_t cgroup;

	while (dir && !taken && (e = readdir(dir))) {
		if (!str_starts(e->d_name, LINKS) ||
		    !str_eq(strrchr(e->d_name, '-') + 1, EG_PROGRAMS_ID))
			continue;
		snprintf(a->links, sizeof(a->links), "%s/%.128s", a->pins, e->d_name);
		taken = maps_all_pinned(&a->maps) && !cgroup_id(a->cgroup_fd, &cgroup) &&
			!progs_take(&a->progs, cgroup);
	}
	if (dir)
		closedir(dir);
	return taken;
}

/* ---- attaching ---------------------------------------------------------------------- */

/*
 * A memo may have been made when the program that counts moves was not attached yet, and a move
 * after it not counted. From here on they are all attached, so that what was kept until here
 * is forgotten: no count of theirs comes to this one. A move counted between the two calls
 * is none that a later memo could miss. Programs that are taken over remember versions by
 * numbers that we may give once more, should our state have been lost.
 */
static int forget_memos(struct agent *a, struct diag *d)
{
	int fd = bpf_map__fd(a->skel->maps.moves);
	uint64_t count = 0;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &count))
		return diag_set(d, -errno, "cannot read the count of moves: %s", strerror(errno));
	count += 1ull << 32;
	if (bpf_map_update_elem(fd, &zero, &count, BPF_ANY))
		return diag_set(d, -errno, "cannot set the count of moves: %s", strerror(errno));
	return 0;
}

/* Its own sandboxes, and what earlier loaders covered: before their links go. */
static int cover(struct agent *a, struct diag *d)
{
	uint32_t one = 1;
	uint64_t id;
	int err;

	a->covers = covers_new(&a->progs, a->maps.fds[AGENT_MAP_COVERED], a->cgroup_root);
	if (!a->covers)
		return diag_set(d, -ENOMEM, "out of memory");
	err = cgroup_id(a->cgroup_fd, &id);
	if (err)
		return diag_set(d, err, "cannot get the id of the cgroup: %s", strerror(-err));
	/* of an earlier loader: not a cover */
	(void)bpf_map_delete_elem(a->maps.fds[AGENT_MAP_COVERED], &id);
	err = covers_adopt(a->covers, d);
	if (!err && bpf_map_update_elem(a->maps.fds[AGENT_MAP_COVERED], &id, &one, BPF_ANY))
		err = diag_set(d, -errno, "cannot store the cgroup: %s", strerror(errno));
	return err;
}

int agent_iterate(const struct agent *a, const char *name, struct diag *d)
{
	const struct prog *p = progs_find(&a->progs, name);
	_cleanup_close_ int link = -1;
	int fd;

	if (!p)
		return diag_set(d, -ENOTSUP, "the programs have no iterator '%s'", name);
	link = prog_link(p, -1);
	fd = link < 0 ? link : bpf_iter_create(link); /* which holds the link */
	if (link >= 0 && fd < 0)
		fd = -errno;
	return fd < 0 ? diag_set(d, fd, "cannot start the iterator '%s': %s", name,
				 strerror(-fd)) : fd;
}

int agent_count(const struct agent *a, int cgroup, int links[2])
{
	static const char *const names[2] = { "count_out", "count_in" };

	links[0] = links[1] = -1;
	for (int i = 0; i < 2; i++) {
		const struct prog *p = progs_find(&a->progs, names[i]);
		int fd = p ? prog_link(p, cgroup) : -ENOENT;

		if (fd < 0) {
			if (i)
				close(links[0]);
			links[0] = -1;
			return fd;
		}
		links[i] = fd;
	}
	return 0;
}

/* ---- directories ------------------------------------------------------------------ */

static int make_dir(const char *path, mode_t mode, struct diag *d)
{
	if (mkdir(path, mode) && errno != EEXIST)
		return diag_set(d, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

/* Who can write where the pins are puts maps of his own in their place. */
static int check_owner(const char *path, struct diag *d)
{
	struct stat st;

	if (lstat(path, &st))
		return diag_set(d, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022))
		return 0;
	return diag_set(d, -EPERM,
			"%s is not ours (uid %u, mode %o): expected a directory of uid %u "
			"that nobody else can write to; remove it and start again",
			path, st.st_uid, st.st_mode & 07777, geteuid());
}

static int make_links(struct agent *a, struct diag *d)
{
	uint64_t start = 0;

	(void)process_start(getpid(), &start); /* only makes the name unique */
	snprintf(a->links, sizeof(a->links), "%s/" LINKS "%d-%" PRIu64 "-%s", a->pins, getpid(),
		 start, EG_PROGRAMS_ID);
	return make_dir(a->links, 0700, d);
}

static int make_dirs(struct agent *a, struct diag *d)
{
	int err;

	if (snprintf(a->top, sizeof(a->top), "%s/%s", a->host.bpffs, a->name) >=
		    (int)sizeof(a->top) ||
	    snprintf(a->cgroup, sizeof(a->cgroup), "%s/%s", a->host.cgroup, a->name) >=
		    (int)sizeof(a->cgroup))
		return diag_set(d, -ENAMETOOLONG, "the path of a mount is too long");
	snprintf(a->pins, sizeof(a->pins), "%s/abi%u", a->top, EG_ABI);
	/* before anything can fail: what is there is not ours to remove then */
	a->existed = !access(a->pins, F_OK) || errno != ENOENT;
	err = make_dir(a->top, 0700, d);
	if (!err)
		err = check_owner(a->top, d);
	if (!err)
		err = make_dir(a->pins, 0700, d);
	if (!err)
		err = make_dir(a->cgroup, 0755, d);
	if (err)
		return err;
	a->cgroup_fd = open(a->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	a->cgroup_root = open(a->host.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->cgroup_fd < 0 || a->cgroup_root < 0)
		return diag_set(d, -errno, "cannot open %s: %s", a->cgroup, strerror(errno));
	return 0;
}

/* ---- life --------------------------------------------------------------------------- */

int agent_open(const struct agent_options *o, struct agent **out, struct diag *d)
{
	struct agent *a;
	int err;

	a = calloc(1, sizeof(*a));
	if (!a)
		return diag_set(d, -ENOMEM, "out of memory");
	a->o = *o;
	a->cgroup_fd = a->cgroup_root = -1;
	snprintf(a->name, sizeof(a->name), "%s", o->name);
	err = host_check(&a->host, o->egress_only, d);
	if (!err)
		err = make_dirs(a, d);
	if (!err)
		err = open_object(a, d);
	if (!err) {
		a->kept = take_links(a);
		err = a->kept ? 0 : make_links(a, d);
	}
	if (!err)
		err = load(a, d);
	if (!err && !a->kept)
		err = progs_attach_all(&a->progs, a->cgroup_fd, d);
	if (!err)
		err = forget_memos(a, d);
	if (!err)
		err = cover(a, d);
	if (err) {
		/* what an earlier loader pinned stays in force */
		agent_close(a, a->kept ? 0 : a->existed || !a->pins[0] ? AGENT_REMOVE_OWN :
									 AGENT_REMOVE);
		return err;
	}
	sweep_old_links(a->pins, a->links);
	/* of the kernel's types: some 10 MB, which each fork would copy page by page */
	(void)malloc_trim(0);
	*out = a;
	return 0;
}

void agent_close(struct agent *a, unsigned int flags)
{
	if (!a)
		return;
	if (flags & (AGENT_REMOVE | AGENT_REMOVE_OWN))
		sweep_tree(a->links);
	if (flags & AGENT_REMOVE) {
		sweep_tree(a->pins);
		(void)rmdir(a->top); /* unless another generation holds something */
		if (a->cgroup_root >= 0)
			(void)cgroup_remove(a->cgroup_root, a->name); /* best effort at the end */
	}
	covers_free(a->covers);
	/* closes our descriptors; a pinned link stays attached */
	progs_close(&a->progs);
	maps_close(&a->maps);
	egressctl_bpf__destroy(a->skel);
	if (a->cgroup_fd >= 0)
		close(a->cgroup_fd);
	if (a->cgroup_root >= 0)
		close(a->cgroup_root);
	free(a);
}

/* ---- access -------------------------------------------------------------------------- */

int agent_map_fd(const struct agent *a, enum agent_map which)
{
	return a->maps.fds[which];
}

struct eg_dfa *agent_dfa(const struct agent *a)
{
	return a->maps.dfa;
}

struct eg_sandbox *agent_sandboxes(const struct agent *a)
{
	return a->maps.sandboxes;
}

struct eg_holding *agent_holding(const struct agent *a)
{
	return a->maps.holding;
}

struct eg_port *agent_port(const struct agent *a, uint32_t i)
{
	return maps_port(&a->maps, i);
}

bool agent_in_use(const struct agent *a)
{
	int tasks = a->maps.fds[AGENT_MAP_TASKS];
	uint32_t i;

	/* one that is attached may have no task at the moment */
	for (i = 0; i < EG_MAX_SANDBOXES; i++)
		if (a->maps.sandboxes[i].state == EG_S_LIVE)
			return true;
	/* when it cannot be told, too; a task may be in a cgroup it chose itself */
	return cgroup_populated(a->cgroup_fd) != 0 || (tasks >= 0 && sweep_left(tasks));
}

int agent_cgroup_fd(const struct agent *a)
{
	return a->cgroup_fd;
}

int agent_cgroup_root_fd(const struct agent *a)
{
	return a->cgroup_root;
}

const char *agent_pins_top(const struct agent *a)
{
	return a->top;
}

const char *agent_cgroup_path(const struct agent *a)
{
	return a->cgroup;
}

struct covers *agent_covers(const struct agent *a)
{
	return a->covers;
}

uint32_t agent_cgroup_depth(const struct agent *a)
{
	return cgroup_depth(a->host.cgroup, a->cgroup);
}

bool agent_egress_only(const struct agent *a)
{
	return a->o.egress_only;
}

bool agent_adopted(const struct agent *a)
{
	return a->adopted;
}

bool agent_kept(const struct agent *a)
{
	return a->kept;
}

bool agent_adoptable(const struct agent *a)
{
	return a->o.adopt;
}

const char *const *agent_missing_hooks(const struct agent *a)
{
	return a->missing;
}

void agent_each_prog(const struct agent *a, void (*fn)(void *ctx, const char *name, int fd),
		     void *ctx)
{
	for (size_t i = 0; i < a->progs.n; i++)
		if (a->progs.all[i].fd >= 0)
			fn(ctx, prog_name(&a->progs.all[i]), a->progs.all[i].fd);
}

bool agent_has_program(const struct agent *a, const char *name)
{
	return progs_find(&a->progs, name);
}

void agent_leave(struct agent *a)
{
	progs_leave(&a->progs);
}

int agent_detach(struct agent *a, const char *name)
{
	struct prog *p = progs_find(&a->progs, name);

	return p ? progs_detach(&a->progs, p) : -ENOENT;
}

int agent_attach(struct agent *a, const char *name, struct diag *d)
{
	struct prog *p = progs_find(&a->progs, name);

	return p ? progs_attach(&a->progs, p, a->cgroup_fd, d) :
		   diag_set(d, -ENOENT, "no program '%s'", name);
}

int agent_task_marked(const struct agent *a, int pidfd)
{
	return task_marked(a->maps.fds[AGENT_MAP_TASKS], pidfd, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "bpf_cover.h"
#include "bpf_load.h"
#include "cgroup.h"
#include "compile.h"
#include "diag.h"
#include "publish.h"
#include "sandbox.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* two find everybody; more are needed while storages are busy or descriptors move */
#define MAX_PASSES 32
#define FREEZE_MS 1000 /* only a task stuck in the kernel needs longer */
#define STRAYS 64 /* of one read */

static int put_request(struct agent *a, const struct eg_attach *r, struct diag *d)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(agent_map_fd(a, AGENT_MAP_ATTACHING), &zero, r, BPF_ANY))
		return diag_set(d, -errno, "cannot ask the iterators: %s", strerror(errno));
	return 0;
}

static int get_request(struct agent *a, struct eg_attach *r, struct diag *d)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(agent_map_fd(a, AGENT_MAP_ATTACHING), &zero, r))
		return diag_set(d, -errno, "cannot read what the iterators found: %s",
				strerror(errno));
	return 0;
}

static struct eg_attach request(const struct sandbox *b, uint32_t what)
{
	const struct eg_sandbox *s = sandbox_counters(b);

	return (struct eg_attach){
		.sandbox = s->id,
		.cgroup = s->cgroup,
		.slot = sandbox_slot(b),
		.depth = s->depth,
		.what = what,
		.mnt_ns = s->mnt_ns,
		.sockets = sandbox_version(b)->compiled->head.sockets,
	};
}

/* One pass over all tasks; what it found is in *r. */
static int pass_tasks(struct agent *a, struct eg_attach *r, struct diag *d)
{
	_cleanup_close_ int it = -1;
	char none[16];
	ssize_t n;
	int err;

	err = put_request(a, r, d);
	if (err)
		return err;
	it = agent_iterate(a, "attach_tasks", d);
	if (it < 0)
		return it;
	while ((n = read(it, none, sizeof(none))) > 0 || (n < 0 && errno == EAGAIN))
		;
	if (n < 0)
		return diag_set(d, -errno, "cannot go through the tasks: %s", strerror(errno));
	return get_request(a, r, d);
}

/* Nobody asks who traces it already: it would go on writing to what is outside. */
static int see_tracer(const struct sandbox *b, const struct eg_attach *r, struct diag *d)
{
	if (!r->tracer || (sandbox_version(b)->compiled->head.privileges & EG_PRIV_PTRACE))
		return 0;
	return diag_set(d, -EPERM,
			"process %u traces process %u, which is not of the workload: end that "
			"first, or allow it with 'privileges: [ptrace]'",
			r->tracer, r->tracee);
}

int attach_tasks(struct agent *a, struct sandbox *b, bool seize, struct attach_found *f,
		 struct diag *d)
{
	struct eg_attach r;
	int pass, err;

	if (agent_egress_only(a))
		return 0;
	for (pass = 0; pass < MAX_PASSES; pass++) {
		r = request(b, seize ? EG_AT_SEIZE : EG_AT_MARK);
		err = pass_tasks(a, &r, d);
		if (err)
			return err;
		if (r.changed || r.failed)
			continue;
		f->tasks = r.tasks;
		f->others = r.others;
		f->elsewhere = r.elsewhere;
		f->rings = r.rings;
		return seize ? see_tracer(b, &r, d) : 0;
	}
	return diag_set(d, -EAGAIN, "not every task of the workload could be marked");
}

int attach_count(struct agent *a, const struct sandbox *b, struct diag *d)
{
	struct eg_attach r = request(b, EG_AT_COUNT);
	int err;

	if (agent_egress_only(a))
		return 0;
	r.cgroup = 0;
	err = pass_tasks(a, &r, d);
	return err ? err : (int)r.tasks;
}

/* ---- sockets ------------------------------------------------------------------------- */

/*
 * Shut down a socket that no program sees. It carries no stamp, so that the workload
 * can neither connect nor bind it again.
 */
static int end_stray(const struct eg_stray *s)
{
	_cleanup_close_ int pidfd = pidfd_open(s->pid, 0);
	_cleanup_close_ int sock = -1;
	int domain = 0;
	socklen_t len = sizeof(domain);

	sock = pidfd < 0 ? -1 : pidfd_getfd(pidfd, s->fd, 0);
	if (sock < 0)
		return errno == ESRCH || errno == EBADF ? 0 : -errno; /* gone by itself */
	/* the number may be another file's by now */
	if (getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &len) || domain != (int)s->family)
		return 0;
	/* one without a peer says so, and is shut down all the same */
	return shutdown(sock, SHUT_RDWR) && errno != ENOTCONN ? -errno : 0;
}

static int cover_stray(struct agent *a, struct sandbox *b, uint64_t id, struct diag *d)
{
	int err = covers_add_id(agent_covers(a), id, d);

	if (err)
		return err;
	err = sandbox_add_cover(b, id);
	if (err) {
		covers_drop(agent_covers(a), id);
		return diag_set(d, err, "out of memory");
	}
	return 0;
}

static const char *family_name(uint32_t family)
{
	switch (family) {
	case AF_PACKET:
		return "packet";
	case AF_VSOCK:
		return "vsock";
	case AF_BLUETOOTH:
		return "bluetooth";
	case AF_CAN:
		return "can";
	case AF_XDP:
		return "xdp";
	default:
		return "other";
	}
}

static bool is_covered_by(const struct sandbox *b, uint64_t id)
{
	const uint64_t *ids;
	size_t n;

	ids = sandbox_covers(b, &n);
	while (n)
		if (ids[--n] == id)
			return true;
	return false;
}

static int see_stray(struct agent *a, struct sandbox *b, const struct eg_stray *s, uint64_t root,
		     struct attach_found *f, struct diag *d)
{
	struct diag ignored = {};
	int err;

	if (!s->cgroup)
		return diag_set(d, -EPERM,
				"process %u has a socket (descriptor %u, kind '%s', family %u) "
				"that "
				"nothing can judge: end it, or allow the kind with 'egress: "
				"sockets'",
				s->pid, s->fd, family_name(s->family), s->family);
	if (is_covered_by(b, s->cgroup))
		return 0; /* by an earlier record of this pass: the next one stamps it */
	if (s->cgroup != root && !cover_stray(a, b, s->cgroup, &ignored))
		return 0;
	err = end_stray(s);
	if (err)
		return diag_set(d, err, "cannot shut down descriptor %u of process %u: %s", s->fd,
				s->pid, strerror(-err));
	f->ended++;
	return 0;
}

/* One pass over all files. 1: somebody has to look again. */
static int pass_files(struct agent *a, struct sandbox *b, struct eg_attach *r, uint64_t root,
		      struct attach_found *f, struct diag *d)
{
	struct eg_stray strays[STRAYS];
	_cleanup_close_ int it = -1;
	size_t ncovers, before;
	ssize_t n;
	int err;

	(void)sandbox_covers(b, &before);
	f->ended = 0; /* what was shut down is still there, and seen by each pass */
	err = put_request(a, r, d);
	if (err)
		return err;
	it = agent_iterate(a, "attach_files", d);
	if (it < 0)
		return it;
	while ((n = read(it, strays, sizeof(strays))) > 0 || (n < 0 && errno == EAGAIN)) {
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(strays[0]); i++) {
			err = see_stray(a, b, &strays[i], root, f, d);
			if (err)
				return err;
		}
	}
	if (n < 0)
		return diag_set(d, -errno, "cannot go through the files: %s", strerror(errno));
	err = get_request(a, r, d);
	if (err)
		return err;
	(void)sandbox_covers(b, &ncovers);
	f->sockets += r->changed;
	return r->changed || r->failed || ncovers != before;
}

/*
 * A socket that is registered with an io_uring needs no descriptor, and then no iterator
 * sees it. One of the workload's own cgroup is judged by that; where the workload has
 * sockets of others at all, there may be more of them.
 */
static int see_rings(const struct sandbox *b, const struct attach_found *f, struct diag *d)
{
	uint64_t own = sandbox_counters(b)->cgroup;
	size_t n, others = f->ended;
	const uint64_t *ids = sandbox_covers(b, &n);

	while (n)
		others += ids[--n] != own;
	if (!f->rings || !others || !(sandbox_version(b)->compiled->head.flags & EG_P_EGRESS))
		return 0;
	return diag_set(d, -EPERM,
			"the workload has an io_uring, and sockets that were made in other "
			"cgroups: one that only the io_uring knows could not be judged");
}

int attach_sockets(struct agent *a, struct sandbox *b, bool seize, struct attach_found *f,
		   struct diag *d)
{
	struct eg_attach r;
	int pass, again;
	uint64_t root;

	if (agent_egress_only(a))
		return 0;
	again = cgroup_id(agent_cgroup_root_fd(a), &root);
	if (again)
		return diag_set(d, again, "cannot get the id of the root cgroup: %s",
				strerror(-again));
	/* its listeners first: they tell which connections came in */
	r = request(b, EG_AT_COUNT);
	again = pass_files(a, b, &r, root, f, d);
	for (pass = 0; again >= 0 && pass < MAX_PASSES; pass++) {
		r = request(b, EG_AT_MARK);
		again = pass_files(a, b, &r, root, f, d);
		if (!again)
			f->rings += r.rings;
		if (again <= 0)
			return again ?: seize ? see_rings(b, f, d) : 0;
	}
	if (again < 0)
		return again;
	return diag_set(d, -EAGAIN, "the workload's sockets change faster than they are found");
}

/* ---- off again ------------------------------------------------------------------------- */

static bool is_frozen(int events)
{
	char buf[256];
	ssize_t n = pread(events, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return true; /* removed: nobody is in it */
	buf[n] = 0;
	return strstr(buf, "frozen 1") || strstr(buf, "populated 0");
}

/*
 * A task that is frozen is in no system call, in fork above all: whose child would get
 * the mark that its parent has lost by then. 1: it was frozen by us. 0: it was before.
 */
static int freeze(const struct sandbox *b)
{
	int dir = sandbox_cgroup_fd(b);
	struct pollfd p = { .fd = sandbox_events_fd(b), .events = POLLPRI };
	struct timespec now, end;
	char was[8];

	if (cgroup_read(dir, "cgroup.freeze", was, sizeof(was)) || was[0] == '1' ||
	    cgroup_write(dir, "cgroup.freeze", "1"))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += FREEZE_MS / 1000;
	while (!is_frozen(p.fd)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec ||
		    (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec))
			break; /* stuck in the kernel; it forks nothing there */
		(void)poll(&p, 1, FREEZE_MS);
	}
	return 1;
}

static int clear_marks(struct agent *a, const struct sandbox *b, struct diag *d)
{
	struct eg_attach r;
	int pass, err;

	for (pass = 0; pass < MAX_PASSES; pass++) {
		r = request(b, EG_AT_CLEAR);
		r.cgroup = 0;
		err = pass_tasks(a, &r, d);
		if (err)
			return err;
		if (!r.tasks)
			return 0;
	}
	return diag_set(d, -EAGAIN, "not every task of the workload could be set free");
}

static int clear_stamps(struct agent *a, const struct sandbox *b, struct diag *d)
{
	struct eg_attach r = request(b, EG_AT_CLEAR);
	_cleanup_close_ int it = -1;
	char none[16];
	int err;

	err = put_request(a, &r, d);
	if (err)
		return err;
	it = agent_iterate(a, "attach_files", d);
	if (it < 0)
		return it;
	while (read(it, none, sizeof(none)) > 0 || errno == EAGAIN)
		errno = 0;
	return 0; /* what is left on a socket nobody holds open means nothing once it is released */
}

int attach_clear(struct agent *a, const struct sandbox *b, struct diag *d)
{
	int frozen, err;

	if (agent_egress_only(a))
		return 0;
	frozen = freeze(b);
	err = clear_marks(a, b, d);
	if (!err)
		err = clear_stamps(a, b, d);
	if (frozen)
		(void)cgroup_write(sandbox_cgroup_fd(b), "cgroup.freeze", "0"); /* or removed */
	return err;
}

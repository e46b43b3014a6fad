/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections of a sandbox that no rule allows any more: they end, in all its networks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf_load.h"
#include "cgroup.h"
#include "compile.h"
#include "events.h"
#include "flows.h"
#include "publish.h"
#include "sandbox.h"
#include "server_int.h"
#include "sock_diag.h"
#include "util.h"
#include "verdict.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/*
 * What is looked at while everybody waits. What is left out has nothing allowed by that:
 * its packets are dropped, and it is told when its own time-out is over.
 */
#define NETNS_MAX 16u /* network namespaces of one sandbox */
#define CGROUPS_MAX 256u /* its cgroup and those below it */
#define PROCS_MAX 4096u

struct places {
	struct {
		dev_t dev;
		ino_t ino;
		int fd;
	} netns[NETNS_MAX];
	size_t nnetns, nprocs;
	uint64_t cgroups[CGROUPS_MAX];
	size_t ncgroups;
};

/* ---- where its sockets can be --------------------------------------------------------- */

/* Takes the descriptor. */
static void add_netns(struct places *p, int fd)
{
	struct stat st;
	size_t i = 0;

	if (fd < 0)
		return;
	if (p->nnetns < NETNS_MAX && !fstat(fd, &st)) {
		while (i < p->nnetns &&
		       (p->netns[i].ino != st.st_ino || p->netns[i].dev != st.st_dev))
			i++;
		if (i == p->nnetns) {
			p->netns[i].dev = st.st_dev;
			p->netns[i].ino = st.st_ino;
			p->netns[i].fd = steal_fd(&fd);
			p->nnetns++;
		}
	}
	if (fd >= 0)
		close(fd);
}

/* Nothing but the link: what else is to be read of a process can make us wait for it. */
static void add_procs(struct places *p, int cgroup)
{
	int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid;
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	char path[48];

	if (!f && fd >= 0)
		close(fd);
	while (f && p->nprocs < PROCS_MAX && fscanf(f, "%d", &pid) == 1) {
		p->nprocs++;
		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
		add_netns(p, open(path, O_RDONLY | O_CLOEXEC));
	}
}

static void add_cgroup(struct places *p, int cgroup)
{
	struct dirent *e;
	DIR *dir;
	int fd;

	if (p->ncgroups == CGROUPS_MAX || cgroup_id(cgroup, &p->cgroups[p->ncgroups]))
		return;
	p->ncgroups++;
	add_procs(p, cgroup);
	fd = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (e = readdir(dir))) {
		_cleanup_close_ int child = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = openat(cgroup, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0)
			add_cgroup(p, child);
	}
	if (dir)
		closedir(dir);
}

static void clear(struct places *p)
{
	while (p->nnetns)
		close(p->netns[--p->nnetns].fd);
	free(p);
}

/* NULL: no memory. The network its resolver is in is one of them, whoever is left there. */
static struct places *find_places(const struct conn *c)
{
	struct places *p = calloc(1, sizeof(*p));
	int netns;

	if (!p)
		return NULL;
	netns = conn_names_netns(c);
	add_netns(p, netns >= 0 ? fcntl(netns, F_DUPFD_CLOEXEC, 3) :
				  open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	add_cgroup(p, sandbox_cgroup_fd(c->box));
	return p;
}

struct flows_owner server_flows_owner(const struct server *s, const struct sandbox *b,
				      const uint64_t *cgroups, size_t n)
{
	return (struct flows_owner){
		.sandbox = sandbox_id(b),
		.stamps = agent_map_fd(s->a, AGENT_MAP_SOCKETS),
		.cgroups = cgroups,
		.ncgroups = n,
	};
}

/* ---- what is not allowed any more ------------------------------------------------------ */

/*
 * What the kernel would say to the next packet, as far as that can be told from here:
 * what was said, only the kernel knows.
 */
static bool flow_refused(void *ctx, const struct flow *f)
{
	struct conn *c = ctx;
	const struct compiled *k = sandbox_version(c->box)->compiled;
	uint8_t verdict;
	uint32_t rule;

	if (f->own && (k->head.flags & EG_P_LOOPBACK_OWN))
		return false;
	/* its resolver is egressd's, at an address that no rule is about */
	if (f->loopback && f->port == sandbox_resolver(c->box))
		return false;
	if (verdict_egress(k, f->addr, f->port, f->proto, &verdict, &rule))
		return false;
	return verdict ? verdict != EG_V_ALLOW :
			 !conn_names_open(c, f->addr, f->port, f->proto);
}

int conn_end_flows(struct conn *c)
{
	struct flows_judge j = { .refused = flow_refused, .ctx = c };
	struct flows_owner owner;
	struct places *p;
	int ended = 0, err = 0, got;
	size_t i;

	if (!(sandbox_version(c->box)->compiled->head.flags & EG_P_EGRESS) ||
	    (sandbox_version(c->box)->compiled->head.flags & EG_P_AUDIT))
		return 0;
	p = find_places(c);
	if (!p)
		return -ENOMEM;
	owner = server_flows_owner(c->s, c->box, p->cgroups, p->ncgroups);
	j.owner = &owner;
	for (i = 0; i < p->nnetns; i++) {
		got = flows_recheck(p->netns[i].fd, &j);
		if (got < 0 && !err)
			err = got; /* the others' all the same */
		ended += MAX(got, 0);
	}
	clear(p);
	return err ? err : ended;
}

void conn_names_refused(struct conn *c, const struct event *ev)
{
	bool gone = ev->op == EG_OP_SERVER_NAME ||
		    (ev->op == EG_OP_PACKET && ev->reason == EG_WHY_REVOKED);
	struct flows_owner owner;
	uint64_t own;

	if (!gone || ev->verdict != EG_VERDICT_DENIED || !c->names)
		return;
	/* nothing it sends leaves any more: say so instead of letting it wait */
	owner = server_flows_owner(c->s, c->box, &own, !cgroup_id(sandbox_cgroup_fd(c->box), &own));
	(void)flows_abort(conn_names_netns(c), &owner, ev->addr, ev->port, ev->aux);
}

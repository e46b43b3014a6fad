/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diag.h"
#include "policy_vars.h"
#include "rooted.h"
#include "state.h"
#include "util.h"

static int ns_of(const char *who, uint32_t *ns, int *fd)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", who);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st))
		return -errno;
	*ns = st.st_ino;
	return 0;
}

int rooted_open(pid_t pid, struct rooted *r, struct diag *d)
{
	_cleanup_close_ int own_fd = -1;
	_cleanup_close_ int ns = -1;
	uint32_t own;
	char who[16];
	int err;

	*r = (struct rooted){ .fd = -1, .sock = -1, .pid = pid };
	snprintf(who, sizeof(who), "%d", pid);
	err = ns_of("self", &own, &own_fd);
	if (!err)
		err = ns_of(who, &r->ns, &ns);
	if (!err)
		err = process_start(pid, &r->start);
	if (!err && r->ns == own)
		return 0;
	if (!err)
		err = rooted_look(r, ns, "/");
	if (err)
		rooted_close(r);
	return err ? diag_set(d, err, "cannot look into the mount namespace of process %d: %s", pid,
			      strerror(-err)) :
		     1;
}

int rooted_at(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* What the number is in the user namespace of the process. */
static uid_t inner_uid(pid_t pid, uid_t uid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned int in, out, count;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%u%u%u", &in, &out, &count) == 3)
		if (uid >= out && uid - out < count)
			return in + (uid - out);
	return uid;
}

int rooted_check(const struct rooted *r, struct diag *d)
{
	if (!r->lost)
		return 0;
	return diag_set(d, -ETIMEDOUT,
			"what is mounted where process %d runs does not answer (a dead mount?)",
			r->pid);
}

int rooted_vars(struct policy_vars *v, struct rooted *r, const char *cwd, uid_t uid, struct diag *d)
{
	struct diag why = {};
	int err;

	memset(v, 0, sizeof(*v));
	v->readlink = rooted_readlink;
	v->readlink_ctx = r;
	uid = inner_uid(r->pid, uid);
	if (asprintf(&v->uid, "%u", (unsigned int)uid) < 0)
		v->uid = NULL;
	v->tmpdir = strdup("/tmp");
	v->home = rooted_look_home(r, uid);
	if (v->home && policy_vars_check(v, NULL)) {
		free(v->home);
		v->home = NULL;
	}
	err = rooted_look_dir(r, cwd);
	if (err)
		(void)diag_set(&why, err, "WORKDIR: %s: %s", cwd, strerror(-err));
	if (err || policy_vars_check_dir(v, "WORKDIR", cwd, &why))
		v->workdir_why = strdup(why.msg);
	else
		v->workdir = strdup(cwd);
	err = rooted_check(r, d);
	if (!err && !(v->uid && v->tmpdir && (v->workdir || v->workdir_why)))
		err = diag_set(d, -ENOMEM, "out of memory");
	if (err)
		policy_vars_clear(v);
	return err;
}

void rooted_format(const struct rooted *r, char buf[64])
{
	snprintf(buf, 64, "%d %" PRIu64 " %u", r->pid, r->start, r->ns);
}

int rooted_parse(const char *text, struct rooted *r)
{
	struct rooted now;
	uint64_t start;
	uint32_t ns;
	pid_t pid;

	*r = (struct rooted){ .fd = -1, .sock = -1 };
	if (sscanf(text, "%d %" SCNu64 " %u", &pid, &start, &ns) != 3)
		return -EINVAL;
	*r = (struct rooted){ .fd = -1, .sock = -1, .pid = pid, .start = start, .ns = ns };
	if (rooted_open(pid, &now, NULL) != 1)
		return 0;
	if (now.start == start && now.ns == ns)
		*r = now;
	else
		rooted_close(&now);
	return 0;
}

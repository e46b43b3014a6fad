// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* egressd.yaml: the keys as tables, read with what reads policies. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "canary.h"
#include "config.h"
#include "eventlog.h"
#include "policy_parse.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

/* pol_*() are written for a struct pol: what this file reads into stands behind it. */
struct reading {
	struct pol pol;
	struct config *c;
	const struct ynode *remote; /* where metrics: listen is, when it needs remote: true */
};

static struct config *of(struct pol *p)
{
	return ((struct reading *)p)->c;
}

void config_defaults(struct config *c)
{
	*c = (struct config){
		.max_per_uid = CONFIG_PER_UID,
		.journal = true,
		.grant_who = CONFIG_OWNER,
		.grant_max_ms = CONFIG_GRANT_MS,
		.grant_paths = true,
		.grant_save = true,
		.canary_ms = CANARY_EVERY_MS,
	};
}

void config_clear(struct config *c)
{
	free(c->file);
	free(c->group);
	free(c->log_dir);
	free(c->metrics);
	for (char **w = c->grant_within; w && *w; w++)
		free(*w);
	free(c->grant_within);
	for (uint32_t i = 0; i < c->nattach; i++) {
		free(c->attach[i].pattern);
		free(c->attach[i].policy);
	}
	free(c->attach);
	for (uint32_t i = 0; i < c->nruntimes; i++)
		free(c->runtimes[i]);
	*c = (struct config){};
}

/* ---- values -------------------------------------------------------------------------- */

static int take_text(struct pol *p, const struct ynode *n, char **to)
{
	*to = strdup(n->text);
	return *to ? 0 : pol_nomem(p);
}

static int take_bool(struct pol *p, const struct ynode *n, const struct pol_key *k, bool *to)
{
	static const struct pol_words words[] = { { "true", 1 }, { "false", 0 }, {} };
	struct policy_num got;
	int err = pol_word(p, n, k->key, k->expect, words, &got);

	if (!err)
		*to = got.v;
	return err;
}

static int parse_group(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);

	if (err)
		return err;
	if (!getgrnam(n->text))
		return pol_expected(p, n, k->key, k->expect);
	return take_text(p, n, &of(p)->group);
}

static int parse_per_user(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);
	uint64_t v;

	if (err)
		return err;
	if (parse_u64(n->text, 1, CONFIG_PER_UID_MAX, &v))
		return pol_expected(p, n, k->key, k->expect);
	of(p)->max_per_uid = (uint32_t)v;
	return 0;
}

/* An absolute path that says where it leads. */
static bool plain_path(const char *s)
{
	return *s == '/' && s[1] && strlen(s) < PATH_MAX && !strstr(s, "/../") &&
	       !strstr(s, "/./") && !strstr(s, "//") && !str_ends(s, "/..") && !str_ends(s, "/.");
}

static int parse_dir(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);

	if (err)
		return err;
	if (!plain_path(n->text))
		return pol_expected(p, n, k->key, k->expect);
	return take_text(p, n, &of(p)->log_dir);
}

static int parse_size(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);
	uint64_t v;

	if (err)
		return err;
	if (policy_bytes_parse(n->text, &v) || v < CONFIG_LOG_MIN || v > CONFIG_LOG_MAX)
		return pol_expected(p, n, k->key, k->expect);
	of(p)->log_bytes = v;
	return 0;
}

static int parse_new_privileges(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	return take_bool(p, n, k, &of(p)->new_privileges);
}

static int parse_journal(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	return take_bool(p, n, k, &of(p)->journal);
}

static int parse_stop(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = { { "keep", 1 }, { "end", 0 }, {} };
	struct policy_num got;
	int err = pol_word(p, n, k->key, k->expect, words, &got);

	if (!err)
		of(p)->keep = got.v;
	return err;
}

static int parse_without_lsm(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);

	if (err)
		return err;
	return without_lsm_parse(n->text, &of(p)->without_lsm) ?
		       pol_expected(p, n, k->key, k->expect) : 0;
}

/* ---- grants ----------------------------------------------------------------------------- */

static int parse_who(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words words[] = {
		{ "owner", CONFIG_OWNER }, { "nobody", CONFIG_NOBODY }, {}
	};
	struct policy_num got;
	int err = pol_word(p, n, k->key, k->expect, words, &got);

	if (!err)
		of(p)->grant_who = (enum config_who)got.v;
	return err;
}

static int parse_for(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);

	if (err)
		return err;
	if (str_eq(n->text, "unlimited")) {
		of(p)->grant_max_ms = 0;
		return 0;
	}
	if (policy_time_parse(n->text, &of(p)->grant_max_ms))
		return pol_expected(p, n, k->key, k->expect);
	return 0;
}

static int parse_paths(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	return take_bool(p, n, k, &of(p)->grant_paths);
}

static int parse_save(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	return take_bool(p, n, k, &of(p)->grant_save);
}

static int take_within(struct pol *p, const struct ynode *e, const struct pol_key *k, char **to)
{
	struct policy_dest dest = {};
	struct place at = pol_place(p, e);
	int err = pol_scalar(p, e, k->key, k->expect);

	if (!err)
		err = policy_dest_parse(e->text, false, &dest, p->d, &at);
	policy_dest_clear(&dest);
	return err ? err : take_text(p, e, to);
}

static int parse_within(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	char **to;
	int err;

	if (n->type != Y_LIST)
		return pol_expected(p, n, k->key, k->expect);
	if (n->count > CONFIG_MAX_AUTHORITY)
		return pol_bad(p, n, "%s: %u entries, at most %u", k->key, n->count,
			       CONFIG_MAX_AUTHORITY);
	to = calloc(n->count + 1, sizeof(*to));
	if (!to)
		return pol_nomem(p);
	of(p)->grant_within = to;
	err = 0;
	for (struct ynode *e = n->first; e && !err; e = e->next)
		err = take_within(p, e, k, to++);
	return err;
}

/* ---- canary ------------------------------------------------------------------------------- */

static int parse_every(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);
	uint64_t ms;

	if (err)
		return err;
	if (policy_time_parse(n->text, &ms) || ms < CANARY_EVERY_MIN_MS || ms > CANARY_EVERY_MAX_MS)
		return pol_expected(p, n, k->key, k->expect);
	of(p)->canary_ms = (uint32_t)ms;
	return 0;
}

/* ---- metrics ------------------------------------------------------------------------------ */

int config_address(const char *text, struct sockaddr_storage *addr, socklen_t *len, bool *local)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	uint64_t port;
	size_t n;

	if (!colon || (size_t)(colon - text) >= sizeof(host) ||
	    parse_u64(colon + 1, 1, 65535, &port))
		return -EINVAL;
	n = (size_t)(colon - text);
	memcpy(host, text, n);
	host[n] = '\0';
	memset(addr, 0, sizeof(*addr));
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1)
			return -EINVAL;
		v6.sin6_port = htons((uint16_t)port);
		*local = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
		*len = sizeof(v6);
		memcpy(addr, &v6, sizeof(v6));
		return 0;
	}
	if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
		return -EINVAL;
	v4.sin_port = htons((uint16_t)port);
	*local = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
	*len = sizeof(v4);
	memcpy(addr, &v4, sizeof(v4));
	return 0;
}

static int parse_metrics_listen(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = pol_scalar(p, n, k->key, k->expect);
	struct sockaddr_storage addr;
	socklen_t len;
	bool local;

	if (err)
		return err;
	if (config_address(n->text, &addr, &len, &local))
		return pol_expected(p, n, k->key, k->expect);
	if (!local)
		((struct reading *)p)->remote = n;
	return take_text(p, n, &of(p)->metrics);
}

static int parse_metrics_remote(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	return take_bool(p, n, k, &of(p)->metrics_remote);
}

/* ---- attach --------------------------------------------------------------------------------- */

struct attach_entry {
	const struct ynode *cgroup, *policy;
};

static int attach_key(struct pol *p, const struct ynode *e, struct attach_entry *a)
{
	static const char names[] = "the name of a policy, or the absolute path of its file";
	static const char cgroups[] = "a pattern: /system.slice/docker-*.scope below the root of "
				      "cgroup v2, or ci-*.service for the last name of the path";

	if (str_eq(e->key->text, "cgroup")) {
		a->cgroup = e;
		if (e->type != Y_SCALAR || ynode_is_null(e) || !*e->text ||
		    (strchr(e->text, '/') && !plain_path(e->text)) ||
		    strspn(e->text, "*/") == strlen(e->text))
			return pol_expected(p, e, "cgroup", cgroups);
		if (strlen(e->text) >= EG_PATTERN_MAX)
			return pol_bad(p, e, "cgroup: a pattern has at most %u bytes",
				       EG_PATTERN_MAX - 1);
		if (strpbrk(e->text, "[]{}"))
			return pol_bad(p, e, "cgroup: \"%s\" has brackets: only * and ? stand for "
				       "something else here, so write one pattern for each",
				       e->text);
		return 0;
	}
	if (!str_eq(e->key->text, "policy"))
		return pol_bad(p, e->key, "unknown key \"%s\" in attach: expected one of cgroup, "
			       "policy", e->key->text);
	a->policy = e;
	if (e->type != Y_SCALAR || ynode_is_null(e) || !*e->text ||
	    (strchr(e->text, '/') && !plain_path(e->text)))
		return pol_expected(p, e, "policy", names);
	return 0;
}

static int take_attach(struct pol *p, const struct ynode *n)
{
	struct config *c = of(p);
	struct config_attach *to = &c->attach[c->nattach];
	struct attach_entry a = {};
	int err = 0;

	if (n->type != Y_MAP)
		return pol_expected(p, n, "attach", "a list of {cgroup: PATTERN, policy: NAME}");
	for (struct ynode *e = n->first; e && !err; e = e->next)
		err = attach_key(p, e, &a);
	if (err)
		return err;
	if (!a.cgroup || !a.policy)
		return pol_bad(p, n, "attach: %s is missing: expected {cgroup: PATTERN, "
			       "policy: NAME}", a.cgroup ? "policy" : "cgroup");
	for (uint32_t i = 0; i < c->nattach; i++)
		if (str_eq(c->attach[i].pattern, a.cgroup->text))
			return pol_bad(p, a.cgroup, "attach: \"%s\" is in line %u already",
				       a.cgroup->text, c->attach[i].line);
	*to = (struct config_attach){ .pattern = strdup(a.cgroup->text),
				      .policy = strdup(a.policy->text),
				      .line = a.cgroup->line };
	c->nattach++; /* from here on config_clear() frees it, half of it too */
	return to->pattern && to->policy ? 0 : pol_nomem(p);
}

static int parse_attach(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = 0;

	if (n->type != Y_LIST)
		return pol_expected(p, n, k->key, k->expect);
	if (n->count > CONFIG_MAX_ATTACH)
		return pol_bad(p, n, "attach: %u entries, at most %u", n->count, CONFIG_MAX_ATTACH);
	of(p)->attach = calloc(n->count + 1, sizeof(*of(p)->attach));
	if (!of(p)->attach)
		return pol_nomem(p);
	for (struct ynode *e = n->first; e && !err; e = e->next)
		err = take_attach(p, e);
	return err;
}

/* ---- runtimes ------------------------------------------------------------------------------- */

/*
 * What is there is trusted to be a runtime, and what it is told of itself is its number:
 * whoever writes to the file, or puts another program of root's in its place, gets out.
 * NULL: it is fine, or not there (yet); else what is wrong with it, malloc()ed.
 */
static char *runtime_wrong(const char *path)
{
	_cleanup_free_ char *real = realpath(path, NULL), *part = strdup(path);
	char *why = NULL, *slash;
	struct stat st;
	int n = 0;

	if (!part)
		return strdup("out of memory");
	if (!real && errno == ENOENT)
		return lstat(path, &st) ? NULL : strdup("it is a link to nowhere");
	if (!real)
		return strdup(strerror(errno));
	if (!str_eq(real, path))
		n = asprintf(&why, "a link leads to %s: expected that path itself", real);
	else if (stat(path, &st) || !S_ISREG(st.st_mode))
		return strdup("it is not a file");
	for (; !n; *slash = '\0') {
		if (stat(*part ? part : "/", &st) || (st.st_uid && st.st_uid != geteuid()) ||
		    (st.st_mode & 022))
			n = asprintf(&why, "others than root can write to %s", *part ? part : "/");
		slash = strrchr(part, '/');
		if (!slash)
			break;
	}
	return n < 0 ? strdup("out of memory") : why;
}

static int take_runtime(struct pol *p, const struct ynode *n, const struct pol_key *k)
{
	struct config *c = of(p);
	_cleanup_free_ char *wrong = NULL;
	int err = pol_scalar(p, n, k->key, k->expect);

	if (err)
		return err;
	if (!plain_path(n->text) || str_ends(n->text, "/"))
		return pol_expected(p, n, k->key, k->expect);
	wrong = runtime_wrong(n->text);
	if (wrong)
		return pol_bad(p, n, "%s: %s: %s", k->key, n->text, wrong);
	err = take_text(p, n, &c->runtimes[c->nruntimes]);
	c->nruntimes += !err;
	return err;
}

static int parse_runtimes(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	int err = 0;

	if (n->type != Y_LIST)
		return pol_expected(p, n, k->key, k->expect);
	if (n->count > CONFIG_MAX_RUNTIMES)
		return pol_bad(p, n, "runtimes: %u entries, at most %u", n->count,
			       CONFIG_MAX_RUNTIMES);
	for (struct ynode *e = n->first; e && !err; e = e->next)
		err = take_runtime(p, e, k);
	return err;
}

/* ---- the file ---------------------------------------------------------------------------- */

static const struct pol_key socket_keys[] = {
	{ "group", "a group of this host", parse_group, 0 },
	{}
};

static const struct pol_key sandboxes_keys[] = {
	{ "per-user", "a number from 1 to 4096", parse_per_user, 0 },
	{ "new-privileges", "true or false", parse_new_privileges, 0 },
	{}
};

static const struct pol_key log_keys[] = {
	{ "dir", "an absolute path", parse_dir, 0 },
	{ "size", "bytes from 5M to 1T, such as 320M", parse_size, 0 },
	{ "journal", "true or false", parse_journal, 0 },
	{}
};

static const struct pol_key grants_keys[] = {
	{ "who", "owner or nobody", parse_who, 0 },
	{ "for", "a time such as 10m or 24h, or unlimited", parse_for, 0 },
	{ "paths", "true or false", parse_paths, 0 },
	{ "within", "a list of destinations as in a policy's egress: allow", parse_within, 0 },
	{ "save", "true or false", parse_save, 0 },
	{}
};

static const struct pol_key canary_keys[] = {
	{ "every", "a time from 1s to 4s, so that silence is told of within ten seconds",
	  parse_every, 0 },
	{}
};

static const struct pol_key metrics_keys[] = {
	{ "listen", "an address and a port, such as 127.0.0.1:9477 or \"[::1]:9477\"",
	  parse_metrics_listen, 0 },
	{ "remote", "true or false", parse_metrics_remote, 0 },
	{}
};

static const struct section {
	const char *name;
	const struct pol_key *keys;
} sections[] = {
	{ "socket", socket_keys },   { "sandboxes", sandboxes_keys }, { "log", log_keys },
	{ "grants", grants_keys },   { "metrics", metrics_keys },
	{ "canary", canary_keys },
};

static int parse_section(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	return pol_map(p, n, k->key, sections[k->arg].keys);
}

static int parse_version(struct pol *p, struct ynode *n, const struct pol_key *k)
{
	if (n->type != Y_SCALAR || !str_eq(n->text, "1"))
		return pol_expected(p, n, k->key, k->expect);
	p->version = true;
	return 0;
}

static const struct pol_key top_keys[] = {
	{ "version", "1, the only version there is", parse_version, 0 },
	{ "socket", "a map", parse_section, 0 },
	{ "sandboxes", "a map", parse_section, 1 },
	{ "log", "a map", parse_section, 2 },
	{ "stop", "keep or end", parse_stop, 0 },
	{ "grants", "a map", parse_section, 3 },
	{ "attach", "a list of {cgroup: PATTERN, policy: NAME}", parse_attach, 0 },
	{ "runtimes", "a list of programs by their absolute paths", parse_runtimes, 0 },
	{ "metrics", "a map", parse_section, 4 },
	{ "canary", "a map", parse_section, 5 },
	{ "without-lsm", WITHOUT_LSM_WORDS, parse_without_lsm, 0 },
	{}
};

int config_parse(const char *file, const char *text, size_t len, struct config *c,
		 struct diag *d)
{
	struct config got;
	struct reading r = { .pol = { .file = file, .d = d }, .c = &got };
	struct ydoc doc;
	int err;

	err = ydoc_parse(file, text, len, &doc, d);
	if (err)
		return err;
	config_defaults(&got);
	err = pol_map(&r.pol, doc.root, "this file", top_keys);
	if (!err && !r.pol.version)
		err = diag_at(d, -EINVAL, file, 1, 1, "no version: expected \"version: 1\"");
	if (!err && r.remote && !got.metrics_remote)
		err = pol_bad(&r.pol, r.remote, "listen: other hosts can reach %s: expected an "
			      "address of this host alone, or remote: true beside it",
			      r.remote->text);
	if (!err) {
		got.file = strdup(file);
		err = got.file ? 0 : pol_nomem(&r.pol);
	}
	ydoc_free(&doc);
	if (err)
		config_clear(&got);
	else
		*c = got;
	return err;
}

/*
 * What is in the file decides who may do what: nobody but root (or whoever runs this)
 * may be able to write to it, or put another one in its place.
 */
static bool others_write(int fd, struct stat *st)
{
	if (fstat(fd, st))
		return true;
	return (st->st_uid && st->st_uid != geteuid()) || (st->st_mode & 022);
}

static int open_config(const char *path, struct diag *d)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int dir = -1, fd = -1;
	struct stat st;
	int err;

	if (!copy)
		return diag_set(d, -ENOMEM, "out of memory");
	dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* a FIFO must not hang; what is behind a link is not guarded by this directory */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (dir < 0 || fd < 0) {
		err = -errno;
		if (err == -ENOENT)
			return err;
		if (err == -ELOOP)
			return diag_at(d, err, path, 0, 0, "is a symbolic link: expected the file "
				       "itself");
		return diag_at(d, err, path, 0, 0, "cannot open: %s", strerror(-err));
	}
	if (others_write(fd, &st))
		return diag_at(d, -EPERM, path, 0, 0, "others than root can write to it: expected "
			       "owner root and a mode such as 0644");
	if (!S_ISREG(st.st_mode))
		return diag_at(d, -EINVAL, path, 0, 0, "is not a regular file");
	/* sticky: only the owner of a file removes it */
	if (others_write(dir, &st) && (st.st_uid || !(st.st_mode & S_ISVTX)))
		return diag_at(d, -EPERM, path, 0, 0, "others than root can replace it: expected a "
			       "directory of root's with a mode such as 0755");
	return steal_fd(&fd);
}

int config_load(const char *path, struct config *c, struct diag *d)
{
	_cleanup_close_ int fd = open_config(path, d);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int err;

	if (fd == -ENOENT)
		config_defaults(c);
	if (fd < 0)
		return fd;
	err = policy_read_fd(fd, path, &text, &len, d);
	return err ? err : config_parse(path, text, len, c, d);
}

char *config_log_dir(const char *path, struct diag *d)
{
	struct config c = {};
	char *dir;

	(void)config_load(path, &c, d);
	dir = strdup(c.log_dir ? c.log_dir : EVENTLOG_DIR);
	config_clear(&c);
	return dir;
}

enum without_lsm config_without_lsm(const char *path, struct diag *d)
{
	enum without_lsm mode;
	struct config c = {};

	(void)config_load(path, &c, d);
	mode = c.without_lsm;
	config_clear(&c);
	return mode;
}

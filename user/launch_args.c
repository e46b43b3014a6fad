/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line of a launch, the same for egress-run and `egressctl run`. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"
#include "launch.h"
#include "run_limits.h"
#include "util.h"

enum kind { FLAG, LIST, TEXT, FD };

static const struct option_spec {
	const char *names; /* separated by spaces */
	const char *arg; /* NULL: takes none */
	enum kind kind;
	size_t at, count; /* in struct launch */
	const char *help;
} specs[] = {
#define AT(field) offsetof(struct launch, field)
	{ "-p --policy", "POLICY", LIST, AT(policies), AT(npolicies),
	  "policy by name or path (./FILE); several are united" },
	{ "--allow", "RULE", LIST, AT(allows), AT(nallows),
	  "add to the policy: 'open PATH PERM', 'connect ADDR:PORT', 'unix NAME'" },
	{ "--egress-only", NULL, FLAG, AT(egress_only), 0,
	  "enforce network rules alone: for kernels without BPF LSM" },
	{ "--audit", NULL, FLAG, AT(audit), 0, "report what would be refused, refuse nothing" },
	{ "--trace", NULL, FLAG, AT(trace), 0,
	  "record what it touches, for `egressctl report`; a little slower" },
	{ "--report", "FILE", TEXT, AT(report), 0,
	  "write to FILE what it touched; FILE.json: as JSON" },
	{ "-v --verbose", NULL, FLAG, AT(verbose), 0, "print each refused access as it happens" },
	{ "--fail-fast", NULL, FLAG, AT(fail_fast), 0, "end the run at the first refused access" },
	{ "--json", NULL, FLAG, AT(json), 0, "print refused accesses and the summary as JSON" },
	{ "--keep-fd", "N", FD, AT(keep_fds), AT(nkeep_fds),
	  "leave this descriptor open, beside 0, 1 and 2" },
	{ "--limit", "KEY=VALUE", LIST, AT(limits), AT(nlimits),
	  "memory=4G, pids=512, cpu=200%, io=100 or time=30m" },
	{ "--name", "NAME", TEXT, AT(name), 0, "what to call the sandbox in lists" },
	{ "--new-privileges", NULL, FLAG, AT(new_privs), 0, "let set-uid programs gain rights" },
};

void launch_usage(FILE *f, const char *program)
{
	size_t i;

	fprintf(f, "Usage: %s [OPTION]... [--] COMMAND [ARGUMENT]...\n\n"
		   "Run COMMAND in a sandbox. Its exit status is COMMAND's; 2: bad policy or\n"
		   "arguments, 125: not started, 126: cannot be executed, 127: not found.\n\n",
		program);
	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", specs[i].names,
			 specs[i].arg ? specs[i].arg : "");
		fprintf(f, "  %-24s %s\n", left, specs[i].help);
	}
}

/* Is `name` one of the space-separated names? */
static bool has_name(const char *names, const char *name, size_t len)
{
	const char *p = names;

	while (*p) {
		size_t n = strcspn(p, " ");

		if (n == len && !memcmp(p, name, len))
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

static const struct option_spec *find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(specs); i++)
		if (has_name(specs[i].names, name, len))
			return &specs[i];
	return NULL;
}

static int store_fd(struct launch *l, const char *value, struct diag *d)
{
	uint64_t fd;

	if (parse_u64(value, 0, 1048575, &fd))
		return diag_set(d, -EINVAL, "--keep-fd: '%s' is not a descriptor's number", value);
	/* before anything of ours could have that number */
	if (fcntl(fd, F_GETFD) < 0)
		return diag_set(d, -EINVAL, "--keep-fd: descriptor %s is not open", value);
	if (l->nkeep_fds == LAUNCH_KEEP_FDS)
		return diag_set(d, -EINVAL, "--keep-fd: more than %d descriptors", LAUNCH_KEEP_FDS);
	l->keep_fds[l->nkeep_fds++] = fd;
	return 0;
}

static int store(struct launch *l, const struct option_spec *s, const char *value, struct diag *d)
{
	void *at = (char *)l + s->at;
	size_t *count = (size_t *)((char *)l + s->count);

	switch (s->kind) {
	case FLAG:
		*(bool *)at = true;
		return 0;
	case TEXT:
		*(const char **)at = value;
		return 0;
	case FD:
		return store_fd(l, value, d);
	case LIST:
		if (*count == LAUNCH_LIST)
			return diag_set(d, -EINVAL, "%s: given more than %d times", s->names,
					LAUNCH_LIST);
		((const char **)at)[(*count)++] = value;
		return 0;
	}
	return -EINVAL;
}

static int check(struct launch *l, struct diag *d)
{
	struct limits limits = {};
	size_t i;
	int err;

	if (!l->npolicies)
		l->policies[l->npolicies++] = "agent";
	for (i = 0; i < l->nlimits; i++) {
		err = limits_parse(&limits, l->limits[i], d);
		if (err)
			return err;
	}
	if (!l->argv[0])
		return diag_set(d, -EINVAL, "a command was expected");
	if (!*l->argv[0])
		return diag_set(d, -EINVAL, "the command is empty");
	return 0;
}

int launch_parse(struct launch *l, int argc, char **argv, bool *help, struct diag *d)
{
	int i, err;

	*l = (struct launch){};
	*help = false;
	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		size_t len = strcspn(argv[i], "=");
		const struct option_spec *s = find(argv[i], len);
		const char *value = NULL;

		if (str_eq(argv[i], "--")) {
			i++;
			break;
		}
		if (str_eq(argv[i], "-h") || str_eq(argv[i], "--help")) {
			*help = true;
			return 0;
		}
		/* -pNAME */
		if (!s && argv[i][1] != '-' && argv[i][2] && (s = find(argv[i], 2)) && s->arg)
			value = argv[i] + 2;
		else if (s && argv[i][len] == '=')
			value = argv[i] + len + 1;
		if (!s || (value && !s->arg))
			return diag_set(d, -EINVAL, "unknown option '%s': try --help", argv[i]);
		if (s->arg && !value) {
			if (i + 1 == argc)
				return diag_set(d, -EINVAL, "option '%s' needs a value: %s",
						argv[i], s->arg);
			value = argv[++i];
		}
		err = store(l, s, value, d);
		if (err)
			return err;
	}
	l->argv = argv + i;
	return check(l, d);
}

int launch_sudo_user(struct launch *l, struct diag *d)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");
	const struct passwd *pw;
	uint64_t u, g;

	if (geteuid() != 0 || !uid || !gid)
		return 0;
	if (parse_u64(uid, 0, UINT32_MAX - 1, &u) || parse_u64(gid, 0, UINT32_MAX - 1, &g))
		return diag_set(d, -EINVAL, "SUDO_UID=%s and SUDO_GID=%s are not ids", uid, gid);
	if (!u)
		return 0;
	pw = getpwuid(u);
	if (!pw)
		return diag_set(d, -ENOENT, "SUDO_UID=%s is not a user of this host", uid);
	l->drop = true;
	l->uid = u;
	l->gid = g;
	l->user = strdup(pw->pw_name);
	l->home = strdup(pw->pw_dir);
	if (!l->user || !l->home)
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

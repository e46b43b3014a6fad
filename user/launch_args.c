/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line of a launch, the same for egress-run and `egressctl run`. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"
#include "launch.h"
#include "options.h"
#include "run_limits.h"
#include "util.h"
#include "without_lsm.h"

static int store_fd(void *into, const char *value, struct diag *d)
{
	struct launch *l = into;
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

_Static_assert(LAUNCH_LIST == OPTION_LIST_MAX, "lists of struct launch are lists of options");

#define AT(field) .at = offsetof(struct launch, field)
#define FLAG(field) .kind = OPTION_FLAG, AT(field)
#define TEXT(field) .kind = OPTION_TEXT, AT(field)
#define LIST(field) .kind = OPTION_LIST, AT(field), .count = offsetof(struct launch, n##field)

static const struct option_row rows[] = {
	{ "-p --policy", "POLICY", "by name or path (./FILE); several are united; default: agent",
	  LIST(policies) },
	{ "--allow", "RULE", "add to the policy: 'open PATH PERM', 'connect HOST:PORT',\n"
			     "'unix NAME', 'socket KIND', 'privilege NAME'", LIST(allows) },
	{ "--egress-only", NULL, "enforce network rules alone: for kernels without BPF LSM",
	  FLAG(egress_only) },
	{ "--without-lsm", "refuse|landlock|egress",
	  "what becomes of rules for paths without BPF LSM; default:\n"
	  "egressd.yaml's, which is refuse", TEXT(without_lsm) },
	{ "--audit", NULL, "report what would be refused, refuse nothing", FLAG(audit) },
	{ "--trace", NULL, "record what it touches, for `egressctl report`; a little slower",
	  FLAG(trace) },
	{ "-v --verbose", NULL, "print each refused access as it happens", FLAG(verbose) },
	{ "--fail-fast", NULL, "end the run at the first refused access", FLAG(fail_fast) },
	{ "--json", NULL, "print refused accesses and the summary as JSON", FLAG(json) },
	{ "--keep-fd", "N", "leave this descriptor open, beside 0, 1 and 2",
	  .kind = OPTION_PARSED, .parse = store_fd },
	{ "--limit", "KEY=VALUE", "memory=4G, pids=512, cpu=200%, io=100 or time=30m",
	  LIST(limits) },
	{ "--name", "NAME", "what to call the sandbox in lists", TEXT(name) },
	{ "--new-privileges", NULL, "let set-uid programs gain rights", FLAG(new_privs) },
	{}
};

/* made by egressctl from what egressd kept, with code that egress-run is too small for */
static const struct option_row report_rows[] = {
	{ "--report", "FILE", "write to FILE what it touched; FILE.json: as JSON", TEXT(report) },
	{}
};

#define ARGS "[OPTION]... [--] COMMAND [ARGUMENT]..."
#define ABOUT "Run COMMAND in a sandbox.\n"
#define END \
	"Exit status: COMMAND's; 2 bad policy or arguments, 125 not started, 126 cannot be\n" \
	"executed, 127 not found.\n"

const struct command_line launch_egress_run = {
	.name = "egress-run", .args = ARGS, .about = ABOUT, .end = END, .options = rows,
	.wraps = true, .max = OPTIONS_ANY,
};

const struct command_line launch_egressctl = {
	.name = "egressctl run", .args = ARGS, .about = ABOUT, .end = END, .options = rows,
	.more = report_rows, .wraps = true, .max = OPTIONS_ANY,
};

static int check_without_lsm(const struct launch *l, struct diag *d)
{
	enum without_lsm mode;

	if (!l->without_lsm)
		return 0;
	if (without_lsm_parse(l->without_lsm, &mode))
		return diag_set(d, -EINVAL, "--without-lsm: got '%s', expected " WITHOUT_LSM_WORDS,
				l->without_lsm);
	if (l->egress_only)
		return diag_set(d, -EINVAL, "--egress-only leaves rules for paths out on every "
				"kernel: expected it or --without-lsm, not both");
	return 0;
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
	err = check_without_lsm(l, d);
	if (err)
		return err;
	if (!l->argv[0])
		return diag_set(d, -EINVAL, "a command was expected");
	if (!*l->argv[0])
		return diag_set(d, -EINVAL, "the command is empty");
	return 0;
}

int launch_parse(const struct command_line *c, struct launch *l, int argc, char **argv, bool *help,
		 struct diag *d)
{
	int n;

	*l = (struct launch){};
	n = options_read(c, l, argc, argv, &l->argv, help, d);
	if (n < 0 || *help)
		return MIN(n, 0);
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

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a plan consists of, and what no ruleset can say. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "landlock_int.h"
#include "policy.h"
#include "util.h"

int plan_nomem(struct walk *w)
{
	return diag_set(w->d, -ENOMEM, "out of memory");
}

/* ---- what comes out -------------------------------------------------------------------------- */

int plan_note(struct walk *w, uint32_t rule, bool wider, const char *fmt, ...)
{
	struct landlock_plan *p = w->plan;
	bool *known = wider ? &w->told[rule].wider : &w->told[rule].narrower;
	va_list ap;
	char *why;
	int n;

	if (rule && *known)
		return 0;
	*known = true;
	va_start(ap, fmt);
	n = vasprintf(&why, fmt, ap);
	va_end(ap);
	if (n < 0)
		return plan_nomem(w);
	if (array_reserve(&p->notes, &p->notes_cap, p->nnotes)) {
		free(why);
		return plan_nomem(w);
	}
	p->notes[p->nnotes++] = (struct landlock_note){ .rule = rule, .wider = wider, .why = why };
	return 0;
}

int plan_too_many(struct walk *w, const char *path)
{
	return diag_set(w->d, -E2BIG,
			"Landlock would need a rule for each of too many names at %s: more than %u "
			"are not looked at; close a whole directory instead of names in it", path,
			LANDLOCK_MAX_NAMES);
}

int plan_grant(struct walk *w, const char *path, uint8_t perm, bool dir)
{
	struct landlock_plan *p = w->plan;

	if (!dir)
		perm &= EG_R | EG_W | EG_X;
	if (!perm)
		return 0;
	if (p->ngrants == LANDLOCK_MAX_GRANTS)
		return plan_too_many(w, path);
	if (array_reserve(&p->grants, &p->grants_cap, p->ngrants))
		return plan_nomem(w);
	p->grants[p->ngrants] = (struct landlock_grant){ .path = strdup(path), .perm = perm,
							 .dir = dir };
	return p->grants[p->ngrants++].path ? 0 : plan_nomem(w);
}

/* ---- what Landlock has no word for ---------------------------------------------------------- */

int plan_tell_unix(struct walk *w, const struct compiled_path *p)
{
	if (*p->pattern != '@')
		return 0; /* every path may be connected to: plan_tell_general() */
	/* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET is for all names or none */
	return w->plan->abi < 6 ? 0 :
				  plan_note(w, p->rule, false, "Landlock refuses every abstract "
					   "socket of others, or none");
}

int plan_tell_general(struct walk *w)
{
	static const struct {
		unsigned int since; /* ABI that has it; 0: none yet */
		bool wider;
		const char *what;
	} gaps[] = {
		{ 0, true, "mode, owner, times and attributes of files can be changed wherever "
			   "file rights let them" },
		{ 0, true, "unix sockets with a path can be connected to wherever file rights let "
			   "them" },
		{ 0, true, "what the guard refuses otherwise (bpf, io_uring, keys, IPC objects, "
			   "terminals of others, libraries from where nothing may be executed) is "
			   "not" },
		{ 2, false, "files cannot be moved from one directory to another" },
		{ 3, true, "files can be truncated wherever file rights let them" },
		{ 5, true, "devices that may be read take every ioctl" },
		{ 6, true, "abstract unix sockets of others can be connected to" },
		{ 6, true, "processes outside can be sent signals" },
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(gaps) && !err; i++)
		if (!gaps[i].since || w->plan->abi < gaps[i].since)
			err = plan_note(w, 0, gaps[i].wider, "%s", gaps[i].what);
	if (!err && w->c->strict_rule)
		err = plan_note(w, w->c->strict_rule, true, "Landlock does not see what a program "
			       "is loaded with or from");
	if (!err && (w->c->head.privileges & EG_PRIV_MOUNTS))
		err = plan_note(w, 0, false, "privileges: mounts: under Landlock nothing is "
			       "mounted");
	return err;
}

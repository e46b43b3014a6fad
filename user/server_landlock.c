/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hosts without BPF LSM: what becomes of a run's path rules. The ruleset is made here, with
 * egressd's rights, because the names in a directory that is narrowed may not be the user's to
 * know; the launcher's child gets it as a descriptor and can do nothing with it but restrict
 * itself. What is told names rules of the policy and directories on the way to them.
 */
#include <errno.h>
#include <string.h>

#include "bpf_load.h"
#include "compile.h"
#include "config.h"
#include "landlock.h"
#include "server_int.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

int hold_choose(const struct conn *c, const char *without, struct run_policy *rp, struct diag *d)
{
	enum without_lsm mode = c->s->config->without_lsm;
	int abi;

	if (without && without_lsm_parse(without, &mode))
		return diag_set(d, -EINVAL, "without_lsm: got '%s', expected " WITHOUT_LSM_WORDS,
				without);
	if (!agent_egress_only(c->s->a) || rp->egress_only)
		return 0;
	rp->egress_only = mode == WITHOUT_LSM_EGRESS;
	rp->landlock = mode == WITHOUT_LSM_LANDLOCK;
	abi = rp->landlock ? landlock_abi() : 0;
	if (abi >= 0)
		return 0;
	return diag_set(d, -ENOTSUP, "this kernel has neither BPF LSM nor Landlock (%s), so rules "
			"for paths cannot be enforced: add both to the list of lsm= on the kernel "
			"command line, or give --without-lsm egress", strerror(-abi));
}

static json_t *note_json(const struct landlock_note *n, const struct compiled *c)
{
	const struct rule_ref *r = n->rule ? &c->rules[n->rule - 1] : NULL;
	json_t *j = json_pack("{s:b, s:s}", "wider", n->wider, "why", n->why);

	if (j && r)
		(void)json_object_update_new(j, json_pack("{s:s, s:i, s:s}", "file", r->file,
							  "line", (int)r->line, "rule", r->text));
	return j;
}

static json_t *unheld_json(const struct landlock_plan *p, const struct compiled *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nnotes; i++)
		(void)json_array_append_new(list, note_json(&p->notes[i], c));
	return list;
}

/* The answer that a policy is not held whole, and what of it is not. */
static void refuse(struct conn *c, const struct compiled *compiled, const struct landlock_plan *p)
{
	const struct rule_ref *r = &compiled->rules[compiled->require_rule - 1];
	struct diag d = {};
	char text[2048];

	(void)diag_at(&d, -EPERM, r->file, r->line, r->col, "\"%s\": without BPF LSM not all of it "
		      "is held: boot with it, or leave that key out", r->text);
	conn_reply(c, json_pack("{s:s, s:i, s:o}", "error", diag_text(&d, text, sizeof(text)),
				"exit", 125, "unheld", unheld_json(p, compiled)));
}

int hold_plan(struct conn *c, const struct compiled *compiled, struct hold *h, struct diag *d)
{
	int abi = compiled->landlock ? landlock_abi() : 0, err;

	if (!compiled->landlock)
		return 0;
	if (abi < 0)
		return diag_set(d, abi, "Landlock: %s", strerror(-abi));
	if (compiled->head.flags & EG_P_AUDIT)
		return diag_set(d, -ENOTSUP, "audit: Landlock refuses, and has no way to report "
				"instead: give --without-lsm egress, or boot with BPF LSM");
	err = landlock_plan(compiled, (unsigned int)abi, &landlock_real_tree, &h->plan, d);
	if (err || !compiled->require_rule || !h->plan->nnotes)
		return err;
	refuse(c, compiled, h->plan);
	return -EPERM;
}

int hold_make(struct hold *h, const char *denials, struct diag *d)
{
	int err = h->plan && denials ? landlock_plan_add(h->plan, denials, EG_R, d) : 0;

	if (err || !h->plan)
		return err;
	h->ruleset = landlock_ruleset(h->plan, d);
	return MIN(h->ruleset, 0);
}

json_t *hold_describe(const struct hold *h, const struct compiled *compiled)
{
	return h->plan ? json_pack("{s:i, s:o}", "abi", (int)h->plan->abi, "unheld",
				   unheld_json(h->plan, compiled)) :
			 NULL;
}

void hold_clear(struct hold *h)
{
	landlock_plan_free(h->plan);
	if (h->ruleset >= 0)
		close(h->ruleset);
	*h = (struct hold){ .ruleset = -1 };
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl doctor`: what this host lacks, and what to do about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "commands.h"
#include "doctor.h"
#include "options.h"
#include "print.h"
#include "util.h"

static const char *const levels[] = {
	[FINDING_OK] = "ok",
	[FINDING_WARNING] = "warning",
	[FINDING_MISSING] = "missing",
};

static const char *const states[] = {
	[HOOK_ABSENT] = "absent",
	[HOOK_PROVED] = "proved",
	[HOOK_SILENT] = "silent",
	[HOOK_UNTRIED] = "untried",
};

static const char *enforcement(const struct findings *found)
{
	switch (found->lost) {
	case 0:
		return "full";
	case LOST_PATHS:
		return "egress";
	case LOST_EGRESS:
		return "paths";
	default:
		return "none";
	}
}

static void print_text(const struct findings *found)
{
	static const char *const last[] = {
		[0] = "Full enforcement is available.",
		[LOST_PATHS] = "Only network rules are fully enforced here, see what is missing.",
		[LOST_EGRESS] = "Only path rules are fully enforced here, see what is missing.",
		[LOST_PATHS | LOST_EGRESS] = "Nothing can be enforced here, see what is missing.",
	};

	for (size_t i = 0; i < found->n; i++) {
		const struct finding *f = &found->v[i];

		printf("%-8s %-16s ", levels[f->level], f->check);
		print_safe(stdout, f->text);
		putchar('\n');
		if (!*f->remedy)
			continue;
		printf("%26s-> ", "");
		print_safe(stdout, f->remedy);
		putchar('\n');
	}
	printf("\n%s\n", last[found->lost]);
}

static int json_findings(const struct doctor_facts *f, const struct findings *found)
{
	json_t *list = json_array(), *hooks = json_array(), *all;
	int err;

	for (size_t i = 0; i < found->n; i++)
		(void)json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s?}", "check", found->v[i].check, "level",
				  levels[found->v[i].level], "text", found->v[i].text, "remedy",
				  *found->v[i].remedy ? found->v[i].remedy : NULL));
	for (size_t i = 0; i < f->nhooks; i++) {
		const struct doctor_hook *h = &f->hooks[i];

		(void)json_array_append_new(
			hooks,
			json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "program", h->program, "layer",
				  h->lsm ? "lsm" : "cgroup", "access", h->access, "state",
				  states[h->state], "outside", h->outside, "inside", h->inside));
	}
	all = json_pack("{s:s, s:i, s:o, s:o}", "enforcement", enforcement(found), "status",
			doctor_status(found), "findings", list, "hooks", hooks);
	err = print_json(stdout, all, JSON_INDENT(2));
	json_decref(all);
	return err;
}

static const struct option_row rows[] = {
	{ "--json", NULL, "findings, and each hook with what was tried and what came of it",
	  .kind = OPTION_FLAG },
	{}
};

static const struct command_line line = {
	.name = "egressctl doctor",
	.args = "[--json]",
	.about = "What this host lacks for enforcement, and what to do about it. Every hook is\n"
		 "tried with an access that must be refused: by egressd if it is running, else,\n"
		 "as root, by an agent that is loaded for the moment.\n",
	.options = rows,
	.end = "Exit status: 0 full enforcement is available; 1 only a part of it; 125 none.\n",
};

int cmd_doctor(int argc, char **argv)
{
	struct doctor_facts *f;
	struct findings *found;
	bool json = false;
	int status;

	if (options_done(&line, &json, &argc, &argv, &status))
		return status;
	status = 125;
	f = calloc(1, sizeof(*f));
	found = calloc(1, sizeof(*found));
	if (!f || !found) {
		fprintf(stderr, "egressctl: out of memory\n");
	} else {
		doctor_collect(f);
		doctor_judge(f, found);
		status = doctor_status(found);
		if (!json)
			print_text(found);
		else if (json_findings(f, found))
			status = 125;
	}
	free(f);
	free(found);
	return status;
}

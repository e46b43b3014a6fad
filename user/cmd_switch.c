/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl switch`: another policy for a live sandbox. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "diag.h"
#include "options.h"
#include "policy_send.h"
#include "print.h"
#include "ref.h"

struct options {
	bool drop, json;
};

static const struct option_row rows[] = {
	{ "--drop-grants", NULL, "what was granted ends; denials go on in any case",
	  .kind = OPTION_FLAG, .at = offsetof(struct options, drop) },
	{ "--json", NULL, "print the answer as JSON", .kind = OPTION_FLAG,
	  .at = offsetof(struct options, json) },
	{}
};

static const struct command_line line = {
	.name = "egressctl switch",
	.args = "[OPTION]... SANDBOX POLICY",
	.about = "Another policy for a live sandbox. Paths and destinations change at once;\n"
		 "environment and limits stay as they began.\n",
	.options = rows,
	.min = 2,
	.max = 2,
};

static json_t *make_request(const char *sandbox, const char *policy, bool drop, struct diag *d)
{
	json_t *r = json_pack("{s:s, s:o, s:[s], s:[], s:b}", "op", "switch", "sandbox",
			      ref_sandbox(sandbox), "policies", policy, "texts", "drop", drop);

	if (!r) {
		(void)diag_set(d, -EINVAL, "arguments must be UTF-8");
	} else if (policy_send_add(json_object_get(r, "texts"), policy, NULL, d)) {
		json_decref(r);
		r = NULL;
	}
	return r;
}

int cmd_switch(int argc, char **argv)
{
	json_t *request, *answer = NULL;
	struct options o = {};
	struct diag d = {};
	int status;

	if (options_done(&line, &o, &argc, &argv, &status))
		return status;
	request = make_request(argv[0], argv[1], o.drop, &d);
	if (!request) {
		diag_print(stderr, "egressctl", &d);
		return 2;
	}
	status = client_call_policies(request, &answer);
	json_decref(request);
	if (!status && o.json) {
		(void)print_json(stdout, answer, JSON_INDENT(2));
	} else if (!status) {
		char safe[256];

		diag_escape(safe, sizeof(safe), argv[1], strlen(argv[1]));
		printf("sandbox %lld: under %s now, %lld connections ended\n",
		       client_number(answer, "sandbox"), safe,
		       client_number(answer, "connections"));
	}
	json_decref(answer);
	return status;
}

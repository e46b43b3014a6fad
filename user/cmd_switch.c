/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `egressctl switch`: another policy for a live sandbox. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "diag.h"
#include "policy_send.h"
#include "print.h"
#include "ref.h"

static const char usage[] =
	"usage: egressctl switch SANDBOX POLICY [--drop-grants] [--json]\n"
	"      --drop-grants  what was granted ends; denials go on in any case\n"
	"      --json         print the answer as JSON\n"
	"Paths and destinations change at once; environment and limits stay as they began.\n";

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
	static const struct option longopts[] = {
		{ "drop-grants", no_argument, NULL, 'd' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, {},
	};
	bool drop = false, json = false;
	json_t *request, *answer = NULL;
	struct diag d = {};
	int c, status;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (c == 'd')
			drop = true;
		else if (c == 'j')
			json = true;
		else
			break;
	}
	if (c != -1 || argc - optind != 2) {
		fputs(usage, c == 'h' ? stdout : stderr);
		return c == 'h' ? 0 : 2;
	}
	request = make_request(argv[optind], argv[optind + 1], drop, &d);
	if (!request) {
		diag_print(stderr, "egressctl", &d);
		return 2;
	}
	status = client_call_policies(request, &answer);
	json_decref(request);
	if (!status && json) {
		(void)print_json(stdout, answer, JSON_INDENT(2));
	} else if (!status) {
		char safe[256];

		diag_escape(safe, sizeof(safe), argv[optind + 1], strlen(argv[optind + 1]));
		printf("sandbox %lld: under %s now, %lld connections ended\n",
		       client_number(answer, "sandbox"), safe,
		       client_number(answer, "connections"));
	}
	json_decref(answer);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One ring buffer record of any bytes. What decodes must come out as an object
 * that readers of JSON accept, as a line without a byte that a terminal acts on,
 * and must survive the way back. What does not decode as a record is also tried
 * as the JSON, which clients get from a socket.
 */
#include <jansson.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/egressctl.h"
#include "compile.h"
#include "event_text.h"
#include "eventlog.h"
#include "selftests/fuzz/memory.h"

static const char policy_text[] = "version: 1\n"
				  "egress:\n"
				  "  allow: [\"192.0.2.0/24:443\", \"*.example.com\", "
				  "in.test:8443]\n  deny: [198.51.100.0/24, .evil.test]\n"
				  "files: {/usr: rx, /work: rwxc, \"**/.env\": none}\n";
static struct compiled *compiled;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct policy_source src = { (char *)"f", (char *)"f.yaml", (char *)policy_text,
				     sizeof(policy_text) - 1 };
	struct policy_texts texts = { &src, 1 };
	struct policy_reader rd = policy_reader_texts(&texts);
	struct policy_vars vars = { 0 };
	struct policy *p;

	(void)argc;
	(void)argv;
	must(!policy_load("f", &rd, &p, NULL) && !policy_compile(p, &vars, &compiled, NULL));
	policy_free(p);
	return 0;
}

static void check_printable(const struct text *t)
{
	for (size_t i = 0; i < t->len; i++)
		must((uint8_t)t->p[i] >= 0x20 && t->p[i] != 0x7f);
}

static void check_back(const struct event *ev, const struct text *json)
{
	struct text here = { 0 }, there = { 0 };
	struct event_parsed parsed;

	if (event_from_json(json->p, json->len, &parsed)) {
		must(no_memory());
		return;
	}
	if (event_to_line(ev, &here) || event_to_line(&parsed.ev, &there)) {
		must(no_memory());
		goto end;
	}
	check_printable(&here);
	must(json_string_length(json_object_get(parsed.json, "comm")) <= 3 * ev->comm.len);
	must(here.len == there.len && memcmp(here.p, there.p, here.len) == 0);
	must(event_object(ev) == EVENT_OBJECT_SOCKET || parsed.ev.path.len == ev->path.len);
	must(!parsed.ev.path.len || memcmp(parsed.ev.path.p, ev->path.p, ev->path.len) == 0);
	must(!ev->name.len || (parsed.ev.name.len == ev->name.len &&
			       !memcmp(parsed.ev.name.p, ev->name.p, ev->name.len)));
end:
	event_parsed_free(&parsed);
	text_free(&here);
	text_free(&there);
}

static void check_remedy(struct event *ev)
{
	struct text t = { 0 };

	must(!event_allow_command(ev, &t) || no_memory());
	check_printable(&t);
	must(!event_allow_rule(ev, &t) || no_memory());
	check_printable(&t);
	text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eventlog_filter all = { .owner = -1 };
	struct event_parsed parsed;
	struct text json = { 0 };
	struct event ev;

	if (event_decode(&ev, data, size)) {
		if (!event_from_json((const char *)data, size, &parsed))
			event_parsed_free(&parsed);
		(void)eventlog_match(&all, (const char *)data, size);
		return 0;
	}
	ev.time_ns = ev.boot_ns;
	/* as a consumer that knows names would */
	if (event_object(&ev) == EVENT_OBJECT_ADDRESS && ev.serial % 4 < 2)
		ev.name = ev.exe;
	event_explain(&ev, ev.serial % 2 ? compiled : NULL);
	if (event_to_json(&ev, &json)) {
		must(no_memory());
	} else {
		check_printable(&json);
		must(eventlog_match(&all, json.p, json.len));
		check_back(&ev, &json);
	}
	check_remedy(&ev);
	text_free(&json);
	return 0;
}

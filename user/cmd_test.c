/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* egressctl test: what would the policy say to this access, and which rule? */
#include <jansson.h>
#include <limits.h>
#include <netinet/in.h>

#include "cmd_policy.h"
#include "commands.h"
#include "policy_int.h"
#include "print.h"
#include "ref.h"
#include "verdict.h"

static const struct command_line line = {
	.name = "egressctl test",
	.args = "[--json] [-C DIR] FILE connect HOST:PORT[/PROTO]\n"
		"[--json] [-C DIR] FILE open PATH PERM\n"
		"[--json] [-C DIR] FILE unix NAME",
	.about = "Ask a policy about one access. The answer comes from the tables that the\n"
		 "kernel uses, with the rule that decides. HOST is an address ([IPv6] in\n"
		 "brackets) or a name, PROTO tcp (default), udp, sctp or icmp, PERM letters of\n"
		 "rwxc, NAME the path of a socket or @ and an abstract name. PATH is taken as it\n"
		 "is: the kernel sees what a path resolves to, so give it without symbolic\n"
		 "links.\n",
	.options = cmd_policy_rows,
	.end = "Exit status: 0 allowed, 1 denied, 2 a policy is wrong or the usage is.\n",
	.min = 3,
	.max = 4,
};

struct answer {
	bool allowed;
	uint32_t rule; /* index + 1; 0: no rule */
	char what[64]; /* in place of a rule, or beside it */
	const char *note; /* on stderr; NULL: none */
	char text[256]; /* where a note can be put together */
	bool by_name; /* allowed by name: */
	uint8_t flags; /* EG_CL_* */
};

static int bad_usage(const char *why, const char *what)
{
	char quoted[256];

	diag_escape(quoted, sizeof(quoted), what, strlen(what));
	(void)fprintf(stderr, "egressctl test: %s \"%s\"\n", why, quoted);
	return 2;
}

/* What "localhost" means, and the unspecified address, which connect() takes for it. */
static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t zero[15];

	if (policy_addr_is_v4(addr, 128))
		return addr[12] == 127 || !memcmp(addr + 12, zero, 4);
	return !memcmp(addr, zero, 15) && addr[15] <= 1;
}

static int test_address(const struct compiled *c, const struct policy_dest *dest,
			struct answer *a)
{
	uint8_t proto = dest->ports[0].proto, verdict;

	if (proto == IPPROTO_ICMP && !policy_addr_is_v4(dest->addr, dest->plen))
		proto = IPPROTO_ICMPV6;
	(void)verdict_egress(c, dest->addr, dest->ports[0].lo, proto, &verdict, &a->rule);
	a->allowed = verdict == EG_V_ALLOW;
	if (!verdict && (c->head.flags & EG_P_LOOPBACK_OWN) && is_loopback(dest->addr))
		a->note = "a listener of the same sandbox may be reached (loopback: own)";
	return 0;
}

/* What holds beside the verdict, when that is not what one would expect. */
static const char *name_note(const struct answer *a)
{
	if (a->flags & EG_CL_PROXY)
		return "the names that it is asked for are judged by the same rules";
	if (a->flags & EG_CL_TLS_OFF)
		return "tls: off: the server's name is not checked, any server at its addresses "
		       "will do";
	if (a->flags & EG_CL_TLS_MAYBE)
		return "the server's name is checked if the connection begins with TLS or HTTP";
	if (a->flags & EG_CL_PRIVATE)
		return "it may be at a private address";
	return NULL;
}

/* "the name is allowed at 443/tcp, 8000-8999/tcp" */
static const char *elsewhere(const struct compiled *c, uint32_t classes, struct answer *a)
{
	const char *before = "the name is allowed at ";
	char range[32];
	size_t n = 0;

	if (!classes)
		return NULL;
	for (uint32_t i = 0; i < c->head.nclasses && n < sizeof(a->text); i++) {
		const struct eg_class *s = &c->head.classes[i];

		if (!(classes >> i & 1))
			continue;
		if (s->lo == s->hi)
			(void)snprintf(range, sizeof(range), "%u", s->lo);
		else
			(void)snprintf(range, sizeof(range), "%u-%u", s->lo, s->hi);
		n += (size_t)snprintf(a->text + n, sizeof(a->text) - n, "%s%s/%s", before, range,
				      policy_proto_text(s->proto));
		before = ", ";
	}
	return a->text;
}

static void test_name(const struct compiled *c, const struct policy_dest *dest, struct answer *a)
{
	uint32_t classes = verdict_name_classes(c, dest->name);
	uint8_t proto = dest->ports[0].proto, verdict;
	uint16_t port = dest->ports[0].lo;

	(void)verdict_name(c, dest->name, port, proto, &verdict, &a->rule);
	a->allowed = a->by_name = verdict == EG_V_ALLOW;
	if (a->allowed) {
		(void)verdict_class_flags(c, classes, port, proto, &a->flags);
		a->note = name_note(a);
	} else {
		a->note = elsewhere(c, classes, a);
	}
}

static int test_connect(const struct compiled *c, int argc, char **argv, struct answer *a)
{
	struct policy_dest dest;
	struct diag d = {};

	if (argc != 1)
		return bad_usage("expected HOST:PORT after", "connect");
	if (policy_dest_parse(argv[0], false, &dest, &d, NULL)) {
		diag_print(stderr, "egressctl test", &d);
		return 2;
	}
	/* one access has one destination and one port */
	if (dest.below || dest.nports != 1 || dest.ports[0].lo != dest.ports[0].hi ||
	    (!dest.name && dest.plen != 128)) {
		if (dest.name || dest.plen != 128 || dest.ports[0].proto != IPPROTO_ICMP) {
			policy_dest_clear(&dest);
			return bad_usage("expected one host and one port, got", argv[0]);
		}
	}
	(void)snprintf(a->what, sizeof(a->what), "default none");
	if (dest.name) {
		test_name(c, &dest, a);
	} else {
		(void)test_address(c, &dest, a);
	}
	policy_dest_clear(&dest);
	return 0;
}

static int test_open(const struct compiled *c, int argc, char **argv, struct answer *a)
{
	char path[PATH_MAX], have[5];
	uint8_t want, perm;
	size_t n;

	if (argc != 2)
		return bad_usage("expected PATH PERM after", "open");
	if (policy_perm_parse(argv[1], &want) || !want)
		return bad_usage("expected letters of rwxc, each once, got", argv[1]);
	n = strlen(argv[0]);
	while (n > 1 && argv[0][n - 1] == '/')
		n--;
	if (*argv[0] != '/' || n >= sizeof(path) || strstr(argv[0], "//") ||
	    strstr(argv[0], "/./") || strstr(argv[0], "/../"))
		return bad_usage("expected an absolute path without . and .., got", argv[0]);
	if (verdict_path(c, argv[0], n, &perm, &a->rule))
		return bad_usage("not a path:", argv[0]);
	a->allowed = (perm & want) == want;
	(void)snprintf(a->what, sizeof(a->what), "default %s", policy_perm_text(perm, have));
	return 0;
}

static int test_unix(const struct compiled *c, int argc, char **argv, struct answer *a)
{
	uint8_t perm;

	if (argc != 1)
		return bad_usage("expected NAME after", "unix");
	if (verdict_unix(c, argv[0], strlen(argv[0]), &perm, &a->rule))
		return bad_usage("expected /PATH or @NAME, got", argv[0]);
	a->allowed = perm & EG_W;
	(void)snprintf(a->what, sizeof(a->what), "default none");
	if (!a->allowed)
		a->note = "a socket of the same sandbox may be reached all the same";
	return 0;
}

static void print_answer(const struct compiled *c, const struct answer *a)
{
	char rule[4096];

	if (a->rule) {
		(void)printf("%s by ", a->allowed ? "allowed" : "denied");
		print_safe(stdout, verdict_rule_text(c, a->rule, rule, sizeof(rule)));
		(void)putchar('\n');
	} else {
		(void)printf("%s: no rule (%s)\n", a->allowed ? "allowed" : "denied", a->what);
	}
	if (a->note)
		(void)fprintf(stderr, "egressctl test: note: %s\n", a->note);
}

static void json_answer(const struct compiled *c, const struct answer *a)
{
	const struct rule_ref *r = a->rule ? &c->rules[a->rule - 1] : NULL;
	json_t *j = json_pack("{s:b, s:s?, s:i, s:s?, s:s?}", "allowed", a->allowed, "file",
			      r ? r->file : NULL, "line", r ? (int)r->line : 0, "rule",
			      r ? r->text : NULL, "note", a->note);

	if (a->by_name) {
		(void)json_object_set_new(j, "tls",
					  json_string(a->flags & EG_CL_TLS_OFF	 ? "off" :
						      a->flags & EG_CL_TLS_MAYBE ? "if-any" :
										   "check"));
		(void)json_object_set_new(j, "private", json_boolean(a->flags & EG_CL_PRIVATE));
		(void)json_object_set_new(j, "proxy", json_boolean(a->flags & EG_CL_PROXY));
	}
	(void)print_json(stdout, j, JSON_COMPACT);
	json_decref(j);
}

static const struct {
	const char *name;
	int (*ask)(const struct compiled *c, int argc, char **argv, struct answer *a);
} questions[] = {
	{ "connect", test_connect },
	{ "open", test_open },
	{ "unix", test_unix },
};

static int bad_question(const char *word)
{
	struct nearest near = { .text = word };

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		nearest_try(&near, questions[i].name);
	return options_bad(&line, "'%s' is no question%s: expected connect, open or unix", word,
			   nearest_words(&near));
}

static int ask(const char *workdir, bool json, int argc, char **argv)
{
	struct compiled *c = NULL;
	struct policy *p = NULL;
	struct answer a = {};
	struct diag d = {};
	int status;
	size_t q;

	for (q = 0; q < ARRAY_SIZE(questions) && !str_eq(questions[q].name, argv[1]); q++)
		;
	if (q == ARRAY_SIZE(questions))
		return bad_question(argv[1]);
	if (cmd_policy_load(argv[0], workdir, &p, &c, &d)) {
		diag_print(stderr, "egressctl test", &d);
		return 2;
	}
	status = questions[q].ask(c, argc - 2, argv + 2, &a);
	if (!status) {
		if (json)
			json_answer(c, &a);
		else
			print_answer(c, &a);
		status = a.allowed ? 0 : 1;
	}
	compiled_free(c);
	policy_free(p);
	return status;
}

int cmd_test(int argc, char **argv)
{
	struct cmd_policy_options o = {};
	int status;

	if (options_done(&line, &o, &argc, &argv, &status))
		return status;
	return ask(o.workdir, o.json, argc, argv);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A policy bound and compiled to the tables the kernel uses. No I/O but the
 * readlink callback of struct policy_vars; nothing here touches maps.
 */
#ifndef EGRESSCTL_COMPILE_H
#define EGRESSCTL_COMPILE_H

#include <linux/types.h>
#include <stdint.h>

#include "../bpf/egressctl.h"
#include "diag.h"
#include "policy.h"
#include "policy_vars.h"

enum rule_kind {
	RULE_FILE,
	RULE_FILE_DEFAULT,
	RULE_ALLOW,
	RULE_DENY,
	RULE_LOOPBACK,
	RULE_UNIX,
	RULE_KEY, /* a key of the policy that is no list of rules */
	RULE_BUILTIN, /* not in a file: file is "builtin", line 0 */
};

/* one rule for people: "FILE:LINE: TEXT" */
struct rule_ref {
	char *file;
	uint32_t line, col;
	char *text;
	uint8_t kind; /* enum rule_kind */
};

struct compiled_prefix {
	uint8_t addr[16]; /* network byte order, host bits zero */
	uint8_t plen; /* 0 … 128 */
	uint32_t first, count; /* into ports[] */
};

/* a literal rule with less permission than its surroundings, as written or as it resolves */
struct compiled_anchor {
	char *path; /* absolute, no pattern characters left to interpret */
	uint32_t state; /* of the automaton at that path, relative to slots[] */
	uint8_t perm; /* at that path */
	uint32_t rule; /* index in rules[] + 1 */
};

/*
 * One spelling of a path rule: for who holds it without the kernel's programs (landlock.h),
 * and for a policy with the same ones (policy.paths_of).
 */
struct compiled_path {
	char *pattern; /* as of automaton.h; "/proc/self" is every own process */
	uint32_t rule; /* index in rules[] + 1 */
	uint8_t perm;
	uint8_t space; /* AUTOMATON_PATHS or AUTOMATON_UNIX */
};

/*
 * A rule about names. What decides is the automaton, from head.start_domain[]:
 * these are for naming the rule behind an answer.
 */
struct compiled_name {
	char *name; /* lower case, A-labels, no final dot; "": every name */
	bool below, self, deny; /* covers names below it, itself */
	struct eg_class *services; /* deny: protocol 0 is every one; flags 0 */
	uint32_t nservices;
	uint32_t rule; /* index in rules[] + 1 */
};

/* for the launcher */
struct policy_runtime {
	char *policy; /* name as asked for */
	char *file; /* the first one of it, as messages call it */
	char *description; /* NULL: none */
	bool audit;
	bool freeze; /* on-failure: freeze */
	char **env_keep; /* NULL-terminated name patterns */
	char **env_set; /* NULL-terminated NAME=value */
	char **env_only; /* NULL: not given; else nothing else is kept */
	uint64_t memory; /* bytes; 0: no limit */
	uint64_t pids;
	uint64_t cpu; /* per cent of one processor */
	uint64_t time_ms;
};

struct automaton;
struct automaton_rule;

/* one version, relocatable: slots and ports start at 0 */
struct compiled {
	struct eg_policy head; /* serial 0; start_* and names are states relative to slots[] */
	struct automaton *automaton; /* automaton_relocate() moves it into the kernel's array */
	const struct eg_dfa_slot *slots; /* automaton_image(); owned by `automaton` */
	uint32_t nslots;
	struct compiled_prefix *prefixes; /* sorted by address, then length */
	uint32_t nprefixes;
	struct eg_port *ports;
	uint32_t nports;
	struct compiled_anchor *anchors;
	uint32_t nanchors;
	bool unbound; /* anchors are left out: what names say is all */
	struct compiled_path *paths;
	uint32_t npaths;
	uint32_t npath_rules; /* the first ones of rules[] */
	bool landlock; /* as of struct policy: head.flags says that nobody need ask the kernel */
	struct automaton_rule *domain; /* what `automaton` was made of beside paths[] */
	size_t ndomain;
	char *domain_text; /* of their patterns */
	uint8_t domain_default[EG_DOMAIN_GROUPS];
	struct compiled_name *names; /* in compiled_name_order() */
	uint32_t nnames;
	struct rule_ref *rules; /* those for paths and unix sockets first */
	uint32_t nrules;
	/* index in rules[] + 1 of "require: full" and, with policy.landlock, "exec: strict" */
	uint32_t require_rule, strict_rule;
	struct policy_runtime run;
	uid_t payer; /* whose share of the tables it uses: publish.h; 0: root, who has none */
	/* written in the paths of another mount namespace; `root` as in struct rooted, its own */
	bool rooted;
	int root;
	char **notices; /* "FILE:LINE: …", for the user, not errors */
	uint32_t nnotices;
};

/*
 * 0 and *out (compiled_free()), or a negative errno with a message in d that
 * names the rule which did not fit; *out is untouched then. p and v may be
 * freed afterwards.
 */
int policy_compile(const struct policy *p, const struct policy_vars *v, struct compiled **out,
		   struct diag *d);
void compiled_free(struct compiled *c);

/* Whether a rule that names just this port lets pass what is neither TLS nor HTTP. */
bool compiled_port_may_be_plain(uint16_t port);

/* < 0, 0, > 0: names by their last label, then the one before it; not NUL-terminated. */
int compiled_name_order(const char *a, size_t alen, const char *b, size_t blen);

#endif

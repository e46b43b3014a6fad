/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <netinet/in.h>

#include "automaton.h"
#include "policy_int.h"
#include "verdict.h"

/* /proc/NUMBER is asked of the automaton as the kernel does: as an own task's. */
static const char *as_own_proc(const char *path, size_t *len, char *buf, size_t buflen)
{
	size_t n = 0;
	int w;

	if (*len < 7 || strncmp(path, "/proc/", 6))
		return path;
	while (6 + n < *len && isdigit((unsigned char)path[6 + n]))
		n++;
	if (!n && *len >= 17 && !strncmp(path + 6, "thread-self", 11))
		n = 11;
	if (!n || (6 + n < *len && path[6 + n] != '/'))
		return path;
	w = snprintf(buf, buflen, "/proc/self%.*s", (int)(*len - 6 - n), path + 6 + n);
	if (w < 0 || (size_t)w >= buflen)
		return path;
	*len = (size_t)w;
	return buf;
}

static int ask(const struct compiled *c, enum automaton_space space, const char *name, size_t len,
	       uint8_t *perm, uint32_t *rule)
{
	uint32_t id = 0;

	*perm = automaton_perm(c->automaton, space, name, len);
	if (!automaton_rule_for(c->automaton, space, name, len, &id, perm))
		id = 0;
	*rule = id;
	return 0;
}

int verdict_path(const struct compiled *c, const char *path, size_t len, uint8_t *perm,
		 uint32_t *rule)
{
	char buf[EG_PATH_MAX];

	if (!len || *path != '/' || len >= EG_PATH_MAX)
		return -EINVAL;
	path = as_own_proc(path, &len, buf, sizeof(buf));
	return ask(c, AUTOMATON_PATHS, path, len, perm, rule);
}

int verdict_unix(const struct compiled *c, const char *name, size_t len, uint8_t *perm,
		 uint32_t *rule)
{
	if (!len || (*name != '/' && *name != '@') || len >= EG_PATH_MAX)
		return -EINVAL;
	return ask(c, AUTOMATON_UNIX, name, len, perm, rule);
}

static bool in_prefix(const struct compiled_prefix *p, const uint8_t addr[16])
{
	uint8_t masked[16];

	memcpy(masked, addr, sizeof(masked));
	policy_addr_mask(masked, p->plen);
	return !memcmp(masked, p->addr, sizeof(masked));
}

int verdict_egress(const struct compiled *c, const uint8_t addr[16], uint16_t port, uint8_t proto,
		   uint8_t *verdict, uint32_t *rule)
{
	const struct compiled_prefix *best = NULL;

	*verdict = 0;
	*rule = 0;
	for (uint32_t i = 0; i < c->nprefixes; i++)
		if (in_prefix(&c->prefixes[i], addr) &&
		    (!best || c->prefixes[i].plen > best->plen))
			best = &c->prefixes[i];
	for (uint32_t i = 0; best && i < best->count; i++) {
		const struct eg_port *p = &c->ports[best->first + i];

		if (p->proto == proto && p->lo <= port && port <= p->hi) {
			*verdict = p->verdict;
			*rule = p->rule;
		}
	}
	return 0;
}

static bool name_in_rule(const struct compiled_name *n, const char *name, size_t len)
{
	size_t m = strlen(n->name);

	if (len == m)
		return n->self && !strncasecmp(name, n->name, m);
	return n->below && len > m + 1 && name[len - m - 1] == '.' &&
	       !strncasecmp(name + len - m, n->name, m);
}

static bool port_in_rule(const struct compiled_name *n, uint16_t port, uint8_t proto)
{
	for (uint32_t i = 0; i < n->nports; i++)
		if ((!n->ports[i].proto || n->ports[i].proto == proto) && n->ports[i].lo <= port &&
		    port <= n->ports[i].hi)
			return true;
	return false;
}

int verdict_name(const struct compiled *c, const char *name, uint16_t port, uint8_t proto,
		 uint8_t *verdict, uint32_t *rule)
{
	size_t len = strlen(name);

	*verdict = 0;
	*rule = 0;
	if (len && name[len - 1] == '.')
		len--;
	if (!len)
		return -EINVAL;
	for (uint32_t i = 0; i < c->nnames; i++) {
		const struct compiled_name *n = &c->names[i];
		uint8_t v = n->deny ? EG_V_DENY : EG_V_ALLOW;

		if (!name_in_rule(n, name, len) || !port_in_rule(n, port, proto))
			continue;
		if (!*verdict || v < *verdict) {
			*verdict = v;
			*rule = n->rule;
		}
	}
	return 0;
}

const char *verdict_rule_text(const struct compiled *c, uint32_t rule, char *buf, size_t len)
{
	static const char *const kinds[] = {
		[RULE_FILE] = "",	  [RULE_FILE_DEFAULT] = "", [RULE_ALLOW] = "allow ",
		[RULE_DENY] = "deny ",	  [RULE_LOOPBACK] = "loopback ",
		[RULE_UNIX] = "unix ",	  [RULE_BUILTIN] = "",
	};
	const struct rule_ref *r;

	if (!rule || rule > c->nrules) {
		(void)snprintf(buf, len, "no rule (default)");
		return buf;
	}
	r = &c->rules[rule - 1];
	if (r->line)
		(void)snprintf(buf, len, "%s:%u: %s%s", r->file, r->line, kinds[r->kind], r->text);
	else
		(void)snprintf(buf, len, "%s: %s%s", r->file, kinds[r->kind], r->text);
	return buf;
}

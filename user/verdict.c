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

/* ---- names ------------------------------------------------------------------------ */

/* As the automaton and the rules have it; false: no name that could be allowed. */
static bool canonical(const char *name, char buf[EG_MAX_SERVER_NAME + 1], size_t *len)
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '.')
		n--;
	if (!n || n > EG_MAX_SERVER_NAME)
		return false;
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)tolower((unsigned char)name[i]);
	buf[n] = '\0';
	*len = n;
	return true;
}

static uint32_t classes_of(const struct compiled *c, const char *name, size_t len)
{
	const struct automaton *a = c->automaton;
	uint32_t mask = 0;

	for (uint32_t g = 0; 4 * g < c->head.nclasses; g++)
		mask |= (uint32_t)automaton_perm(a, AUTOMATON_DOMAIN + g, name, len) << (4 * g);
	return mask;
}

uint32_t verdict_name_classes(const struct compiled *c, const char *name)
{
	char buf[EG_MAX_SERVER_NAME + 1];
	size_t len;

	return canonical(name, buf, &len) ? classes_of(c, buf, len) : 0;
}

static bool covers(const struct eg_class *s, uint16_t port, uint8_t proto)
{
	return (!s->proto || s->proto == proto) && s->lo <= port && port <= s->hi;
}

bool verdict_class_flags(const struct compiled *c, uint32_t classes, uint16_t port, uint8_t proto,
			 uint8_t *flags)
{
	bool any = false;

	*flags = 0;
	for (uint32_t i = 0; i < c->head.nclasses; i++) {
		if (!(classes >> i & 1) || !covers(&c->head.classes[i], port, proto))
			continue;
		*flags |= c->head.classes[i].flags;
		any = true;
	}
	return any;
}

uint32_t verdict_private_classes(const struct compiled *c)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < c->head.nclasses; i++)
		if (c->head.classes[i].flags & EG_CL_PRIVATE)
			mask |= 1u << i;
	return mask;
}

/* The first in c->names that is not before `name`. */
static uint32_t first_of(const struct compiled *c, const char *name, size_t len)
{
	uint32_t lo = 0, hi = c->nnames;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *s = c->names[mid].name;

		if (compiled_name_order(s, strlen(s), name, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Of the rules that say so about the name, the one that says it about the fewest names. */
static uint32_t name_rule(const struct compiled *c, const char *name, size_t len, bool deny,
			  uint16_t port, uint8_t proto)
{
	const char *part = name, *dot;
	bool itself = true;

	for (;; part = dot ? dot + 1 : name + len, itself = false) {
		size_t n = len - (size_t)(part - name);

		for (uint32_t i = first_of(c, part, n); i < c->nnames; i++) {
			const struct compiled_name *r = &c->names[i];

			if (strlen(r->name) != n || memcmp(r->name, part, n))
				break;
			if (r->deny != deny || !(itself ? r->self : r->below))
				continue;
			for (uint32_t k = 0; k < r->nservices; k++)
				if (covers(&r->services[k], port, proto))
					return r->rule;
		}
		if (!n)
			return 0;
		dot = memchr(part, '.', n);
	}
}

int verdict_name(const struct compiled *c, const char *name, uint16_t port, uint8_t proto,
		 uint8_t *verdict, uint32_t *rule)
{
	char buf[EG_MAX_SERVER_NAME + 1];
	uint8_t flags;
	size_t len;

	*verdict = 0;
	*rule = 0;
	if (!canonical(name, buf, &len))
		return -EINVAL;
	if (verdict_class_flags(c, classes_of(c, buf, len), port, proto, &flags)) {
		*verdict = EG_V_ALLOW;
		*rule = name_rule(c, buf, len, false, port, proto);
		return 0;
	}
	*rule = name_rule(c, buf, len, true, port, proto);
	if (*rule)
		*verdict = EG_V_DENY;
	return 0;
}

const char *verdict_rule_text(const struct compiled *c, uint32_t rule, char *buf, size_t len)
{
	static const char *const kinds[] = {
		[RULE_FILE] = "",	  [RULE_FILE_DEFAULT] = "", [RULE_ALLOW] = "allow ",
		[RULE_DENY] = "deny ",	  [RULE_LOOPBACK] = "loopback ",
		[RULE_UNIX] = "unix ",	  [RULE_KEY] = "",	    [RULE_BUILTIN] = "",
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

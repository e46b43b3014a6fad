// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which allowing rule comes closest to what was refused: above it in the tree, at
 * another port, beside it in the domain, a slip of the pen away. Made for every
 * violation, so all of it is bounded: a flood is explained as fast as it comes.
 */
#include <ctype.h>
#include <linux/types.h>
#include <string.h>

#include "../bpf/egressctl.h"
#include "automaton.h"
#include "compile.h"
#include "event_near.h"
#include "ref.h"
#include "util.h"
#include "verdict.h"

#define MAX_TYPOS 64u /* names that are compared letter by letter */
#define MAX_UNIX 64u /* rules about sockets, the same */
#define TYPO 2u /* so many wrong letters are a slip */
/* bits that addresses have to share to be neighbours: 8 of IPv4, 32 of IPv6 */
#define NEAR_V4 (96u + 8u)
#define NEAR_V6 32u

static const struct rule_ref *rule_at(const struct compiled *c, uint32_t rule)
{
	return rule && rule <= c->nrules ? &c->rules[rule - 1] : NULL;
}

/* The rule of the deepest directory above it that has the permission. */
const struct rule_ref *event_near_path(const struct compiled *c, const char *path, size_t len,
				       uint8_t want)
{
	uint32_t rule = 0;
	uint8_t perm;

	while (len > 1) {
		const char *slash = memrchr(path, '/', len);

		if (!slash)
			break;
		len = slash == path ? 1 : (size_t)(slash - path);
		perm = automaton_perm(c->automaton, AUTOMATON_PATHS, path, len);
		if ((perm & want) != want)
			continue;
		return verdict_path(c, path, len, &perm, &rule) ? NULL : rule_at(c, rule);
	}
	return NULL;
}

/* ---- names ------------------------------------------------------------------------- */

/* How many whole labels two names share, from the end. */
static size_t labels_shared(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), labels = 0, i = 1;

	for (; i <= n && i <= m && a[n - i] == b[m - i]; i++)
		labels += a[n - i] == '.';
	if ((i > n && (i > m || b[m - i] == '.')) || (i > m && a[n - i] == '.'))
		labels++;
	return labels;
}

/* The first name that is not before `name`, in compiled_name_order(). */
static uint32_t name_place(const struct compiled *c, const char *name)
{
	uint32_t lo = 0, hi = c->nnames;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *at = c->names[mid].name;

		if (compiled_name_order(at, strlen(at), name, strlen(name)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Beside it in the order: there the names stand that share most of its end. */
static const struct compiled_name *name_neighbour(const struct compiled *c, const char *name)
{
	uint32_t at = name_place(c, name), i;
	const struct compiled_name *best = NULL;
	size_t most = 1; /* two names of one country or trade are no neighbours */

	for (i = at > 8 ? at - 8 : 0; i < c->nnames && i < at + 8; i++) {
		size_t shared = c->names[i].deny ? 0 : labels_shared(name, c->names[i].name);

		if (shared <= most)
			continue;
		most = shared;
		best = &c->names[i];
	}
	return best;
}

static const struct compiled_name *name_typo(const struct compiled *c, const char *name)
{
	const struct compiled_name *best = NULL;
	size_t len = strlen(name), least = MIN(TYPO + 1, len / 3 + 1);
	unsigned int tried = 0;

	for (uint32_t i = 0; i < c->nnames && tried < MAX_TYPOS; i++) {
		const struct compiled_name *n = &c->names[i];
		size_t m = strlen(n->name), far;

		if (n->deny || !m || m > len + TYPO || len > m + TYPO ||
		    (n->name[0] != name[0] && n->name[m - 1] != name[len - 1]))
			continue;
		tried++;
		far = ref_distance(n->name, name);
		if (far >= least)
			continue;
		least = far;
		best = n;
	}
	return best;
}

const struct rule_ref *event_near_name(const struct compiled *c, const char *bytes, size_t len)
{
	char name[EG_MAX_SERVER_NAME + 1];
	const struct compiled_name *n;

	if (len && bytes[len - 1] == '.')
		len--;
	if (!len || len > EG_MAX_SERVER_NAME || memchr(bytes, '\0', len))
		return NULL;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)bytes[i]);
	name[len] = '\0';
	n = name_typo(c, name);
	if (!n)
		n = name_neighbour(c, name);
	return n ? rule_at(c, n->rule) : NULL;
}

/* ---- addresses ----------------------------------------------------------------------- */

static unsigned int bits_shared(const uint8_t a[16], const uint8_t b[16])
{
	unsigned int i;

	for (i = 0; i < 128; i++)
		if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1)
			break;
	return i;
}

/* The rule that opens a port of these, the one closest to `port`. */
static uint32_t nearest_port(const struct compiled *c, const struct compiled_prefix *p,
			     uint16_t port)
{
	unsigned int least = UINT32_MAX;
	uint32_t rule = 0;

	for (uint32_t i = p->first; i < p->first + p->count; i++) {
		const struct eg_port *e = &c->ports[i];
		unsigned int far = port < e->lo ? e->lo - port : port > e->hi ? port - e->hi : 0;

		if (e->verdict != EG_V_ALLOW || !e->rule || far >= least)
			continue;
		least = far;
		rule = e->rule;
	}
	return rule;
}

const struct rule_ref *event_near_address(const struct compiled *c, const uint8_t addr[16],
					  uint16_t port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	unsigned int most = memcmp(addr, mapped, sizeof(mapped)) ? NEAR_V6 : NEAR_V4;
	uint32_t rule = 0;

	for (uint32_t i = 0; i < c->nprefixes; i++) {
		const struct compiled_prefix *p = &c->prefixes[i];
		unsigned int shared = MIN((unsigned int)p->plen, bits_shared(p->addr, addr));
		uint32_t at = shared < most ? 0 : nearest_port(c, p, port);

		if (!at)
			continue;
		most = shared;
		rule = at;
	}
	return rule_at(c, rule);
}

/* ---- sockets --------------------------------------------------------------------------- */

const struct rule_ref *event_near_unix(const struct compiled *c, const char *bytes, size_t len)
{
	size_t least = MIN(len, (size_t)REF_DISTANCE_MAX) / 2 + 1;
	const struct rule_ref *best = NULL;
	char name[REF_DISTANCE_MAX + 1];
	unsigned int tried = 0;

	(void)snprintf(name, sizeof(name), "%.*s", (int)MIN(len, sizeof(name)), bytes);
	for (uint32_t i = 0; i < c->nrules && tried < MAX_UNIX; i++) {
		size_t far;

		if (c->rules[i].kind != RULE_UNIX)
			continue;
		tried++;
		far = ref_distance(c->rules[i].text, name);
		if (far >= least)
			continue;
		least = far;
		best = &c->rules[i];
	}
	return best;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <netinet/in.h>

#include "policy_int.h"
#include "prefixes.h"

/*
 * Metadata services hand out the machine's own credentials; they answer at these
 * addresses, and at what a translator makes of them. Sources: the providers' own
 * documentation of their instance metadata.
 */
const struct prefix_builtin prefix_builtins[] = {
	{ "169.254.169.254/32", "cloud metadata", true }, /* AWS, Azure, GCP, OpenStack, … */
	{ "169.254.170.2/32", "container credentials", true }, /* AWS ECS */
	{ "169.254.170.23/32", "pod credentials", true }, /* AWS EKS */
	{ "[fd00:ec2::254]/128", "cloud metadata", true }, /* AWS */
	{ "[fd00:ec2::23]/128", "pod credentials", true }, /* AWS EKS */
	{ "[fd20:ce::254]/128", "cloud metadata", true }, /* GCP */
	{ "[fe80::a9fe:a9fe]/128", "cloud metadata", true }, /* OpenStack */
	{ "[fd00:c1::a9fe:a9fe]/128", "cloud metadata", true }, /* Oracle */
	{ "192.0.0.192/32", "cloud metadata", true }, /* Oracle classic */
	{ "168.63.129.16/32", "platform agent", true }, /* Azure */
	{ "100.100.100.200/32", "cloud metadata", true }, /* Alibaba */
	{ "169.254.0.23/32", "cloud metadata", true }, /* Tencent */
	{ "169.254.42.42/32", "cloud metadata", true }, /* Scaleway */
	{ "[fd00:42::42]/128", "cloud metadata", true }, /* Scaleway */
	/* 169.254.169.254 through NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056) */
	{ "[64:ff9b::a9fe:a9fe]/128", "cloud metadata through NAT64", true },
	{ "[64:ff9b:1::a9fe:a9fe]/128", "cloud metadata through NAT64", true },
	{ "[2002:a9fe:a9fe::]/48", "cloud metadata through 6to4", true },
	/* listeners of this host: `loopback` says who may reach them */
	{ "127.0.0.0/8", "loopback", false },
	{ "0.0.0.0/8", "this host", false }, /* connect() to it means 127.0.0.1 */
	/* ::, ::1 and what is left of "IPv4-compatible" addresses (RFC 4291) */
	{ "[::]/96", "loopback and IPv4-compatible", false },
	/* IPv4 in other clothes: an IPv6 rule that does not name them says nothing of it */
	{ "[64:ff9b::]/96", "NAT64", false },
	{ "[64:ff9b:1::]/48", "NAT64", false },
	{ "[2002::]/16", "6to4", false },
	{ "[2001::]/32", "Teredo", false }, /* RFC 4380 */
	{ "[::ffff:0:0:0]/96", "IPv4-translated", false }, /* RFC 2765 */
	{ "0.0.0.0/0", "IPv4", false }, /* no IPv6 rule reaches into it: PREFIX_FAMILY */
};
const size_t prefix_nbuiltins = ARRAY_SIZE(prefix_builtins);

/* who wins, best first */
enum rank { RANK_DENY, RANK_NAMED, RANK_HARD, RANK_ALLOW };

/* a range of one protocol while it is being folded */
struct span {
	uint32_t lo, hi; /* proto << 16 | port */
	uint8_t rank;
	uint8_t verdict;
	bool inherited; /* of two that say the same, the nearer one is named */
	uint32_t rule;
};

struct spans {
	struct span *v;
	size_t n, cap;
};

/* one prefix on the way from the root: what holds there */
struct level {
	const struct prefix_rule *at;
	struct spans spans;
};

struct fold {
	struct level stack[129];
	int depth; /* levels in use */
	struct spans in; /* scratch: what meets at one prefix */
	uint32_t *bounds; /* scratch: ends of elementary ranges */
	size_t bounds_cap;
	uint32_t *next;
	size_t next_cap;
	struct compiled_prefix *prefixes;
	size_t nprefixes, prefixes_cap;
	struct eg_port *ports;
	size_t nports, ports_cap;
};

static int rule_cmp(const void *a, const void *b)
{
	const struct prefix_rule *x = a, *y = b;
	int c = memcmp(x->addr, y->addr, sizeof(x->addr));

	if (c)
		return c;
	if (x->plen != y->plen)
		return x->plen < y->plen ? -1 : 1;
	return (x->rule > y->rule) - (x->rule < y->rule);
}

static int span_cmp(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->inherited != y->inherited)
		return x->inherited ? 1 : -1;
	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

static int bound_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int push(struct spans *s, struct span span)
{
	if (array_reserve(&s->v, &s->cap, s->n))
		return -ENOMEM;
	s->v[s->n++] = span;
	return 0;
}

static bool contains(const struct prefix_rule *outer, const struct prefix_rule *inner)
{
	uint8_t addr[16];

	if (outer->plen > inner->plen)
		return false;
	memcpy(addr, inner->addr, sizeof(addr));
	policy_addr_mask(addr, outer->plen);
	return !memcmp(addr, outer->addr, sizeof(addr));
}

/* What the ancestors say, as far as it goes on at this prefix. */
static int inherit(struct fold *f, const struct spans *parent, uint8_t flags, bool hard)
{
	int err = 0;

	if (flags & PREFIX_FAMILY)
		return 0;
	for (size_t i = 0; i < parent->n && !err; i++) {
		struct span s = parent->v[i];

		s.inherited = true;
		if (s.verdict == EG_V_ALLOW) {
			if (hard || (flags & PREFIX_BARRIER))
				continue;
			/* named further up; here a hard deny would come first again */
			s.rank = RANK_ALLOW;
		}
		err = push(&f->in, s);
	}
	return err;
}

static int add_own(struct fold *f, const struct prefix_rule *r, bool v4)
{
	static const uint8_t every[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP };
	struct span s = { .verdict = r->verdict, .rule = r->rule };
	int err = 0;

	s.rank = r->verdict == EG_V_DENY ? RANK_DENY :
		 r->verdict == EG_V_ALLOW ? RANK_NAMED : RANK_HARD;
	for (uint32_t i = 0; i < r->nports; i++) {
		const struct policy_ports *p = &r->ports[i];
		size_t n = p->proto ? 1 : ARRAY_SIZE(every);

		for (size_t k = 0; k < n && !err; k++) {
			uint32_t proto = p->proto ? p->proto : every[k];

			if (proto == IPPROTO_ICMP && !v4)
				proto = IPPROTO_ICMPV6;
			s.lo = proto << 16 | p->lo;
			s.hi = proto << 16 | p->hi;
			err = push(&f->in, s);
		}
	}
	return err;
}

static uint32_t find(uint32_t *next, uint32_t i)
{
	while (next[i] != i) {
		next[i] = next[next[i]];
		i = next[i];
	}
	return i;
}

/* Index of the elementary range that begins at v. */
static uint32_t bound_at(const uint32_t *bounds, size_t n, uint32_t v)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (bounds[mid] < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (uint32_t)lo;
}

/*
 * f->in to disjoint spans in *out: elementary ranges between all ends, given away
 * best rank first, the ones already taken skipped in almost constant time.
 */
static int resolve(struct fold *f, struct spans *out)
{
	uint32_t nb = 0, n;
	struct span *taken;
	int err = 0;

	out->n = 0;
	if (!f->in.n)
		return 0;
	qsort(f->in.v, f->in.n, sizeof(*f->in.v), span_cmp);
	if (array_reserve(&f->bounds, &f->bounds_cap, f->in.n * 2) ||
	    array_reserve(&f->next, &f->next_cap, f->in.n * 2 + 1))
		return -ENOMEM;
	for (size_t i = 0; i < f->in.n; i++) {
		f->bounds[nb++] = f->in.v[i].lo;
		f->bounds[nb++] = f->in.v[i].hi + 1;
	}
	qsort(f->bounds, nb, sizeof(*f->bounds), bound_cmp);
	n = 0;
	for (uint32_t i = 0; i < nb; i++)
		if (!n || f->bounds[n - 1] != f->bounds[i])
			f->bounds[n++] = f->bounds[i];
	taken = calloc(n, sizeof(*taken));
	if (!taken)
		return -ENOMEM;
	for (uint32_t i = 0; i <= n; i++)
		f->next[i] = i;
	for (size_t i = 0; i < f->in.n; i++) {
		uint32_t end = bound_at(f->bounds, n, f->in.v[i].hi + 1);
		uint32_t at = find(f->next, bound_at(f->bounds, n, f->in.v[i].lo));

		for (; at < end; at = find(f->next, at)) {
			taken[at] = f->in.v[i];
			taken[at].lo = f->bounds[at];
			taken[at].hi = f->bounds[at + 1] - 1;
			f->next[at] = at + 1;
		}
	}
	for (uint32_t i = 0; i < n && !err; i++) {
		struct span *last = out->n ? &out->v[out->n - 1] : NULL;

		if (f->next[i] == i)
			continue; /* nobody's */
		if (last && last->rule == taken[i].rule && last->verdict == taken[i].verdict &&
		    last->hi + 1 == taken[i].lo && last->hi >> 16 == taken[i].lo >> 16)
			last->hi = taken[i].hi;
		else
			err = push(out, taken[i]);
	}
	free(taken);
	return err;
}

static bool same_spans(const struct spans *a, const struct spans *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].lo != b->v[i].lo || a->v[i].hi != b->v[i].hi ||
		    a->v[i].verdict != b->v[i].verdict || a->v[i].rule != b->v[i].rule)
			return false;
	return true;
}

static int emit(struct fold *f, const struct prefix_rule *at, const struct spans *s)
{
	struct compiled_prefix p = { .plen = at->plen, .first = (uint32_t)f->nports,
				     .count = (uint32_t)s->n };

	if (f->nprefixes >= EG_MAX_PREFIXES || f->nports + s->n > EG_MAX_PORTS)
		return -E2BIG;
	if (array_reserve(&f->prefixes, &f->prefixes_cap, f->nprefixes))
		return -ENOMEM;
	memcpy(p.addr, at->addr, sizeof(p.addr));
	f->prefixes[f->nprefixes++] = p;
	for (size_t i = 0; i < s->n; i++) {
		if (array_reserve(&f->ports, &f->ports_cap, f->nports))
			return -ENOMEM;
		f->ports[f->nports++] = (struct eg_port){
			.lo = (uint16_t)s->v[i].lo, .hi = (uint16_t)s->v[i].hi,
			.proto = (uint8_t)(s->v[i].lo >> 16), .verdict = s->v[i].verdict,
			.rule = s->v[i].rule,
		};
	}
	return 0;
}

/* All rules of one prefix: rules[0 … n-1]. */
static int fold_prefix(struct fold *f, const struct prefix_rule *rules, size_t n)
{
	static const struct spans nothing;
	const struct spans *parent;
	struct level *l;
	uint8_t flags = 0;
	bool hard = false, v4 = policy_addr_is_v4(rules->addr, rules->plen);
	int err;

	while (f->depth && !contains(f->stack[f->depth - 1].at, rules))
		f->depth--;
	parent = f->depth ? &f->stack[f->depth - 1].spans : &nothing;
	l = &f->stack[f->depth];
	l->at = rules;
	for (size_t i = 0; i < n; i++) {
		flags |= rules[i].flags;
		hard |= rules[i].verdict == EG_V_DENY_HARD;
	}
	f->in.n = 0;
	err = inherit(f, parent, flags, hard);
	for (size_t i = 0; i < n && !err; i++)
		err = add_own(f, &rules[i], v4);
	if (!err)
		err = resolve(f, &l->spans);
	if (!err && !same_spans(parent, &l->spans))
		err = emit(f, rules, &l->spans);
	f->depth++;
	return err;
}

int prefixes_compile(struct prefix_rule *rules, size_t n, struct compiled_prefix **prefixes,
		     uint32_t *nprefixes, struct eg_port **ports, uint32_t *nports, uint32_t *bad)
{
	struct fold *f = calloc(1, sizeof(*f));
	size_t i, k;
	int err = 0;

	if (!f)
		return -ENOMEM;
	qsort(rules, n, sizeof(*rules), rule_cmp);
	for (i = 0; i < n && !err; i = k) {
		for (k = i + 1; k < n && rules[k].plen == rules[i].plen &&
				!memcmp(rules[k].addr, rules[i].addr, sizeof(rules[i].addr)); k++)
			;
		err = fold_prefix(f, &rules[i], k - i);
		if (err == -E2BIG)
			*bad = rules[k - 1].rule;
	}
	for (i = 0; i < ARRAY_SIZE(f->stack); i++)
		free(f->stack[i].spans.v);
	free(f->in.v);
	free(f->bounds);
	free(f->next);
	if (err) {
		free(f->prefixes);
		free(f->ports);
	} else {
		*prefixes = f->prefixes;
		*nprefixes = (uint32_t)f->nprefixes;
		*ports = f->ports;
		*nports = (uint32_t)f->nports;
	}
	free(f);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destinations by name: rules -> what every name opens -> classes and patterns
 * for the automaton.
 *
 * What is allowed at a name is the union of the allow rules that cover it less
 * the union of the deny rules that do, so that deny beats allow whatever is more
 * specific. That changes only at names that rules mention: each gets a set for
 * itself and one for what is below it. The ranges of ports from which all these
 * sets can be put together are the classes; a set is then a mask of them, four
 * bits of it in each group's space of the automaton.
 */
#include <netinet/in.h>

#include "automaton.h"
#include "compile_int.h"
#include "policy_int.h"
#include "services.h"

#define NOBODY 0xffffffffu
/* ranges of ports at one name before what is denied is taken away; classes are fewer */
#define MAX_RANGES 256u
/* n ranges put together make at most n * n different ones: one's beginning, one's end */
#define MAX_SHAPES (EG_MAX_CLASSES * EG_MAX_CLASSES)

/* A name that rules mention, parents before what is below them. */
struct mentioned {
	const char *name;
	uint32_t first, n; /* in c->names */
	uint32_t parent; /* nearest one above it, or NOBODY */
	uint32_t self, below; /* sets; below: of names under it */
	struct services allow, deny; /* that hold below it, until its subtree is done */
};

struct build {
	struct comp *k;
	VEC(struct mentioned) v;
	struct intern sets; /* of struct eg_class; number 0 is the empty one */
	struct intern shapes; /* of struct eg_class: the ranges in all of them */
	vec32 mask; /* by set: of classes */
	struct services classes;
	struct services tmp, cut;
	size_t text_len;
};

/* ---- names in order ------------------------------------------------------------------ */

/* From the end, and a dot before everything: a name comes right before what is below it. */
int compiled_name_order(const char *a, size_t alen, const char *b, size_t blen)
{
	for (size_t i = 1; i <= alen && i <= blen; i++) {
		unsigned char x = (unsigned char)a[alen - i], y = (unsigned char)b[blen - i];

		if (x == y)
			continue;
		if (x == '.' || y == '.')
			return x == '.' ? -1 : 1;
		return x < y ? -1 : 1;
	}
	return (alen > blen) - (alen < blen);
}

static int compare_names(const void *a, const void *b)
{
	const struct compiled_name *x = a, *y = b;
	int c = compiled_name_order(x->name, strlen(x->name), y->name, strlen(y->name));

	return c ? c : (x->rule > y->rule) - (x->rule < y->rule);
}

/* The root, "", is above every name. */
static bool is_below(const char *name, const char *above)
{
	size_t n = strlen(name), m = strlen(above);

	if (!m)
		return n;
	return n > m + 1 && name[n - m - 1] == '.' && !memcmp(name + n - m, above, m);
}

/* ---- what is open at each --------------------------------------------------------------- */

static int name_error(struct build *b, int code, uint32_t rule, const char *fmt, unsigned int limit)
{
	const struct rule_ref *r = &b->k->c->rules[rule - 1];
	char why[256];

	(void)snprintf(why, sizeof(why), fmt, limit);
	return diag_at(b->k->d, code, r->file, r->line, r->col, "\"%s\": %s", r->text, why);
}

static int too_many_classes(struct build *b, uint32_t rule)
{
	return name_error(b, -E2BIG, rule,
			  "with it names need more than %u different ranges of ports (each with "
			  "its tls, private and proxy): expected the same ports at more names",
			  EG_MAX_CLASSES);
}

/* The parent's services and those of the rules here that cover `self` or what is below. */
static int gather(struct build *b, const struct mentioned *m, bool self, bool deny,
		  struct services *out)
{
	const struct mentioned *parent = m->parent == NOBODY ? NULL : &b->v.v[m->parent];
	int err = 0;

	out->n = 0;
	if (parent)
		err = deny ? services_add(out, parent->deny.v, parent->deny.n) :
			     services_add(out, parent->allow.v, parent->allow.n);
	for (uint32_t i = m->first; i < m->first + m->n && !err; i++) {
		const struct compiled_name *n = &b->k->c->names[i];

		if (n->deny == deny && (self ? n->self : n->below))
			err = services_add(out, n->services, n->nservices);
	}
	if (err)
		return comp_nomem(b->k);
	services_normalize(out);
	if (out->n > MAX_RANGES)
		return name_error(b, -E2BIG, b->k->c->names[m->first + m->n - 1].rule,
				  "more than %u ranges of ports for one name", MAX_RANGES);
	return 0;
}

static int put_set(struct build *b, const struct mentioned *m, const struct services *allow,
		   const struct services *deny, uint32_t *id)
{
	uint32_t words[2 * EG_MAX_CLASSES];

	if (services_subtract(&b->cut, allow, deny))
		return comp_nomem(b->k);
	/* they do not touch: each needs a class of its own */
	if (b->cut.n > EG_MAX_CLASSES)
		return too_many_classes(b, b->k->c->names[m->first + m->n - 1].rule);
	_Static_assert(sizeof(*b->cut.v) == 2 * sizeof(*words), "a class is two words");
	if (b->cut.n)
		memcpy(words, b->cut.v, b->cut.n * sizeof(*b->cut.v));
	return intern_put(&b->sets, words, 2 * b->cut.n, id) ? comp_nomem(b->k) : 0;
}

static int open_at(struct build *b, struct mentioned *m)
{
	struct services deny = {};
	int err = gather(b, m, true, false, &b->tmp);

	if (!err)
		err = gather(b, m, true, true, &deny);
	if (!err)
		err = put_set(b, m, &b->tmp, &deny, &m->self);
	if (!err)
		err = gather(b, m, false, false, &m->allow);
	if (!err)
		err = gather(b, m, false, true, &m->deny);
	if (!err)
		err = put_set(b, m, &m->allow, &m->deny, &m->below);
	services_free(&deny);
	return err;
}

static void subtree_done(struct mentioned *m)
{
	services_free(&m->allow);
	services_free(&m->deny);
	memset(&m->allow, 0, sizeof(m->allow));
	memset(&m->deny, 0, sizeof(m->deny));
}

static int open_everywhere(struct build *b)
{
	const struct compiled *c = b->k->c;
	uint32_t above = NOBODY, id;
	int err = intern_put(&b->sets, &id, 0, &id) ? comp_nomem(b->k) : 0;

	for (uint32_t i = 0, end; i < c->nnames && !err; i = end) {
		struct mentioned *m = vec_add(&b->v);

		if (!m)
			return comp_nomem(b->k);
		for (end = i; end < c->nnames && str_eq(c->names[end].name, c->names[i].name);)
			end++;
		m->name = c->names[i].name;
		m->first = i;
		m->n = end - i;
		while (above != NOBODY && !is_below(m->name, b->v.v[above].name)) {
			subtree_done(&b->v.v[above]);
			above = b->v.v[above].parent;
		}
		m->parent = above;
		above = b->v.n - 1;
		b->text_len += 2 * (strlen(m->name) + sizeof("//*"));
		err = open_at(b, m);
	}
	return err;
}

/* ---- classes -------------------------------------------------------------------------- */

static bool overlaps(const struct eg_class *a, const struct eg_class *b)
{
	return service_same_kind(a, b) && a->lo <= b->hi && b->lo <= a->hi;
}

struct attributed {
	struct eg_class class;
	uint32_t rule; /* the first that opens some of it */
};

static int compare_attributed(const void *a, const void *b)
{
	const struct attributed *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return service_order(&x->class, &y->class);
}

/* In the order of the rules that opened them, so that the same policy gives the same. */
static int order_classes(struct build *b)
{
	const struct compiled *c = b->k->c;
	struct services *s = &b->classes;
	struct attributed a[MAX_SHAPES + 1];

	for (uint32_t i = 0; i < s->n; i++)
		a[i] = (struct attributed){ .class = s->v[i], .rule = NOBODY };
	for (uint32_t r = 0; r < c->nnames; r++) {
		const struct compiled_name *n = &c->names[r];

		for (uint32_t p = 0; p < n->nservices && !n->deny; p++)
			for (uint32_t i = 0; i < s->n; i++)
				if (n->rule < a[i].rule && overlaps(&n->services[p], &a[i].class))
					a[i].rule = n->rule;
	}
	if (s->n)
		qsort(a, s->n, sizeof(*a), compare_attributed);
	if (s->n > EG_MAX_CLASSES)
		return too_many_classes(b, a[EG_MAX_CLASSES].rule);
	for (uint32_t i = 0; i < s->n; i++)
		s->v[i] = a[i].class;
	return 0;
}

static int collect_shapes(struct build *b)
{
	for (uint32_t set = 0; set < b->sets.n; set++) {
		uint32_t n, id;
		const uint32_t *words = intern_get(&b->sets, set, &n);

		for (uint32_t i = 0; i < n; i += 2) {
			struct eg_class s;

			if (intern_put(&b->shapes, words + i, 2, &id))
				return -ENOMEM;
			memcpy(&s, words + i, sizeof(s));
			if (id == b->classes.n && services_add(&b->classes, &s, 1))
				return -ENOMEM;
			if (b->shapes.n > MAX_SHAPES)
				return 0; /* too many already */
		}
	}
	return 0;
}

/*
 * The policy's own come first, as they would alone; a grant's has the number it was
 * given, for which a socket or a binding may remember it. What is left between is
 * nobody's.
 */
static int number_classes(struct build *b)
{
	static const struct eg_class nobodys = { .lo = 1, .hi = 0 };
	struct eg_policy *head = &b->k->c->head;
	uint32_t n = 0, i;

	for (i = 0; i < EG_MAX_CLASSES; i++)
		head->classes[i] = nobodys;
	for (i = 0; i < b->classes.n; i++)
		if (!b->classes.v[i].origin)
			head->classes[n++] = b->classes.v[i];
	head->nclasses = n;
	for (i = 0; i < b->classes.n; i++) {
		const struct eg_class *s = &b->classes.v[i];

		if (!s->origin)
			continue;
		if (s->origin > EG_MAX_CLASSES || head->classes[s->origin - 1].proto)
			return diag_set(b->k->d, -E2BIG,
					"what is granted by name must be one range of ports, none "
					"of it denied, and names have %u classes in all",
					EG_MAX_CLASSES);
		head->classes[s->origin - 1] = *s;
		head->nclasses = MAX(head->nclasses, s->origin);
	}
	for (i = head->nclasses; i < EG_MAX_CLASSES; i++)
		head->classes[i] = (struct eg_class){};
	return 0;
}

static int make_classes(struct build *b)
{
	int err;

	if (collect_shapes(b))
		return comp_nomem(b->k);
	services_reduce(&b->classes);
	err = order_classes(b);
	return err ? err : number_classes(b);
}

static int make_masks(struct build *b)
{
	const struct eg_policy *head = &b->k->c->head;

	for (uint32_t set = 0; set < b->sets.n; set++) {
		uint32_t n, mask = 0;
		const uint32_t *words = intern_get(&b->sets, set, &n);

		for (uint32_t i = 0; i < n; i += 2) {
			struct eg_class s;

			memcpy(&s, words + i, sizeof(s));
			for (uint32_t class = 0; class < head->nclasses; class++)
				if (service_within(&head->classes[class], &s))
					mask |= 1u << class;
		}
		if (vec32_push(&b->mask, mask))
			return comp_nomem(b->k);
	}
	return 0;
}

/* ---- patterns --------------------------------------------------------------------------- */

/* "www.example.com" to "/com/example/www" and what `end` says; returns behind its NUL. */
static char *write_pattern(char *out, const char *name, const char *end)
{
	size_t stop = strlen(name), start;

	while (stop) {
		for (start = stop; start && name[start - 1] != '.'; start--)
			;
		*out++ = '/';
		memcpy(out, name + start, stop - start);
		out += stop - start;
		stop = start ? start - 1 : 0;
	}
	return stpcpy(out, end) + 1;
}

static int add_pattern(struct build *b, const struct mentioned *m, const char *pattern,
		       uint32_t mask, uint32_t otherwise)
{
	struct comp *k = b->k;

	for (uint32_t g = 0; g < EG_DOMAIN_GROUPS; g++) {
		uint8_t perm = mask >> (4 * g) & EG_PERM_ALL;

		if (perm == (otherwise >> (4 * g) & EG_PERM_ALL))
			continue;
		if (array_reserve(&k->c->domain, &k->domain_cap, k->c->ndomain))
			return comp_nomem(k);
		k->c->domain[k->c->ndomain++] = (struct automaton_rule){
			.pattern = pattern, .id = k->c->names[m->first].rule, .perm = perm,
			.space = (uint8_t)(AUTOMATON_DOMAIN + g),
		};
	}
	return 0;
}

static int make_patterns(struct build *b)
{
	char *at = malloc(b->text_len + 1);
	int err = 0;

	b->k->c->domain_text = at;
	if (!at)
		return comp_nomem(b->k);
	for (uint32_t i = 0; i < b->v.n && !err; i++) {
		const struct mentioned *m = &b->v.v[i];
		uint32_t self = b->mask.v[m->self], below = b->mask.v[m->below], around = 0;
		const char *pattern = at;

		if (!*m->name) {
			for (uint32_t g = 0; g < EG_DOMAIN_GROUPS; g++)
				b->k->c->domain_default[g] = below >> (4 * g) & EG_PERM_ALL;
			continue;
		}
		if (m->parent != NOBODY)
			around = b->mask.v[b->v.v[m->parent].below];
		at = write_pattern(at, m->name, "");
		err = add_pattern(b, m, pattern, self, around);
		pattern = at;
		at = write_pattern(at, m->name, "/*");
		if (!err)
			err = add_pattern(b, m, pattern, below, self);
	}
	return err;
}

int compile_names(struct comp *k)
{
	struct build b = { .k = k };
	int err;

	if (!k->c->nnames)
		return 0;
	qsort(k->c->names, k->c->nnames, sizeof(*k->c->names), compare_names);
	err = open_everywhere(&b);
	if (!err)
		err = make_classes(&b);
	if (!err)
		err = make_masks(&b);
	if (!err)
		err = make_patterns(&b);
	for (uint32_t i = 0; i < b.v.n; i++)
		subtree_done(&b.v.v[i]);
	vec_free(&b.v);
	intern_fini(&b.sets);
	intern_fini(&b.shapes);
	vec_free(&b.mask);
	services_free(&b.classes);
	services_free(&b.tmp);
	services_free(&b.cut);
	return err;
}

/* ---- from a destination ------------------------------------------------------------------- */

/* Services that do not begin with TLS or HTTP: a hello is checked when there is one. */
static const uint16_t maybe_tls[] = {
	21, 22, 25, 110, 143, 389, 587, 873, 3306, 5222, 5432, 6379, 9418,
};

bool compiled_port_may_be_plain(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_SIZE(maybe_tls); i++)
		if (maybe_tls[i] == port)
			return true;
	return false;
}

static bool may_be_plain(const struct policy_ports *p)
{
	for (uint32_t port = p->lo; port <= p->hi; port++)
		if (!compiled_port_may_be_plain((uint16_t)port))
			return false;
	return true;
}

static uint8_t class_flags(const struct policy_dest *dest, const struct policy_ports *p)
{
	uint8_t flags = 0;

	if (dest->flags & POLICY_D_PRIVATE)
		flags |= EG_CL_PRIVATE;
	if (dest->flags & POLICY_D_PROXY)
		flags |= EG_CL_PROXY;
	if (dest->flags & POLICY_D_TLS_OFF)
		flags |= EG_CL_TLS_OFF;
	/* of a range, a few ports that are not checked would be a surprise */
	if (!(flags & (EG_CL_PROXY | EG_CL_TLS_OFF)) && may_be_plain(p))
		flags |= EG_CL_TLS_MAYBE;
	return flags;
}

int compile_name_add(struct comp *k, const struct policy_dest *dest, bool deny, uint32_t rule)
{
	struct compiled *c = k->c;
	struct compiled_name *n;

	if (array_reserve(&c->names, &k->names_cap, c->nnames))
		return comp_nomem(k);
	n = &c->names[c->nnames];
	*n = (struct compiled_name){ .below = dest->below, .self = dest->self, .deny = deny,
				     .rule = rule };
	n->name = strdup(dest->name);
	n->services = calloc(2 * dest->nports + 1, sizeof(*n->services)); /* ICMP is two */
	c->nnames++;
	if (!n->name || !n->services)
		return comp_nomem(k);
	for (uint32_t i = 0; i < dest->nports; i++) {
		const struct policy_ports *p = &dest->ports[i];
		struct eg_class s = { .lo = p->lo, .hi = p->hi, .proto = p->proto,
				      .origin = dest->origin };

		/* the policy check lets only that of "*" come here */
		if (!deny && p->proto == IPPROTO_UDP && !(dest->flags & POLICY_D_TLS_OFF))
			continue;
		if (!deny)
			s.flags = class_flags(dest, p);
		n->services[n->nservices++] = s;
		s.proto = IPPROTO_ICMPV6;
		if (p->proto == IPPROTO_ICMP)
			n->services[n->nservices++] = s;
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The public functions of automaton.h: the stages in order, and the image. */
#include "automaton_int.h"

#include "../bpf/dfa.h"

struct automaton {
	unsigned int refs; /* owners beside the first */
	struct tree tree; /* for automaton_rule_for() */
	struct eg_dfa_slot *slots;
	struct automaton_starts starts;
	struct automaton_stats stats;
};

/* Naming the rule behind a limit may take this many times the work that refusing it did. */
#define SEARCH_WORK 4u

struct automaton *automaton_ref(struct automaton *a)
{
	a->refs++;
	return a;
}

void automaton_free(struct automaton *a)
{
	if (!a || a->refs--)
		return;
	tree_fini(&a->tree);
	free(a->slots);
	free(a);
}

static uint32_t state_of(const struct rows *rows, uint32_t row)
{
	return row ? rows->rows.v[row].base | rows->rows.v[row].bits : 0;
}

static int build(struct automaton *a, struct automaton_error *err, uint64_t *work)
{
	struct dirs dirs = {};
	struct names names = {};
	struct rows rows = {};
	int ret = vec_add(&rows.rows) ? 0 : -ENOMEM; /* row 0 */

	if (!ret)
		ret = dirs_group_labels(&a->tree, &dirs);
	if (!ret)
		ret = names_build(&a->tree, &dirs.global, &rows, &names, err);
	if (!ret)
		ret = dirs_build(&a->tree, &names, &dirs, &rows, err);
	if (!ret)
		ret = rows_pack(&rows, &a->slots, &a->stats.slots, &a->stats.used, err);
	if (!ret) {
		a->starts.path = state_of(&rows, dirs.start[ROOT_PATH]);
		a->starts.unix_path = state_of(&rows, dirs.start[ROOT_UNIX]);
		a->starts.abstract = state_of(&rows, dirs.start[ROOT_ABSTRACT]);
		for (uint32_t g = 0; g < EG_DOMAIN_GROUPS; g++)
			a->starts.domain[g] = state_of(&rows, dirs.start[ROOT_DOMAIN + g]);
		a->starts.names = state_of(&rows, names.start);
		a->stats.name_states = names.states;
		a->stats.dir_states = dirs.states;
		a->stats.classes = names.classes.n;
	}
	*work += names.work + dirs.work;
	vec_free(&rows.rows);
	vec_free(&rows.edges);
	names_fini(&names);
	dirs_fini(&dirs);
	return ret;
}

static int parse(const struct automaton_rule *rules, size_t n,
		 const uint8_t defaults[AUTOMATON_SPACES], struct automaton **out,
		 struct automaton_error *err)
{
	struct automaton *a = calloc(1, sizeof(*a));
	int ret = a ? tree_init(&a->tree, n, defaults) : -ENOMEM;

	for (size_t i = 0; i < n && !ret; i++) {
		if (err)
			err->rule = i;
		ret = tree_add(&a->tree, &rules[i], (uint32_t)i, err);
	}
	if (ret)
		automaton_free(a);
	else
		*out = a;
	return ret;
}

static int compile(const struct automaton_rule *rules, size_t n,
		   const uint8_t defaults[AUTOMATON_SPACES], struct automaton **out,
		   struct automaton_error *err, uint64_t *work)
{
	struct automaton *a;
	int ret = parse(rules, n, defaults, &a, err);

	if (ret)
		return ret;
	ret = build(a, err, work);
	if (ret)
		automaton_free(a);
	else
		*out = a;
	return ret;
}

/*
 * A limit is reached by rules together; the one to name is the first with which
 * the rules before it no longer fit. Looked for only when it is too late anyway,
 * and not for long: whoever sends such rules does not get much more of our time.
 */
static size_t first_too_many(const struct automaton_rule *rules, size_t n,
			     const uint8_t defaults[AUTOMATON_SPACES])
{
	size_t lo = 0, hi = n - 1; /* the answer is among lo … hi */
	uint64_t work = 0;

	while (lo < hi && work < (uint64_t)SEARCH_WORK * AUTOMATON_MAX_WORK) {
		size_t mid = lo + (hi - lo) / 2;
		struct automaton *a = NULL;

		if (compile(rules, mid + 1, defaults, &a, NULL, &work) == -E2BIG)
			hi = mid;
		else
			lo = mid + 1;
		automaton_free(a);
	}
	return hi;
}

int automaton_parse(const struct automaton_rule *rules, size_t n,
		    const uint8_t defaults[AUTOMATON_SPACES], struct automaton **out,
		    struct automaton_error *err)
{
	int ret = parse(rules, n, defaults, out, err);

	if (ret == -ENOMEM)
		(void)error_set(err, ret, 0, "", "no memory");
	return ret;
}

int automaton_compile(const struct automaton_rule *rules, size_t n,
		      const uint8_t defaults[AUTOMATON_SPACES], struct automaton **out,
		      struct automaton_error *err)
{
	uint64_t work = 0;
	int ret = compile(rules, n, defaults, out, err, &work);

	if (ret == -E2BIG && err && n)
		err->rule = first_too_many(rules, n, defaults);
	else if (ret == -ENOMEM)
		(void)error_set(err, ret, 0, "", "no memory");
	return ret;
}

const struct eg_dfa_slot *automaton_image(const struct automaton *a, uint32_t *n)
{
	*n = a->stats.slots;
	return a->slots;
}

const struct automaton_starts *automaton_starts(const struct automaton *a)
{
	return &a->starts;
}

void automaton_stats(const struct automaton *a, struct automaton_stats *st)
{
	*st = a->stats;
}

uint32_t automaton_relocate_state(uint32_t state, uint32_t offset)
{
	/* details of headers and classes are no states */
	return state & EG_DFA_INDEX && !(state & EG_DFA_HEAD) ? state + offset : state;
}

void automaton_relocate(struct eg_dfa_slot *dst, const struct eg_dfa_slot *image, uint32_t n,
			uint32_t offset)
{
	for (uint32_t i = 0; i < n; i++) {
		dst[i].from = automaton_relocate_state(image[i].from, offset);
		dst[i].to = automaton_relocate_state(image[i].to, offset);
	}
}

static uint32_t start_of(const struct automaton_starts *starts, enum automaton_space space)
{
	if (space >= AUTOMATON_DOMAIN)
		return starts->domain[space - AUTOMATON_DOMAIN];
	return space == AUTOMATON_PATHS ? starts->path : starts->unix_path;
}

uint32_t automaton_state(const struct eg_dfa_slot *slots, const struct automaton_starts *starts,
			 enum automaton_space space, const char *path, size_t len)
{
	/* the masks of the kernel's array: a state's row is never outside its own image */
	const struct eg_dfa *dfa = (const struct eg_dfa *)(const void *)slots;
	uint32_t state = start_of(starts, space);
	struct path_names names = { .path = path, .len = len,
				    .domain = space >= AUTOMATON_DOMAIN };

	if (space == AUTOMATON_UNIX && len && path[0] == '@') {
		if (len > AUTOMATON_MAX_ABSTRACT)
			return 0;
		return eg_dfa_name(dfa, starts->abstract, starts->names, (const __u8 *)path,
				   (__u32)len);
	}
	while (path_names_next(&names))
		state = eg_dfa_name(dfa, state, starts->names, (const __u8 *)names.name,
				    (__u32)names.n);
	return names.bad ? 0 : state;
}

uint8_t automaton_perm(const struct automaton *a, enum automaton_space space, const char *path,
		       size_t len)
{
	return eg_dfa_perm(automaton_state(a->slots, &a->starts, space, path, len));
}

bool automaton_rule_for(const struct automaton *a, enum automaton_space space, const char *path,
			size_t len, uint32_t *id, uint8_t *perm)
{
	return tree_rule_for(&a->tree, space, path, len, id, perm);
}

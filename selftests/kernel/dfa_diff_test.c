/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The automaton as the kernel runs it against the obvious matcher: random rules,
 * compiled, moved to a random place of the map, and random paths judged by
 * dfa_diff.bpf.c in batches. EGRESSCTL_SEED repeats a run, EGRESSCTL_PAIRS makes
 * it longer or shorter.
 */
#include "harness.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "../../bpf/dfa.h"
#include "automaton.h"
#include "dfa_diff.h"
#include "dfa_diff.skel.h"
#include "gen_rules.h"
#include "slow_match.h"
#include "util.h"

#define PAIRS 1000000ul
#define SETS_PER_BATCH 16u /* rule sets in the map at one time */
#define PATHS_PER_SET (DFA_BATCH / SETS_PER_BATCH)
#define SLOTS_PER_SET ((EG_DFA_SLOTS - EG_DFA_FIRST) / SETS_PER_BATCH)

struct batch {
	struct gen_set sets[SETS_PER_BATCH];
	uint8_t want[DFA_BATCH];
};

struct kernel_side {
	struct dfa_diff *skel;
	struct eg_dfa *dfa;
	struct dfa_case *cases;
};

static void *map_shared(const struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED)
		harness_die("mmap of %s: %m", bpf_map__name(map));
	return p;
}

static void open_kernel_side(struct kernel_side *k)
{
	k->skel = dfa_diff__open_and_load();
	if (!k->skel)
		harness_die("dfa_diff.bpf.o does not load: %m");
	k->dfa = map_shared(k->skel->maps.dfa, sizeof(*k->dfa));
	k->cases = map_shared(k->skel->maps.cases, DFA_BATCH * sizeof(*k->cases));
}

/*
 * A random rule set, compiled. One in many thousands is larger than its part of the
 * map: the same questions are asked of it in user space.
 */
static struct automaton *make_set(struct gen *g, struct gen_set *set, uint32_t *n)
{
	struct automaton_error err = {};
	struct automaton *a;

	for (;;) {
		gen_set(g, set);
		if (automaton_compile(set->rules, set->n, set->defaults, &a, &err))
			harness_die("rule '%s': %s", set->rules[err.rule].pattern, err.msg);
		(void)automaton_image(a, n);
		if (*n <= SLOTS_PER_SET)
			return a;
		automaton_free(a);
	}
}

/* … and somewhere in its part of the map. */
static void place_set(struct kernel_side *k, struct gen *g, struct gen_set *set, uint32_t part,
		      struct automaton_starts *starts)
{
	const struct eg_dfa_slot *image;
	struct automaton *a;
	uint32_t n, at;

	a = make_set(g, set, &n);
	image = automaton_image(a, &n);
	at = EG_DFA_FIRST + part * SLOTS_PER_SET + gen_below(g, SLOTS_PER_SET - n + 1);
	automaton_relocate(k->dfa->slots + at, image, n, at);
	*starts = *automaton_starts(a);
	starts->path = automaton_relocate_state(starts->path, at);
	starts->unix_path = automaton_relocate_state(starts->unix_path, at);
	starts->abstract = automaton_relocate_state(starts->abstract, at);
	starts->names = automaton_relocate_state(starts->names, at);
	automaton_free(a);
}

/* One path for the kernel, and the answer it should give. */
static void place_path(struct kernel_side *k, struct gen *g, struct batch *b, uint32_t part,
		       const struct automaton_starts *starts, uint32_t i)
{
	const struct gen_set *set = &b->sets[part];
	struct dfa_case *c = &k->cases[i];
	enum automaton_space space;
	char path[GEN_PATH_MAX];
	size_t len;

	do
		len = gen_path(g, set, &space, path);
	while (len > DFA_PATH_MAX);
	b->want[i] = slow_match(set->rules, set->n, set->defaults, space, path, len);
	memcpy(c->path, path, len);
	c->len = len;
	c->names = starts->names;
	c->one_name = space == AUTOMATON_UNIX && path[0] == '@';
	c->start = space == AUTOMATON_PATHS ? starts->path :
		   c->one_name ? starts->abstract : starts->unix_path;
}

static void judge(struct kernel_side *k)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err;

	k->skel->bss->ncases = DFA_BATCH;
	err = bpf_prog_test_run_opts(bpf_program__fd(k->skel->progs.judge), &opts);
	if (err)
		harness_die("the batch does not run: %s", strerror(-err));
	if (opts.retval != DFA_BATCH)
		harness_die("%u of %u paths were judged", opts.retval, DFA_BATCH);
}

static void show(const struct gen_set *set, const struct dfa_case *c, uint8_t want)
{
	size_t i;

	fail("the kernel says %u, the rules say %u", eg_dfa_perm(c->state), want);
	printf("# at ");
	for (i = 0; i < c->len; i++)
		printf(c->path[i] < ' ' || c->path[i] > '~' ? "\\x%02x" : "%c", c->path[i]);
	printf("\n# defaults %u, unix %u\n", set->defaults[0], set->defaults[1]);
	for (i = 0; i < set->n; i++)
		printf("# %u %s %s\n", set->rules[i].perm,
		       set->rules[i].space == AUTOMATON_UNIX ? "unix" : "path",
		       set->rules[i].pattern);
}

/* How many of the batch are wrong; the first is shown. */
static unsigned long compare(const struct kernel_side *k, const struct batch *b)
{
	unsigned long wrong = 0;
	uint32_t i;

	for (i = 0; i < DFA_BATCH; i++) {
		if (eg_dfa_perm(k->cases[i].state) == b->want[i])
			continue;
		if (!wrong++)
			show(&b->sets[i / PATHS_PER_SET], &k->cases[i], b->want[i]);
	}
	return wrong;
}

static unsigned long number_from(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void run(struct kernel_side *k, struct gen *g, unsigned long pairs)
{
	struct batch *b = malloc(sizeof(*b));
	unsigned long done, denied = 0, wrong = 0;
	struct automaton_starts starts;
	uint32_t part, i;

	if (!b)
		harness_die("no memory");
	for (done = 0; done < pairs && !wrong; done += DFA_BATCH) {
		for (part = 0; part < SETS_PER_BATCH; part++) {
			place_set(k, g, &b->sets[part], part, &starts);
			for (i = part * PATHS_PER_SET; i < (part + 1) * PATHS_PER_SET; i++)
				place_path(k, g, b, part, &starts, i);
		}
		judge(k);
		wrong = compare(k, b);
		for (i = 0; i < DFA_BATCH; i++)
			denied += !b->want[i];
	}
	printf("# %lu pairs, %lu without any permission, %lu wrong\n", done, denied, wrong);
	check(denied > done / 20 && denied < done / 20 * 19, "the rules hardly decide anything");
	free(b);
}

int main(int argc, char **argv)
{
	unsigned long pairs = number_from("EGRESSCTL_PAIRS", PAIRS);
	unsigned int random = 1;
	struct kernel_side k;
	struct gen g = {};

	harness_init(argc, argv);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		harness_die("getrandom: %m");
	g.state = number_from("EGRESSCTL_SEED", random);
	open_kernel_side(&k);
	if (case_begin("%lu pairs of rules and path, judged by the kernel", pairs)) {
		printf("# EGRESSCTL_SEED=%llu\n", (unsigned long long)g.state);
		run(&k, &g, pairs);
		case_end();
	}
	dfa_diff__destroy(k.skel);
	return harness_done();
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What doctor makes of facts, and that every program has its probe. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <cmocka.h>

#include "doctor.h"
#include "egressctl.skel.h"
#include "prove.h"
#include "util.h"

#include <linux/types.h>

#include "../../bpf/egressctl.h"

#define SECOND 1000000000ull
#define NOW (1800000000ull * SECOND)

/* A host that has it all, seen by root while egressd runs. */
static struct doctor_facts *good(void)
{
	struct doctor_facts *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*f = (struct doctor_facts){
		.root = true, .release = "6.12.1-test", .major = 6, .minor = 12, .btf = 1,
		.lsm_known = 1, .lsms = "landlock,lockdown,bpf", .lockdown = "none", .bpffs = 1,
		.cgroup = "/sys/fs/cgroup", .controllers = "cpuset cpu io memory pids",
		.cgroup_writable = 1, .ftrace_enabled = 1, .unprivileged_bpf_disabled = 2, .jit = 1,
		.boottime = 50 * SECOND, .monotonic = 50 * SECOND, .realtime = NOW, .nservers = 1,
		.server = "192.0.2.53", .abi = EG_ABI, .log_dir = "/var/log/egressctl",
		.libbpf_major = 1, .libbpf_minor = 1, .libraries = "libbpf 1.1",
	};
	f->hooks[0] = (struct doctor_hook){ .program = "file_open", .lsm = true,
					    .state = HOOK_PROVED };
	f->hooks[1] = (struct doctor_hook){ .program = "task_kill", .lsm = true,
					    .state = HOOK_PROVED };
	f->hooks[2] = (struct doctor_hook){ .program = "connect4", .state = HOOK_PROVED };
	f->hooks[3] = (struct doctor_hook){ .program = "skb_egress", .state = HOOK_PROVED };
	f->nhooks = 4;
	return f;
}

/* One finding of that check and level has the text, and its remedy the other; NULL: any. */
static bool says(const struct findings *found, const char *check, enum finding_level level,
		 const char *text, const char *remedy)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct finding *f = &found->v[i];

		if (str_eq(f->check, check) && f->level == level && strstr(f->text, text) &&
		    (!remedy || strstr(f->remedy, remedy)))
			return true;
	}
	for (size_t i = 0; i < found->n; i++)
		print_error("%s %d %s -> %s\n", found->v[i].check, found->v[i].level,
			    found->v[i].text, found->v[i].remedy);
	return false;
}

/* Judge and free. */
static void judge(struct doctor_facts *f, struct findings *found, int status)
{
	doctor_judge(f, found);
	assert_int_equal(doctor_status(found), status);
	for (size_t i = 0; i < found->n; i++) {
		assert_null(strpbrk(found->v[i].text, "\n\033"));
		/* what is wrong comes with what to do, but for what only root can know */
		if (found->v[i].level == FINDING_MISSING && !str_eq(found->v[i].check, "hooks"))
			assert_true(*found->v[i].remedy);
	}
	free(f);
}

static void all_is_well(void **state)
{
	struct findings found;

	(void)state;
	judge(good(), &found, 0);
	for (size_t i = 0; i < found.n; i++)
		assert_int_equal(found.v[i].level, FINDING_OK);
	assert_true(says(&found, "lsm_hooks", FINDING_OK, "2 LSM hooks", NULL));
	assert_true(says(&found, "cgroup_hooks", FINDING_OK, "2 cgroup hooks", NULL));
}

static void kernels(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	f->major = 5;
	f->minor = 15;
	judge(f, &found, 125);
	assert_true(says(&found, "kernel", FINDING_MISSING, "too old", "6.1"));
	f = good();
	f->btf = 0;
	judge(f, &found, 125);
	assert_true(says(&found, "btf", FINDING_MISSING, "type information",
			 "CONFIG_DEBUG_INFO_BTF"));
	f = good();
	strcpy(f->lockdown, "confidentiality");
	judge(f, &found, 125);
	f = good();
	strcpy(f->lockdown, "integrity");
	judge(f, &found, 0);
	f = good();
	f->jit = 0;
	judge(f, &found, 1);
	assert_true(says(&found, "jit", FINDING_MISSING, "compiler", "bpf_jit_enable=1"));
	f = good();
	f->unprivileged_bpf_disabled = 0;
	judge(f, &found, 0);
	assert_true(says(&found, "unprivileged_bpf", FINDING_WARNING, "any user", "=2"));
}

static void lsm_lists(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	strcpy(f->lsms, "landlock,yama");
	judge(f, &found, 1);
	assert_true(says(&found, "lsm", FINDING_MISSING, "not active", "lsm=landlock,yama,bpf"));
	assert_true(says(&found, "lsm", FINDING_MISSING, "not active", "egressctl setup --boot"));
	f = good();
	strcpy(f->lsms, "landlock,bpfish"); /* a whole word */
	judge(f, &found, 1);
	f = good();
	strcpy(f->lsms, "");
	judge(f, &found, 1);
	assert_true(says(&found, "lsm", FINDING_MISSING, "not active", "lsm=bpf"));
	f = good();
	f->ftrace_enabled = 0;
	judge(f, &found, 1);
	assert_true(says(&found, "ftrace", FINDING_MISSING, "silent", "kernel.ftrace_enabled=1"));
}

static void cgroups(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	f->cgroup[0] = 0;
	judge(f, &found, 125);
	assert_true(says(&found, "cgroup", FINDING_MISSING, "no cgroup v2", "unified_cgroup"));
	f = good();
	f->hybrid = true;
	strcpy(f->cgroup, "/sys/fs/cgroup/unified");
	strcpy(f->controllers, "hugetlb pids");
	judge(f, &found, 0);
	assert_true(says(&found, "cgroup", FINDING_OK, "/sys/fs/cgroup/unified, beside", NULL));
	assert_true(says(&found, "controllers", FINDING_WARNING, "memory, cpu", "unified_cgroup"));
	f = good();
	f->cgroup_writable = 0;
	judge(f, &found, 125);
}

static void clocks_and_names(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	f->boottime = 10 * SECOND;
	judge(f, &found, 1);
	assert_true(says(&found, "clock", FINDING_MISSING, "CLOCK_BOOTTIME", "time namespace"));
	f = good();
	f->realtime = 0;
	judge(f, &found, 0);
	assert_true(says(&found, "clock", FINDING_WARNING, "before 2024", NULL));
	f = good();
	f->resolv_err = -ENOENT;
	judge(f, &found, 0);
	assert_true(says(&found, "resolver", FINDING_WARNING, "cannot be read", "nameserver"));
	f = good();
	f->nservers = 0;
	judge(f, &found, 0);
	assert_true(says(&found, "resolver", FINDING_WARNING, "no server", "nameserver"));
	f = good();
	f->resolver_answers = -ETIMEDOUT;
	judge(f, &found, 1);
	assert_true(says(&found, "listener", FINDING_MISSING, "timed out", "lo up"));
}

static void services(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	f->abi = EG_ABI - 1;
	judge(f, &found, 0);
	assert_true(says(&found, "service", FINDING_WARNING, "another version", "restart"));
	f = good();
	f->service = -ENOENT;
	judge(f, &found, 0);
	f = good();
	f->service = -ECONNREFUSED;
	f->root = false;
	judge(f, &found, 125);
	assert_true(says(&found, "service", FINDING_MISSING, "only root", "start egressd"));
	assert_true(says(&found, "user", FINDING_WARNING, "not looked at", "sudo"));
	f = good();
	f->service = -EACCES;
	f->root = false;
	judge(f, &found, 125);
	assert_true(says(&found, "service", FINDING_MISSING, "Permission denied", "group"));
	f = good();
	f->sandboxed = true;
	judge(f, &found, 125);
	assert_int_equal(found.n, 1);
}

static void hooks(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	f->hooks[1].state = HOOK_SILENT;
	judge(f, &found, 1);
	assert_true(says(&found, "lsm_hooks", FINDING_MISSING, "silent: task_kill:", "restart"));
	f = good();
	f->hooks[2].state = HOOK_SILENT;
	judge(f, &found, 1);
	assert_true(says(&found, "cgroup_hooks", FINDING_MISSING, "silent: connect4:", "restart"));
	f = good();
	f->hooks[0].state = f->hooks[1].state = HOOK_SILENT;
	judge(f, &found, 1);
	assert_true(says(&found, "lsm_hooks", FINDING_MISSING, "LSM layer is silent: none of its 2",
			 "ftrace"));
	f = good();
	for (size_t i = 0; i < f->nhooks; i++)
		f->hooks[i].state = HOOK_SILENT;
	judge(f, &found, 125);
	f = good();
	f->hooks[3].state = HOOK_UNTRIED;
	judge(f, &found, 0);
	assert_true(says(&found, "cgroup_hooks", FINDING_WARNING, "not proved: skb_egress", NULL));
	/* a machine that takes cgroup programs and refuses the others */
	f = good();
	f->hooks[0].state = f->hooks[1].state = HOOK_ABSENT;
	strcpy(f->lsm_error, "Operation not permitted");
	judge(f, &found, 1);
	assert_true(says(&found, "lsm_hooks", FINDING_MISSING, "cgroup programs load, but LSM "
			 "programs do not: Operation", "--egress-only"));
	f = good();
	f->hooks[2].state = HOOK_SILENT;
	strcpy(f->refuses, "no new sandboxes: a hook is silent");
	judge(f, &found, 1);
	assert_true(says(&found, "service", FINDING_MISSING, "refuses: no new sandboxes", NULL));
	f = good();
	f->nhooks = 0;
	strcpy(f->agent_error, "no memory\n\033[31m");
	judge(f, &found, 125);
}

static void files_and_libraries(void **state)
{
	struct doctor_facts *f = good();
	struct findings found;

	(void)state;
	f->log_err = -EROFS;
	judge(f, &found, 0);
	assert_true(says(&found, "log", FINDING_WARNING, "Read-only", "0750"));
	f = good();
	strcpy(f->writable[f->nwritable++], "/etc/egressctl/policies");
	judge(f, &found, 0);
	assert_true(says(&found, "policies", FINDING_WARNING, "/etc/egressctl/policies", "chmod"));
	f = good();
	f->libbpf_major = 0;
	judge(f, &found, 125);
}

static struct doctor_facts *with_agent(struct doctor_agent a)
{
	struct doctor_facts *f = good();

	f->agents[f->nagents++] = a;
	return f;
}

static void agents(void **state)
{
	struct findings found;
	struct doctor_facts *f;

	(void)state;
	judge(with_agent((struct doctor_agent){ .name = "other", .hook = "file_open" }), &found, 0);
	assert_true(says(&found, "agents", FINDING_OK, "other (file_open)", NULL));
	judge(with_agent((struct doctor_agent){ .name = "lb\033[0m", .hook = "connect4",
						.where = "/sys/fs/cgroup" }), &found, 0);
	assert_true(says(&found, "agents", FINDING_WARNING, "lb\\x1b", "allow"));
	judge(with_agent((struct doctor_agent){ .name = "count", .hook = "egress",
						.where = "/sys/fs/cgroup" }), &found, 0);
	assert_true(says(&found, "agents", FINDING_OK, "'count'", NULL));
	judge(with_agent((struct doctor_agent){ .name = "old", .hook = "egress", .where = "/c",
						.overridable = true }), &found, 0);
	assert_true(says(&found, "agents", FINDING_WARNING, "take its place", "ALLOW_MULTI"));
	judge(with_agent((struct doctor_agent){ .name = "sole", .hook = "egress", .where = "/c",
						.exclusive = true }), &found, 1);
	assert_true(says(&found, "agents", FINDING_MISSING, "nobody attach", "ALLOW_MULTI"));
	f = good();
	f->agents_err = -EPERM;
	judge(f, &found, 0);
	assert_true(says(&found, "agents", FINDING_WARNING, "cannot be listed", NULL));
}

/* ---- the table of probes ------------------------------------------------------------- */

static int rows_of(const char *prog)
{
	int n = 0;

	for (size_t i = 0; i < prove_nrows; i++)
		n += str_eq(prove_rows[i].prog, prog);
	for (size_t i = 0; i < prove_nexempts; i++)
		n += str_eq(prove_exempts[i].prog, prog);
	return n;
}

static void every_program_has_a_probe(void **state)
{
	struct egressctl_bpf *skel = egressctl_bpf__open();
	struct bpf_program *prog;
	bool missing = false;

	(void)state;
	assert_non_null(skel);
	bpf_object__for_each_program(prog, skel->obj) {
		if (rows_of(bpf_program__name(prog)) == 1)
			continue;
		print_error("%s: one row in user/prove_rows.c, please\n", bpf_program__name(prog));
		missing = true;
	}
	for (size_t i = 0; i < prove_nrows; i++) {
		prog = bpf_object__find_program_by_name(skel->obj, prove_rows[i].prog);
		if (!prog) {
			print_error("%s: no such program\n", prove_rows[i].prog);
			missing = true;
			continue;
		}
		assert_int_equal(prove_rows[i].cgroup,
				 str_starts(bpf_program__section_name(prog), "cgroup"));
	}
	egressctl_bpf__destroy(skel);
	assert_false(missing);
}

static void verdicts(void **state)
{
	const struct prove_row refused = { .refused = -EPERM, .free = 0 };
	const struct prove_row behind = { .refused = -EPERM, .free = -EINVAL };
	const struct prove_row any = { .refused = -EACCES, .free = PROVE_ANY };
	const struct prove_row dead = { .refused = -EAGAIN, .free = 0 };
	const struct prove_row works = { .refused = 0 };
	const struct prove_row counted = { .free = -EIO, .stage = PROVE_AUDIT, .violations = 2 };

	(void)state;
	assert_int_equal(prove_judge(&refused, 0, -EPERM), PROVE_PROVED);
	assert_int_equal(prove_judge(&refused, 0, 0), PROVE_SILENT);
	assert_int_equal(prove_judge(&refused, 0, -EACCES), PROVE_SILENT); /* the exact errno */
	assert_int_equal(prove_judge(&refused, -EPERM, -EPERM), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&refused, 0, PROVE_CANNOT(-EMFILE)), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&behind, -EINVAL, -EPERM), PROVE_PROVED);
	assert_int_equal(prove_judge(&behind, 0, -EPERM), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&any, -EOPNOTSUPP, -EACCES), PROVE_PROVED);
	assert_int_equal(prove_judge(&any, -EACCES, -EACCES), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&any, -EOPNOTSUPP, -EOPNOTSUPP), PROVE_SILENT);
	assert_int_equal(prove_judge(&works, 0, 0), PROVE_PROVED);
	assert_int_equal(prove_judge(&works, 0, -EPERM), PROVE_SILENT);
	/* what others have used up says nothing about a hook */
	assert_int_equal(prove_judge(&works, 0, -ENOSPC), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&refused, 0, -ENOMEM), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&any, -ENOBUFS, -ENOMEM), PROVE_UNTRIED);
	assert_int_equal(prove_judge(&any, -ENOBUFS, -ENOBUFS), PROVE_SILENT);
	assert_int_equal(prove_judge(&dead, 0, -EAGAIN), PROVE_PROVED);
	assert_int_equal(prove_judge(&counted, -EIO, 2), PROVE_PROVED);
	assert_int_equal(prove_judge(&counted, -EIO, 1), PROVE_SILENT);
	assert_int_equal(prove_judge(&counted, -EPERM, 2), PROVE_UNTRIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_well),
		cmocka_unit_test(kernels),
		cmocka_unit_test(lsm_lists),
		cmocka_unit_test(cgroups),
		cmocka_unit_test(clocks_and_names),
		cmocka_unit_test(services),
		cmocka_unit_test(hooks),
		cmocka_unit_test(files_and_libraries),
		cmocka_unit_test(agents),
		cmocka_unit_test(every_program_has_a_probe),
		cmocka_unit_test(verdicts),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}

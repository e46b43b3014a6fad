/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Each hook is proved by an access of its own: all of them, and with each detached, that one. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bpf_load.h"
#include "diag.h"
#include "harness.h"
#include "prove.h"
#include "util.h"

#define ROUNDS 20

static struct prover *prover;

static const char *const states[] = { "absent", "proved", "silent", "untried" };

static void run(struct prove_result *r)
{
	struct diag d = {};
	char text[2048];

	if (prover_run(prover, r, &d))
		harness_die("%s", diag_text(&d, text, sizeof(text)));
}

static void show(size_t i, const struct prove_result *r)
{
	fail("%s: %s (%s: outside %s, inside %d)", prove_rows[i].prog, states[r->state],
	     prove_rows[i].access, result_text(r->control), r->got);
}

static void all(struct prove_result *r)
{
	if (!case_begin("every hook is proved"))
		return;
	run(r);
	for (size_t i = 0; i < prove_nrows; i++)
		if (r[i].state != PROVE_PROVED &&
		    (r[i].state != PROVE_ABSENT || agent_has_program(harness_agent(),
								     prove_rows[i].prog)))
			show(i, &r[i]);
	case_end();
}

/* Whether exactly this program is missed: no probe is answered by another hook than its own. */
static void one_silent(size_t silent, struct prove_result *r)
{
	const char *prog = prove_rows[silent].prog;
	struct diag d = {};

	if (!agent_has_program(harness_agent(), prog))
		return;
	must(agent_detach(harness_agent(), prog));
	run(r);
	if (agent_attach(harness_agent(), prog, &d))
		harness_die("%s", d.msg);
	for (size_t i = 0; i < prove_nrows; i++) {
		/* others may need it to be tried at all */
		if (i == silent ? r[i].state == PROVE_SILENT : r[i].state != PROVE_SILENT)
			continue;
		fail("%s was detached", prog);
		show(i, &r[i]);
	}
}

static void each(struct prove_result *r)
{
	if (!case_begin("a hook that is silent is named, and no other"))
		return;
	for (size_t i = 0; i < prove_nrows; i++)
		one_silent(i, r);
	case_end();
}

static int count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n;
}

/* They go on for as long as egressd does. */
static void many(struct prove_result *r)
{
	int files = count_files();

	if (!case_begin("rounds leave nothing behind"))
		return;
	for (int i = 0; i < ROUNDS; i++)
		run(r);
	check(count_files() == files, "%d files are open, %d were", count_files(), files);
	check(waitpid(-1, NULL, WNOHANG) < 0, "a process is left");
	case_end();
}

int main(int argc, char **argv)
{
	struct prove_result *r = calloc(prove_nrows, sizeof(*r));
	struct diag d = {};

	harness_init(argc, argv);
	if (!r || prover_new(harness_agent(), harness_publisher(), harness_sandboxes(), &prover,
			     &d))
		harness_die("%s", d.msg);
	all(r);
	each(r);
	all(r);
	many(r);
	prover_free(prover);
	free(r);
	return harness_done();
}

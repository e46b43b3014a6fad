/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The prover's side that stays outside: the sandbox, its three stages, the answers. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "bpf_load.h"
#include "bpf_sweep.h"
#include "cgroup.h"
#include "compile.h"
#include "diag.h"
#include "policy.h"
#include "policy_vars.h"
#include "prove_int.h"
#include "publish.h"
#include "sandbox.h"
#include "state.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define OWNER 65534 /* nobody */
#define NAME "egressctl-proof" /* of the sandbox; of the policy in messages */
#define DIR_PREFIX "prove-"
#define EMPTY_MS 10000 /* killed tasks end at once, unless stuck in the kernel */

struct run {
	struct prover *p;
	pid_t pid;
	int pidfd, to, from; /* the child's ends of the pipes are its own */
	int stage; /* enum prove_stage that the child is in; -1: it prepares */
	pid_t outsider;
};

struct prover {
	struct agent *a;
	struct publisher *p;
	struct sandbox *box;
	const struct version *version[PROVE_AUDIT + 1];
	char dir[PROVE_DIR_MAX];
	bool *wanted;
	struct run run;
	pid_t ending; /* the child of the last run: killed, maybe not dead yet; 0: none */
};

static const struct run no_run = { .to = -1, .from = -1, .pidfd = -1 };

/* ---- the policies -------------------------------------------------------------------- */

/*
 * Nothing, but for what shows a program by what it makes possible: terminals, and a
 * directory from which others are moved away. sys_admin and sys_resource let the probes of
 * mounts and queues past `capable`, to the hooks that are meant.
 */
static char *policy_text(const char *dir, enum prove_stage stage)
{
	char *text;

	if (asprintf(&text,
		     "version: 1\n"
		     "mode: %s\n"
		     "files:\n"
		     "  default: none\n"
		     "  /dev/ptmx: rw\n"
		     "  /dev/pts: rw\n"
		     "  \"%s/%u/here\": rx\n"
		     "exec: strict\n"
		     "egress: {loopback: none, listen: none}\n"
		     "privileges: [sys_admin, sys_resource, io_uring off]\n",
		     stage == PROVE_AUDIT ? "audit" : "enforce", dir, PROVE_SANDBOXED) < 0)
		return NULL;
	return text;
}

static int compile(char *text, struct compiled **out, struct diag *d)
{
	const struct policy_source source = { .name = (char *)NAME, .path = (char *)NAME,
					      .text = text, .len = strlen(text) };
	const struct policy_texts texts = { .src = &source, .n = 1 };
	struct policy_reader reader = policy_reader_texts(&texts);
	struct policy_vars vars = {};
	struct policy *policy = NULL;
	int err;

	err = policy_load(NAME, &reader, &policy, d);
	if (!err)
		err = policy_compile(policy, &vars, out, d);
	policy_free(policy);
	return err;
}

/*
 * What server_compile_key() reads: an egressd that is killed leaves the version in the
 * maps, and the next one has to know it to be able to free it.
 */
static char *make_key(const char *text)
{
	json_t *j = json_pack("{s:[s], s:[{s:s, s:s, s:s}], s:i}", "policies", NAME, "texts",
			      "name", NAME, "path", NAME, "text", text, "uid", 0);
	char *key = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	json_decref(j);
	return key;
}

static int publish(struct prover *p, enum prove_stage stage, struct diag *d)
{
	_cleanup_free_ char *text = policy_text(p->dir, stage);
	_cleanup_free_ char *key = text ? make_key(text) : NULL;
	struct compiled *c = NULL;
	int err;

	if (!key)
		return diag_set(d, -ENOMEM, "out of memory");
	err = compile(text, &c, d);
	if (err)
		return err;
	c->unbound = true; /* that takes a hook, which may be the one that is silent */
	return publisher_put(p->p, c, key, strlen(key), NULL, &p->version[stage], d);
}

/* ---- life ---------------------------------------------------------------------------- */

/* The processes of the last run are gone. */
static bool is_over(struct prover *p)
{
	if (p->ending && !waitpid(p->ending, NULL, WNOHANG))
		return false;
	p->ending = 0;
	return sandbox_empty(p->box);
}

/* The same for who can wait. What cannot be killed stays, and goes on being refused. */
static void wait_over(struct prover *p)
{
	if (cgroup_wait_empty(sandbox_cgroup_fd(p->box), EMPTY_MS) || !p->ending)
		return;
	while (waitpid(p->ending, NULL, 0) < 0 && errno == EINTR)
		;
	p->ending = 0;
}

static struct eg_sandbox *slot(const struct prover *p)
{
	return &agent_sandboxes(p->a)[sandbox_slot(p->box)];
}

/* Directories of processes that were killed. A number that is another's by now: later. */
static void sweep_old_dirs(int state)
{
	int fd = openat(state, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char path[PROVE_DIR_MAX];
	struct dirent *e;
	uint64_t pid;

	while (dir && (e = readdir(dir))) {
		if (!str_starts(e->d_name, DIR_PREFIX) ||
		    parse_u64(e->d_name + strlen(DIR_PREFIX), 1, INT32_MAX, &pid) ||
		    !kill((pid_t)pid, 0) || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/" DIR_PREFIX "%" PRIu64, STATE_DIR, pid);
		sweep_tree(path);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static int make_dir(struct prover *p, struct diag *d)
{
	int fd = state_open(d);

	if (fd < 0)
		return fd;
	sweep_old_dirs(fd);
	close(fd);
	if (snprintf(p->dir, sizeof(p->dir), "%s/" DIR_PREFIX "%d", STATE_DIR, getpid()) >=
	    (int)sizeof(p->dir))
		return diag_set(d, -ENAMETOOLONG, "the path %s is too long", STATE_DIR);
	sweep_tree(p->dir); /* of a process that had our number */
	if (mkdir(p->dir, 0700))
		return diag_set(d, -errno, "cannot make %s: %s", p->dir, strerror(errno));
	return 0;
}

static int make_box(struct prover *p, struct sandboxes *s, struct diag *d)
{
	/* an ordinary user's: of root's nobody asks where rights come from */
	const struct sandbox_spec spec = { .version = p->version[PROVE_DENY], .name = NAME,
					   .policies = NAME, .hidden = true, .uid = OWNER };
	int err = sandbox_new(s, &spec, &p->box, d);

	if (err)
		return err;
	/* a bucket that holds nothing: refusals are counted and never sent */
	slot(p)->ev_burst = 0;
	slot(p)->ev_rate = 1;
	slot(p)->state = EG_S_DEAD; /* between runs: who finds it is not to think it in use */
	return 0;
}

int prover_new(struct agent *a, struct publisher *pub, struct sandboxes *s, struct prover **out,
	       struct diag *d)
{
	struct prover *p = calloc(1, sizeof(*p));
	int err;

	if (p)
		p->wanted = calloc(prove_nrows, sizeof(*p->wanted));
	if (!p || !p->wanted) {
		free(p);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	p->a = a;
	p->p = pub;
	p->run = no_run;
	for (size_t i = 0; i < prove_nrows; i++)
		p->wanted[i] = agent_has_program(a, prove_rows[i].prog);
	err = make_dir(p, d);
	for (int stage = 0; stage < (int)ARRAY_SIZE(p->version) && !err; stage++)
		err = publish(p, stage, d);
	if (!err)
		err = make_box(p, s, d);
	if (err) {
		prover_free(p);
		return err;
	}
	*out = p;
	return 0;
}

void prover_free(struct prover *p)
{
	if (!p)
		return;
	prover_stop(p);
	if (p->box) {
		wait_over(p);
		(void)sandbox_remove(p->box);
	}
	for (size_t i = 0; i < ARRAY_SIZE(p->version); i++)
		if (p->version[i])
			publisher_unref(p->p, p->version[i]);
	if (p->dir[0])
		sweep_tree(p->dir);
	free(p->wanted);
	free(p);
}

/* ---- one run ------------------------------------------------------------------------- */

static int start(struct run *r, struct diag *d)
{
	struct prove_child c = { .dir = r->p->dir, .wanted = r->p->wanted,
				 .sandboxes_fd = agent_map_fd(r->p->a, AGENT_MAP_SANDBOXES) };
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC))
		return diag_set(d, -errno, "cannot make a pipe: %s", strerror(errno));
	r->to = to[1];
	if (pipe2(from, O_CLOEXEC)) {
		close(to[0]);
		return diag_set(d, -errno, "cannot make a pipe: %s", strerror(errno));
	}
	r->from = from[0];
	c.in = to[0];
	c.out = from[1];
	r->pid = fork();
	if (!r->pid)
		prove_child_main(&c);
	close(to[0]);
	close(from[1]);
	if (r->pid < 0)
		return diag_set(d, -errno, "cannot start a process: %s", strerror(errno));
	r->pidfd = pidfd_open(r->pid, 0);
	return r->pidfd < 0 ? diag_set(d, -errno, "pidfd_open: %s", strerror(errno)) : 0;
}

static int hear(struct run *r, void *buf, size_t size, struct diag *d)
{
	if (read(r->from, buf, size) == (ssize_t)size)
		return 0;
	return diag_set(d, -EPROTO, "the process that tries the hooks ended early");
}

static int hear_word(struct run *r, enum prove_word word, struct prove_message *m, struct diag *d)
{
	int err = hear(r, m, sizeof(*m), d);

	if (err)
		return err;
	if (m->word == PROVE_FAILED)
		return diag_set(d, m->err, "cannot prepare the probes: %s", strerror(-m->err));
	return m->word == word ? 0 : diag_set(d, -EPROTO, "the probes lost their way");
}

static int say_go(struct run *r, struct diag *d)
{
	const struct prove_message m = { .word = PROVE_GO, .slot = sandbox_slot(r->p->box) };

	if (write(r->to, &m, sizeof(m)) == sizeof(m))
		return 0;
	return diag_set(d, -EPROTO, "the process that tries the hooks ended early");
}

static void set_state(struct prover *p, uint32_t state, enum prove_stage stage)
{
	struct eg_sandbox *s = slot(p);
	/*
	 * One less than the quota where one at a time must do; else well above it, for each
	 * object counts one less whose end was missed, when another has its address.
	 */
	uint32_t objects = stage == PROVE_DENY ? EG_IPC_QUOTA - 1 : 2 * EG_IPC_QUOTA;

	__atomic_store_n(&s->ipc_objects, objects, __ATOMIC_RELEASE);
	/* none where none may */
	__atomic_store_n(&s->nkeys, stage == PROVE_DENY ? 0 : EG_KEY_QUOTA, __ATOMIC_RELEASE);
	__atomic_store_n(&s->policy, p->version[stage]->slot, __ATOMIC_RELEASE);
	__atomic_store_n(&s->state, state, __ATOMIC_RELEASE);
}

/* As for a cgroup that was attached: who comes in belongs to the sandbox. */
static int mark_comers(struct prover *p, bool on, struct diag *d)
{
	const struct eg_cgroup c = { .sandbox = sandbox_id(p->box), .slot = sandbox_slot(p->box),
				     .flags = on ? EG_CG_MARK : 0 };
	uint64_t id = slot(p)->cgroup;

	/* who comes is root's: in the sandbox of a user that would be a stranger */
	slot(p)->uid = on ? 0 : OWNER;
	if (bpf_map_update_elem(agent_map_fd(p->a, AGENT_MAP_CGROUPS), &id, &c, BPF_ANY))
		return diag_set(d, -errno, "cannot store the cgroup of the sandbox: %s",
				strerror(errno));
	return 0;
}

static int move_in(struct prover *p, pid_t outsider, struct diag *d)
{
	char text[16];
	int err;

	snprintf(text, sizeof(text), "%d", outsider);
	err = cgroup_write(sandbox_cgroup_fd(p->box), "cgroup.procs", text);
	return err ? diag_set(d, err, "cannot move a probe: %s", strerror(-err)) : 0;
}

static int enter(struct run *r, struct diag *d)
{
	struct prove_message m;
	int err;

	err = hear_word(r, PROVE_READY, &m, d);
	if (err)
		return err;
	r->outsider = m.outsider;
	sandbox_set_resolver(r->p->box, m.dns_port);
	return sandbox_enter(r->p->box, r->pidfd, 0, d);
}

static int begin_stage(struct run *r, enum prove_stage stage, struct diag *d)
{
	int err;

	switch (stage) {
	case PROVE_AUDIT:
		set_state(r->p, EG_S_LIVE, PROVE_AUDIT);
		return 0;
	case PROVE_JOINED:
		set_state(r->p, EG_S_LIVE, PROVE_DENY);
		err = mark_comers(r->p, true, d);
		if (!err)
			err = move_in(r->p, r->outsider, d);
		return mark_comers(r->p, false, d) ?: err;
	case PROVE_DEAD:
		set_state(r->p, EG_S_DEAD, PROVE_DENY);
		return 0;
	default:
		return 0;
	}
}

/* Nothing of it lives on; is_over() tells when, for who is in the kernel dies later. */
static void end(struct run *r)
{
	if (r->to >= 0)
		close(r->to);
	if (r->from >= 0)
		close(r->from);
	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL);
		sandbox_kill(r->p->box);
		r->p->ending = r->pid;
	}
	if (r->pidfd >= 0)
		close(r->pidfd);
	*r = no_run;
}

/*
 * What a host says that has no room, or no time: no hook does, where it is not `refused`.
 * A sandbox that uses up what a probe needs must not look like a hook that is silent.
 */
static bool is_shortage(int err)
{
	switch (-err) {
	case EAGAIN:
	case ENOMEM:
	case ENOBUFS:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
	case EUSERS:
	case EINTR:
		return true;
	default:
		return false;
	}
}

enum prove_state prove_judge(const struct prove_row *row, int control, int got)
{
	if (row->stage == PROVE_AUDIT) {
		if (control != row->free)
			return PROVE_UNTRIED;
		return got >= (int)row->violations ? PROVE_PROVED : PROVE_SILENT;
	}
	if (got <= PROVE_CANNOT(0))
		return PROVE_UNTRIED;
	if (row->refused && (row->free == PROVE_ANY ? control == row->refused ||
							      control <= PROVE_CANNOT(0) :
						      control != row->free))
		return PROVE_UNTRIED;
	if (got == row->refused)
		return PROVE_PROVED;
	/* unless that is just what comes of it without the program */
	if (is_shortage(got) && got != row->free && !(row->refused && got == control))
		return PROVE_UNTRIED;
	return PROVE_SILENT;
}

static bool needs_silent(const struct prove_row *row, const struct prove_result *results)
{
	for (size_t i = 0; i < ARRAY_SIZE(row->needs) && row->needs[i]; i++)
		for (size_t k = 0; k < prove_nrows; k++)
			if (str_eq(prove_rows[k].prog, row->needs[i]) &&
			    results[k].state == PROVE_SILENT)
				return true;
	return false;
}

/* What depends on a hook that is silent says nothing about its own. */
static void judge_dependent(struct prove_result *results)
{
	bool untried[PROVE_MAX_ROWS];

	for (size_t i = 0; i < prove_nrows; i++)
		untried[i] = needs_silent(&prove_rows[i], results);
	for (size_t i = 0; i < prove_nrows; i++)
		if (untried[i] && results[i].state != PROVE_ABSENT)
			results[i].state = PROVE_UNTRIED;
}

static void take_answers(struct prover *p, const struct prove_answer *answers,
			 struct prove_result *results)
{
	for (size_t i = 0; i < prove_nrows; i++)
		results[i] = (struct prove_result){
			.state = p->wanted[i] ? prove_judge(&prove_rows[i], answers[i].control,
							    answers[i].got) : PROVE_ABSENT,
			.control = answers[i].control, .got = answers[i].got,
		};
	judge_dependent(results);
}

int prover_start(struct prover *p, struct diag *d)
{
	int err;

	if (!is_over(p))
		return diag_set(d, -EBUSY, "a probe of the last time has not ended");
	/* each run begins with a directory that is empty */
	sweep_tree(p->dir);
	(void)mkdir(p->dir, 0700); /* a failure is the child's to report */
	p->run.p = p;
	p->run.stage = -1;
	set_state(p, EG_S_LIVE, PROVE_DENY);
	err = start(&p->run, d);
	if (err)
		prover_stop(p);
	return err;
}

int prover_fd(const struct prover *p)
{
	return p->run.from;
}

int prover_step(struct prover *p, struct prove_result *results, struct diag *d)
{
	struct prove_answer answers[PROVE_MAX_ROWS];
	struct run *r = &p->run;
	struct prove_message m;
	int err;

	if (r->stage == PROVE_STAGES - 1) {
		err = hear(r, answers, prove_nrows * sizeof(*answers), d);
		if (!err)
			take_answers(p, answers, results);
		prover_stop(p);
		return err;
	}
	err = r->stage < 0 ? enter(r, d) : hear_word(r, PROVE_STAGE_DONE, &m, d);
	if (!err)
		err = begin_stage(r, ++r->stage, d);
	if (!err)
		err = say_go(r, d);
	if (err)
		prover_stop(p);
	return err ? err : 1;
}

void prover_stop(struct prover *p)
{
	end(&p->run); /* what there is of one, if anything is */
	if (p->box)
		slot(p)->state = EG_S_DEAD;
}

/* For the caller of prover_run() alone, which has nothing else to do. */
static int wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, PROVE_PATIENCE_MS);
	} while (n < 0 && errno == EINTR);
	return n;
}

int prover_run(struct prover *p, struct prove_result *results, struct diag *d)
{
	int err = prover_start(p, d);

	if (err)
		return err;
	do {
		if (wait_for(prover_fd(p))) {
			err = prover_step(p, results, d);
			continue;
		}
		err = diag_set(d, -ETIME, "a probe did not come back within %d s",
			       PROVE_PATIENCE_MS / 1000);
		prover_stop(p);
	} while (err > 0);
	wait_over(p);
	return err;
}

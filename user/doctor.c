/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Facts to findings: nothing here looks at the host. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diag.h"
#include "doctor.h"
#include "host.h"
#include "util.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

#define NSEC_PER_SEC 1000000000ull
#define EARLIEST_YEAR_NS (1704067200ull * NSEC_PER_SEC) /* 2024-01-01, before the first release */
#define CLOCKS_APART_NS NSEC_PER_SEC /* that two readings one after the other may differ */

static struct finding *add(struct findings *out, const char *check, enum finding_level level,
			   const char *fmt, ...) __printf_like(4, 5);

static struct finding *add(struct findings *out, const char *check, enum finding_level level,
			   const char *fmt, ...)
{
	static struct finding none; /* one too many: written to and never shown */
	struct finding *f = out->n < DOCTOR_MAX_FINDINGS ? &out->v[out->n++] : &none;
	char text[sizeof(f->text)];
	va_list ap;

	*f = (struct finding){ .check = check, .level = level };
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut, as one line */
	va_end(ap);
	diag_escape(f->text, sizeof(f->text), text, strlen(text));
	return f;
}

static void remedy(struct finding *f, const char *fmt, ...) __printf_like(2, 3);

static void remedy(struct finding *f, const char *fmt, ...)
{
	char text[sizeof(f->remedy)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag_escape(f->remedy, sizeof(f->remedy), text, strlen(text));
}

static void lose(struct findings *out, struct finding *f, unsigned int what)
{
	f->lost |= what;
	out->lost |= what;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t n = strlen(word);

	while (*list) {
		list += strspn(list, separators);
		if (strcspn(list, separators) == n && !strncmp(list, word, n))
			return true;
		list += strcspn(list, separators);
	}
	return false;
}

/* ---- the kernel ---------------------------------------------------------------------- */

static void judge_kernel(const struct doctor_facts *f, struct findings *out)
{
	bool old = f->major < HOST_KERNEL_MAJOR ||
		   (f->major == HOST_KERNEL_MAJOR && f->minor < HOST_KERNEL_MINOR);
	struct finding *k;

	k = add(out, "kernel", old ? FINDING_MISSING : FINDING_OK, "Linux %s%s", f->release,
		old ? " is too old" : "");
	if (old) {
		remedy(k, "use Linux %d.%d or newer", HOST_KERNEL_MAJOR, HOST_KERNEL_MINOR);
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	}
	k = add(out, "btf", f->btf ? FINDING_OK : FINDING_MISSING, "%s",
		f->btf ? "the kernel has type information (BTF)"
		       : "the kernel has no type information (" HOST_BTF_FILE " is missing)");
	if (!f->btf) {
		remedy(k, "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as Debian's are");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	}
	if (str_eq(f->lockdown, "confidentiality")) {
		k = add(out, "lockdown", FINDING_MISSING,
			"kernel lockdown is in force (confidentiality): BPF programs may not read "
			"kernel memory");
		remedy(k, "boot with lockdown=integrity or without lockdown=");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	}
	if (!f->jit) {
		k = add(out, "jit", FINDING_MISSING,
			"the BPF compiler is off, which LSM programs need");
		remedy(k, "sysctl net.core.bpf_jit_enable=1");
		lose(out, k, LOST_PATHS);
	}
}

static void judge_lsm(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (!f->lsm_known) {
		k = add(out, "lsm", FINDING_WARNING, "the list of security modules cannot be read");
		remedy(k, "mount -t securityfs securityfs /sys/kernel/security");
	} else if (has_word(f->lsms, "bpf", ",")) {
		(void)add(out, "lsm", FINDING_OK, "BPF LSM is active (%s)", f->lsms);
	} else {
		k = add(out, "lsm", FINDING_MISSING,
			"BPF LSM is not active (%s): path rules, unix sockets and the guard cannot "
			"be enforced",
			f->lsms);
		remedy(k,
		       "egressctl setup --boot, then reboot (by hand: add lsm=%s%sbpf to the "
		       "kernel command line); --egress-only works without",
		       f->lsms, *f->lsms ? "," : "");
		lose(out, k, LOST_PATHS);
	}
	if (f->ftrace_enabled == 0) {
		k = add(out, "ftrace", FINDING_MISSING,
			"kernel.ftrace_enabled is 0: every LSM program is silent");
		remedy(k, "sysctl kernel.ftrace_enabled=1");
		lose(out, k, LOST_PATHS);
	} else if (f->ftrace_enabled > 0) {
		(void)add(out, "ftrace", FINDING_OK, "kernel.ftrace_enabled is on");
	}
	if (f->unprivileged_bpf_disabled == 0) {
		k = add(out, "unprivileged_bpf", FINDING_WARNING,
			"any user may load BPF programs (outside of sandboxes)");
		remedy(k, "sysctl kernel.unprivileged_bpf_disabled=2");
	} else if (f->unprivileged_bpf_disabled > 0) {
		(void)add(out, "unprivileged_bpf", FINDING_OK, "only root loads BPF programs");
	}
}

/* ---- filesystems --------------------------------------------------------------------- */

static void judge_controllers(const struct doctor_facts *f, struct findings *out)
{
	static const char *const wanted[] = { "memory", "pids", "cpu" };
	char missing[64] = "";
	struct finding *k;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (!has_word(f->controllers, wanted[i], " \n"))
			n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s",
					      n ? ", " : "", wanted[i]);
	if (!n) {
		(void)add(out, "controllers", FINDING_OK, "memory, pids and cpu can be limited");
		return;
	}
	k = add(out, "controllers", FINDING_WARNING,
		"cgroup v2 has no controller %s here%s: limits on it are refused",
		missing, f->hybrid ? " (cgroup v1 has taken it)" : "");
	remedy(k, f->hybrid ? "boot with systemd.unified_cgroup_hierarchy=1"
			    : "in a container: have them delegated to it; else a kernel that has "
			      "them");
}

static void judge_mounts(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (!*f->cgroup) {
		k = add(out, "cgroup", FINDING_MISSING, "no cgroup v2 file system is mounted");
		remedy(k, "boot with systemd.unified_cgroup_hierarchy=1, or mount -t cgroup2 none "
			  "DIRECTORY, an empty one");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	} else if (f->cgroup_writable == 0) {
		k = add(out, "cgroup", FINDING_MISSING, "cgroup v2 at %s cannot be written to",
			f->cgroup);
		remedy(k, "in a container: give it a cgroup namespace of its own, writable");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	} else {
		(void)add(out, "cgroup", FINDING_OK, "cgroup v2 at %s%s", f->cgroup,
			  f->hybrid ? ", beside cgroup v1 (hybrid)" : "");
		judge_controllers(f, out);
	}
	if (f->bpffs == 1) {
		(void)add(out, "bpffs", FINDING_OK, "a BPF file system is mounted");
	} else if (!f->bpffs) {
		/* the agent mounts one: with its programs loaded, this is no news */
		k = add(out, "bpffs", FINDING_WARNING, "no BPF file system is mounted");
		remedy(k, "egressd mounts it; by hand: mount -t bpf bpf /sys/fs/bpf");
	}
}

/* ---- clock, resolver ----------------------------------------------------------------- */

static void judge_clock(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (f->boottime + CLOCKS_APART_NS < f->monotonic) {
		k = add(out, "clock", FINDING_MISSING,
			"CLOCK_BOOTTIME is behind CLOCK_MONOTONIC: names and grants would not "
			"expire on time");
		remedy(k, "leave the time namespace: unshare --time moves the clocks of a process");
		lose(out, k, LOST_EGRESS);
	} else if (f->realtime < EARLIEST_YEAR_NS) {
		k = add(out, "clock", FINDING_WARNING,
			"the clock shows a time before 2024: events have wrong dates, certificates "
			"look invalid");
		remedy(k, "set the clock (timedatectl set-ntp true)");
	} else {
		(void)add(out, "clock", FINDING_OK, "the clocks are sane");
	}
}

static void judge_resolver(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (f->resolv_err) {
		k = add(out, "resolver", FINDING_WARNING,
			"/etc/resolv.conf cannot be read (%s): names are asked of 127.0.0.1",
			strerror(-f->resolv_err));
		remedy(k, "write a nameserver line to /etc/resolv.conf");
	} else if (!f->nservers) {
		k = add(out, "resolver", FINDING_WARNING,
			"/etc/resolv.conf names no server: names are asked of 127.0.0.1");
		remedy(k, "write a nameserver line to /etc/resolv.conf");
	} else {
		(void)add(out, "resolver", FINDING_OK, "names are asked of %s%s", f->server,
			  f->nservers > 1 ? " and others" : "");
	}
	if (f->resolver_answers < 0) {
		k = add(out, "listener", FINDING_MISSING,
			"the resolver for sandboxes does not answer on localhost (%s)",
			strerror(-f->resolver_answers));
		remedy(k, "bring up loopback (ip link set lo up), let UDP pass on it; run doctor "
			  "in egressd's own network namespace");
		lose(out, k, LOST_EGRESS);
	} else if (!f->resolver_answers) {
		(void)add(out, "listener", FINDING_OK, "the resolver for sandboxes answers");
	}
}

/* ---- the service, the proof ---------------------------------------------------------- */

static void judge_service(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (!f->service && f->abi == EG_ABI) {
		(void)add(out, "service", FINDING_OK, "egressd is running");
	} else if (!f->service) {
		k = add(out, "service", FINDING_WARNING,
			"egressd is of another version (ABI %d, this egressctl has %u)",
			f->abi, EG_ABI);
		remedy(k, "restart egressd: sandboxes go on under the programs they began with");
	} else if (f->service == -ENOENT || f->service == -ECONNREFUSED) {
		k = add(out, "service", f->root ? FINDING_OK : FINDING_MISSING,
			"egressd is not running: %s",
			f->root ? "root starts sandboxes without it"
				: "only root can start sandboxes");
		if (!f->root) {
			remedy(k, "start egressd (systemctl start egressd), or ask as root");
			lose(out, k, LOST_PATHS | LOST_EGRESS);
		}
	} else {
		k = add(out, "service", FINDING_MISSING, "egressd cannot be asked (%s)",
			strerror(-f->service));
		remedy(k, "join the group that egressd serves (see group: in egressd.yaml)");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	}
}

size_t doctor_list_hooks(const struct doctor_facts *f, enum doctor_hook_state state, int lsm,
			 char *buf, size_t size)
{
	size_t n = 0, len = 0;

	*buf = 0;
	for (size_t i = 0; i < f->nhooks; i++) {
		const struct doctor_hook *h = &f->hooks[i];

		if (h->state != state || h->lsm != lsm)
			continue;
		if (len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", n ? ", " : "",
						h->program);
		n++;
	}
	return n;
}

static size_t count_hooks(const struct doctor_facts *f, int lsm, bool *any)
{
	size_t proved = 0;

	*any = false;
	for (size_t i = 0; i < f->nhooks; i++) {
		if (f->hooks[i].lsm != lsm || f->hooks[i].state == HOOK_ABSENT)
			continue;
		*any = true;
		proved += f->hooks[i].state == HOOK_PROVED;
	}
	return proved;
}

static void judge_layer(const struct doctor_facts *f, int lsm, struct findings *out)
{
	const char *check = lsm ? "lsm_hooks" : "cgroup_hooks", *kind = lsm ? "LSM" : "cgroup";
	char names[512];
	struct finding *k;
	size_t proved, n;
	bool any;

	proved = count_hooks(f, lsm, &any);
	if (!any)
		return;
	n = doctor_list_hooks(f, HOOK_SILENT, lsm, names, sizeof(names));
	if (n && !proved) {
		k = add(out, check, FINDING_MISSING,
			"the %s layer is silent: none of its %zu hooks refuses anything",
			kind, n);
		lose(out, k, lsm ? LOST_PATHS : LOST_EGRESS);
		if (lsm)
			remedy(k, "sysctl kernel.ftrace_enabled=1; then restart egressd");
		else
			remedy(k, "restart egressd, which attaches them anew");
	} else if (n) {
		k = add(out, check, FINDING_MISSING,
			"silent: %s: what %s must refuse was not refused", names,
			n > 1 ? "they" : "it");
		lose(out, k, lsm ? LOST_PATHS : LOST_EGRESS);
		remedy(k, "restart egressd, which attaches them anew; find out who detached %s",
		       n > 1 ? "them" : "it");
	} else {
		(void)add(out, check, FINDING_OK,
			  "%zu %s hooks are attached, and each refused what it must",
			  proved, kind);
	}
	n = doctor_list_hooks(f, HOOK_UNTRIED, lsm, names, sizeof(names));
	if (n) {
		k = add(out, check, FINDING_WARNING,
			"attached, but not proved: %s: it cannot be tried on this host, or not "
			"while others are silent",
			names);
		remedy(k, "egressctl doctor --json shows what was tried and what came of it");
	}
}

static void judge_proof(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (*f->lsm_error) {
		/* what cgroup programs may, these may not: it is them that are refused */
		bool refused = !f->egress_only && !*f->agent_error && f->lsm_known &&
			       has_word(f->lsms, "bpf", ",");

		k = add(out, "lsm_hooks", FINDING_MISSING, "not attached: %s%s",
			refused ? "BPF LSM is active, and cgroup programs load, but LSM programs "
				  "do not: "
				: "",
			f->lsm_error);
		if (f->egress_only)
			remedy(k, "start egressd without --egress-only");
		else if (refused)
			remedy(k, "something above this system forbids them (a hypervisor's "
				  "policy, a container, a patched kernel): ask whoever runs it; "
				  "--egress-only works without them");
		else
			remedy(k, "the findings above say why; --egress-only works without them");
		lose(out, k, LOST_PATHS);
	}
	if (*f->agent_error) {
		k = add(out, "hooks", FINDING_MISSING, "not proved: %s", f->agent_error);
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	}
	judge_layer(f, 1, out);
	judge_layer(f, 0, out);
	/* what is lost by that, the layers say */
	if (*f->refuses && !f->service) {
		k = add(out, "service", FINDING_MISSING, "egressd refuses: %s", f->refuses);
		remedy(k, "nothing beside that: it tries again every few seconds");
	}
}

/* ---- files --------------------------------------------------------------------------- */

static void judge_files(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (!f->log_err) {
		(void)add(out, "log", FINDING_OK, "the event log %s can be written", f->log_dir);
	} else if (f->log_err < 0) {
		k = add(out, "log", FINDING_WARNING, "the event log %s cannot be written: %s",
			f->log_dir, strerror(-f->log_err));
		remedy(k, "make it root's own, mode 0750, on a filesystem with room; or log: in "
			  "egressd.yaml");
	}
	for (size_t i = 0; i < f->nwritable; i++) {
		k = add(out, "policies", FINDING_WARNING, "others than root can change %s",
			f->writable[i]);
		remedy(k, "chown root:root %s && chmod go-w %s", f->writable[i], f->writable[i]);
	}
	if (!f->nwritable)
		(void)add(out, "policies", FINDING_OK, "only root can change the host's policies");
	if (f->libbpf_major < 1) {
		k = add(out, "libraries", FINDING_MISSING, "libbpf %u.%u is too old",
			f->libbpf_major, f->libbpf_minor);
		remedy(k, "install libbpf 1.0 or newer");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
	} else {
		(void)add(out, "libraries", FINDING_OK, "%s", f->libraries);
	}
}

/* ---- other agents -------------------------------------------------------------------- */

static void judge_cgroup_agent(const struct doctor_agent *a, struct findings *out)
{
	struct finding *k;

	if (a->exclusive) {
		k = add(out, "agents", FINDING_MISSING,
			"the program '%s' (%s) at %s lets nobody attach below it",
			a->name, a->hook, a->where);
		remedy(k, "have its owner attach it with BPF_F_ALLOW_MULTI");
		lose(out, k, LOST_EGRESS);
	} else if (a->overridable) {
		k = add(out, "agents", FINDING_WARNING,
			"the program '%s' (%s) at %s does not run for sandboxes: those of "
			"egressctl take its place there",
			a->name, a->hook, a->where);
		remedy(k, "have its owner attach it with BPF_F_ALLOW_MULTI");
	} else if (str_starts(a->hook, "connect") || str_starts(a->hook, "sendmsg")) {
		k = add(out, "agents", FINDING_WARNING,
			"the program '%s' (%s) at %s runs for sandboxes, too: where it changes a "
			"destination, the packet is judged by the new one",
			a->name, a->hook, a->where);
		remedy(k, "nothing, unless allowed destinations are refused: then allow what it "
			  "makes of them");
	} else {
		(void)add(out, "agents", FINDING_OK,
			  "the program '%s' (%s) at %s runs for sandboxes, too: it can only refuse "
			  "more",
			  a->name, a->hook, a->where);
	}
}

static void judge_agents(const struct doctor_facts *f, struct findings *out)
{
	char names[512] = "";
	size_t n = 0, len = 0;

	if (f->agents_err < 0)
		(void)add(out, "agents", FINDING_WARNING,
			  "BPF programs of others cannot be listed: %s", strerror(-f->agents_err));
	if (f->agents_err)
		return;
	for (size_t i = 0; i < f->nagents; i++) {
		const struct doctor_agent *a = &f->agents[i];

		if (*a->where) {
			judge_cgroup_agent(a, out);
			continue;
		}
		if (len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s (%s)",
						n ? ", " : "", a->name, a->hook);
		n++;
	}
	if (n)
		(void)add(out, "agents", FINDING_OK,
			  "LSM programs of others run too, and can refuse what a policy allows, "
			  "but allow nothing: %s",
			  names);
	if (f->more_agents)
		(void)add(out, "agents", FINDING_WARNING, "%zu more programs of others",
			  f->more_agents);
	if (!f->nagents)
		(void)add(out, "agents", FINDING_OK, "no other agent's programs are in the way");
}

static void judge_unseen(const struct doctor_facts *f, struct findings *out)
{
	struct finding *k;

	if (f->root)
		return;
	k = add(out, "user", FINDING_WARNING,
		"not looked at without root: %s%s%sBPF programs of others, the event log",
		f->ftrace_enabled == UNKNOWN ? "kernel.ftrace_enabled, " : "",
		f->unprivileged_bpf_disabled == UNKNOWN ? "kernel.unprivileged_bpf_disabled, " : "",
		f->bpffs == UNKNOWN ? "the BPF file system, " : "");
	remedy(k, "sudo egressctl doctor");
}

void doctor_judge(const struct doctor_facts *f, struct findings *out)
{
	*out = (struct findings){};
	if (f->sandboxed) {
		struct finding *k = add(out, "sandbox", FINDING_MISSING,
					"this is a sandbox: nothing can be said from in here");

		remedy(k, "run egressctl doctor outside");
		lose(out, k, LOST_PATHS | LOST_EGRESS);
		return;
	}
	judge_kernel(f, out);
	judge_lsm(f, out);
	judge_mounts(f, out);
	judge_clock(f, out);
	judge_resolver(f, out);
	judge_service(f, out);
	judge_proof(f, out);
	judge_files(f, out);
	judge_agents(f, out);
	judge_unseen(f, out);
}

int doctor_status(const struct findings *out)
{
	if (!out->lost)
		return 0;
	return out->lost == (LOST_PATHS | LOST_EGRESS) ? 125 : 1;
}

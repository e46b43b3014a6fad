/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Looking at the host: files below /proc and /sys, clocks, egressd. Nothing is changed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <jansson.h>
#include <ldns/ldns.h>
#include <libfyaml.h>

#include "cgroup.h"
#include "config.h"
#include "control.h"
#include "diag.h"
#include "dns_conf.h"
#include "doctor.h"
#include "eventlog.h"
#include "host.h"
#include "local_agent.h"
#include "task_check.h"
#include "util.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define ANSWER_MS 5000 /* for the resolver on localhost, which answers at once */
#define PROBED_NAME "\6doctor\11egressctl\7invalid" /* as DNS writes it; no policy allows it */
#define DNS_NXDOMAIN 3
#define DNS_RESPONSE 0x80

/* ---- one value ----------------------------------------------------------------------- */

/* The first line of a small file; false: it cannot be read. */
static bool read_line(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return n >= 0;
}

static int read_number(const char *path)
{
	char text[32];
	uint64_t v;

	if (!read_line(path, text, sizeof(text)) || parse_u64(text, 0, INT32_MAX, &v))
		return UNKNOWN;
	return (int)v;
}

/* "none [integrity] confidentiality" */
static void read_lockdown(char *buf, size_t size)
{
	char text[128], *from, *to;

	if (!read_line("/sys/kernel/security/lockdown", text, sizeof(text)))
		return;
	from = strchr(text, '[');
	to = from ? strchr(from, ']') : NULL;
	if (!to)
		return;
	*to = 0;
	snprintf(buf, size, "%s", from + 1);
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts = {};

	(void)clock_gettime(id, &ts); /* these three cannot fail */
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* ---- the kernel, mounts -------------------------------------------------------------- */

static void look_at_kernel(struct doctor_facts *f)
{
	struct utsname u;

	if (!uname(&u)) {
		snprintf(f->release, sizeof(f->release), "%s", u.release);
		(void)sscanf(u.release, "%u.%u", &f->major, &f->minor); /* 0.0 is too old */
	}
	f->btf = !access(HOST_BTF_FILE, R_OK);
	f->lsm_known = !host_read_lsms(f->lsms, sizeof(f->lsms));
	read_lockdown(f->lockdown, sizeof(f->lockdown));
	f->ftrace_enabled = read_number("/proc/sys/kernel/ftrace_enabled");
	f->unprivileged_bpf_disabled = read_number("/proc/sys/kernel/unprivileged_bpf_disabled");
	f->jit = read_number("/proc/sys/net/core/bpf_jit_enable");
	f->boottime = read_clock(CLOCK_BOOTTIME);
	f->monotonic = read_clock(CLOCK_MONOTONIC);
	f->realtime = read_clock(CLOCK_REALTIME);
}

static bool is_mounted(const char *type)
{
	char buf[PATH_MAX];

	return !mount_find(type, buf, sizeof(buf));
}

static void look_at_mounts(struct doctor_facts *f)
{
	char path[PATH_MAX + 32];

	f->bpffs = is_mounted("bpf");
	f->hybrid = is_mounted("cgroup");
	if (mount_find("cgroup2", f->cgroup, sizeof(f->cgroup))) {
		f->cgroup[0] = 0;
		return;
	}
	snprintf(path, sizeof(path), "%s/cgroup.controllers", f->cgroup);
	(void)read_line(path, f->controllers,
			sizeof(f->controllers)); /* none is missing them all */
	snprintf(path, sizeof(path), "%s/cgroup.procs", f->cgroup);
	f->cgroup_writable = f->root ? !access(path, W_OK) : UNKNOWN;
}

static void look_at_resolv_conf(struct doctor_facts *f)
{
	struct dns_file file = { .path = RESOLV_CONF };
	struct dns_resolv r;
	char *text;

	f->resolv_err = access(RESOLV_CONF, R_OK) ? -errno : 0;
	text = f->resolv_err ? NULL : dns_file_read(&file);
	if (!text)
		return;
	dns_resolv_parse(text, 53, &r);
	/* without any it is 127.0.0.1, which is what the C library does too */
	f->nservers = strstr(text, "nameserver") ? r.nservers : 0;
	if (r.servers[0].sa.sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &r.servers[0].in.sin_addr, f->server, sizeof(f->server));
	else
		(void)inet_ntop(AF_INET6, &r.servers[0].in6.sin6_addr, f->server,
				sizeof(f->server));
	free(text);
}

/* ---- files --------------------------------------------------------------------------- */

static void check_owner(struct doctor_facts *f, const char *path)
{
	struct stat st;

	if (f->nwritable == DOCTOR_MAX_WRITABLE || stat(path, &st))
		return;
	if (st.st_uid || (st.st_mode & S_IWOTH) || (st.st_gid && (st.st_mode & S_IWGRP)))
		snprintf(f->writable[f->nwritable++], PATH_MAX, "%s", path);
}

/* A directory on the way that others can write lets them put another one in its place. */
static void check_way(struct doctor_facts *f, const char *path)
{
	char part[PATH_MAX];
	const char *slash = path;

	while ((slash = strchr(slash + 1, '/'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		check_owner(f, part);
	}
	check_owner(f, path);
}

static void look_at_files(struct doctor_facts *f)
{
	struct config c;
	const char *dir;

	check_way(f, "/etc/egressctl/policies");
	check_way(f, EG_DATADIR "/policies");
	check_owner(f, CONFIG_FILE);
	config_defaults(&c);
	(void)config_load(CONFIG_FILE, &c, NULL); /* a bad one is egressd's to report */
	dir = c.log_dir ?: EVENTLOG_DIR;
	snprintf(f->log_dir, sizeof(f->log_dir), "%s", dir);
	f->log_err = 1;
	if (f->root) {
		struct eventlog *log = NULL;

		f->log_err = eventlog_open(dir, 0, &log);
		if (f->log_err == -EAGAIN)
			f->log_err = 0; /* egressd has it open */
		eventlog_close(log);
	}
	config_clear(&c);
}

static void look_at_libraries(struct doctor_facts *f)
{
	f->libbpf_major = libbpf_major_version();
	f->libbpf_minor = libbpf_minor_version();
	snprintf(f->libraries, sizeof(f->libraries),
		 "libbpf %u.%u, libfyaml %s, jansson %s, ldns %s", f->libbpf_major, f->libbpf_minor,
		 fy_library_version(), jansson_version_str(), LDNS_VERSION);
}

/* ---- the service, or an agent for the moment ----------------------------------------- */

static void copy(char *buf, size_t size, const json_t *o, const char *key)
{
	snprintf(buf, size, "%s", json_string_value(json_object_get(o, key)) ?: "");
}

static void take_hooks(struct doctor_facts *f, const json_t *list)
{
	static const char *const states[] = {
		[HOOK_ABSENT] = "absent",
		[HOOK_PROVED] = "proved",
		[HOOK_SILENT] = "silent",
		[HOOK_UNTRIED] = "untried",
	};
	const json_t *o;
	char text[32];
	size_t i;

	json_array_foreach (list, i, o) {
		struct doctor_hook *h = &f->hooks[f->nhooks];

		if (f->nhooks == DOCTOR_MAX_HOOKS)
			return;
		copy(h->program, sizeof(h->program), o, "program");
		copy(h->access, sizeof(h->access), o, "access");
		copy(text, sizeof(text), o, "layer");
		h->lsm = str_eq(text, "lsm");
		h->outside = (int)json_integer_value(json_object_get(o, "outside"));
		h->inside = (int)json_integer_value(json_object_get(o, "inside"));
		copy(text, sizeof(text), o, "state");
		h->state = HOOK_UNTRIED;
		for (size_t s = 0; s < ARRAY_SIZE(states); s++)
			if (str_eq(states[s], text))
				h->state = s;
		f->nhooks++;
	}
}

/* The resolver must say of a name that no policy allows that it does not exist. */
static int ask_resolver(uint16_t port)
{
	static const char query[] = "\x37\x21\1\0\0\1\0\0\0\0\0\0" PROBED_NAME "\0\0\1\0\1";
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = ANSWER_MS / 1000 };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned char answer[512];
	ssize_t n;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) ||
	    send(fd, query, sizeof(query) - 1, 0) < 0)
		return -errno;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n < 12 || memcmp(answer, query, 2) || !(answer[2] & DNS_RESPONSE) ||
	    (answer[3] & 15) != DNS_NXDOMAIN)
		return -EBADMSG;
	return 0;
}

static int call(int fd, const char *op, json_t **answer, struct diag *d)
{
	json_t *request = json_pack("{s:s}", "op", op);
	int err = control_call(fd, request, NULL, 0, NULL, NULL, answer, NULL, d);

	json_decref(request);
	return err;
}

static void take_proof(struct doctor_facts *f, int fd)
{
	json_t *answer = NULL;
	struct diag d = {};
	json_int_t port;

	if (call(fd, "prove", &answer, &d)) {
		snprintf(f->agent_error, sizeof(f->agent_error), "%s", d.msg);
		return;
	}
	take_hooks(f, json_object_get(answer, "hooks"));
	copy(f->refuses, sizeof(f->refuses), answer, "refuses");
	port = json_integer_value(json_object_get(answer, "resolver"));
	f->resolver_answers = port ? ask_resolver((uint16_t)port) : -EADDRNOTAVAIL;
	json_decref(answer);
}

/* false: there is none, or it does not answer us */
static bool ask_service(struct doctor_facts *f)
{
	_cleanup_close_ int fd = control_connect(CONTROL_SOCKET);
	json_t *answer = NULL;
	struct diag d = {};

	f->service = fd < 0 ? fd : 0;
	if (fd < 0)
		return false;
	f->service = call(fd, "status", &answer, &d);
	if (f->service)
		return false;
	f->abi = (int)json_integer_value(json_object_get(answer, "abi"));
	f->egress_only = json_is_true(json_object_get(answer, "egress_only"));
	json_decref(answer);
	if (f->egress_only)
		snprintf(f->lsm_error, sizeof(f->lsm_error),
			 "egressd was started with --egress-only");
	take_proof(f, fd);
	return true;
}

/* As root without egressd: an agent of our own, which is gone when we are done. */
static void ask_own_agent(struct doctor_facts *f)
{
	/* what is there, whatever egressd.yaml makes do with */
	static const enum without_lsm refuse = WITHOUT_LSM_REFUSE;
	struct local_agent agent;
	struct diag d = {}, lsm = {};

	if (local_agent_start(false, &refuse, &agent, &lsm)) {
		snprintf(f->lsm_error, sizeof(f->lsm_error), "%s", lsm.msg);
		if (local_agent_start(true, &refuse, &agent, &d)) {
			snprintf(f->agent_error, sizeof(f->agent_error), "%s", d.msg);
			return;
		}
	}
	take_proof(f, agent.control);
	close(agent.control);
	local_agent_wait(&agent);
}

void doctor_collect(struct doctor_facts *f)
{
	char bpffs[PATH_MAX] = "";

	memset(f, 0, sizeof(*f));
	f->root = !geteuid();
	f->resolver_answers = 1;
	f->agents_err = 1;
	f->sandboxed = task_self_in_sandbox();
	if (f->sandboxed)
		return;
	look_at_kernel(f);
	look_at_mounts(f);
	look_at_resolv_conf(f);
	look_at_files(f);
	look_at_libraries(f);
	if (f->root && *f->cgroup) {
		(void)mount_find("bpf", bpffs, sizeof(bpffs)); /* "": nothing of ours is pinned */
		doctor_find_agents(f, bpffs);
	}
	if (!ask_service(f) && f->root && (f->service == -ENOENT || f->service == -ECONNREFUSED))
		ask_own_agent(f);
}

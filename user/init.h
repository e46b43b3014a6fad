/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the files of a project to a first policy for it.
 *
 * Whoever wrote the project may be who the sandbox is against. So nothing that a file of
 * the project says becomes a rule that opens something, unless the user trusts it
 * (init_wish.trust): it is a question, a line that is commented out. What the user's own
 * settings say (~/.npmrc, GOPROXY) is a rule. Of files only hosts, ports and numbers of
 * lines are taken, and hosts are those that the policy's own parser takes.
 *
 * init_scan() and init_text() are pure; init_find() reads files; nothing asks the network.
 */
#ifndef INIT_H
#define INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compiled;
struct diag;
struct policy_vars;
struct text;

#define INIT_MAX_HOSTS 200u /* more than anybody reads; the rest is counted */
#define INIT_MAX_PORTS 8u /* of one host */
#define INIT_MAX_SERVICES 8u /* different ports of all: a policy has at most 16 classes */
#define INIT_MAX_SECRETS 64u
#define INIT_MAX_NOTES 32u
#define INIT_MAX_FILE (16u << 20) /* lock files are large */
#define INIT_ECOS 11u
#define INIT_CACHES 8u /* of one of them */

/* ---- what is known: init_table.c ---------------------------------------------------- */

enum init_how {
	INIT_SCAN_KEYS, /* URLs behind one of the keys */
	INIT_SCAN_XML, /* <url> in a repository or a mirror */
	INIT_SCAN_JSON, /* values of "dependencies" and its like */
	INIT_SCAN_GIT, /* url =, as a URL or git@host:path */
	INIT_SCAN_GOMOD, /* what is required directly */
};

enum init_where {
	INIT_IN_PROJECT, /* a pattern for names at the top of it, or a path in it */
	INIT_IN_GIT, /* a path in the repository's common directory */
	INIT_IN_HOME,
	INIT_IN_ROOT,
};

struct init_file {
	const char *path;
	enum init_where where;
	enum init_how how;
	const char *keys; /* words; "*": whatever stands before */
	bool tells; /* the project is of this kind when it is there */
	/* The command to begin with, when it is there; NULL: none. */
	const char *build;
};

struct init_cache {
	const char *path, *perm, *why;
	const char *only; /* a file of the project that says it is needed; NULL: always */
};

struct init_eco {
	const char *names; /* words for the command line; the first is what it is called */
	const char *title; /* for people */
	const char *policy; /* a shipped one that it extends; NULL: none */
	const char *why; /* what that opens */
	const struct init_file *files; /* ended by {} */
	const struct init_cache *caches; /* what `agent` keeps closed; ended by {}; or NULL */
};

extern const struct init_eco init_ecos[INIT_ECOS]; /* the first is git: of every project */

/* By a word of the command line; INIT_ECOS: there is none. */
size_t init_eco_find(const char *word);

/* ---- what is asked for, what was found -------------------------------------------------- */

struct init_wish {
	bool eco[INIT_ECOS];
	bool any; /* one of them was asked for: only those */
	bool ci; /* extend ci-build, not agent */
	bool agent; /* said in so many words */
	bool trust; /* the project's files: no questions */
	const char *output; /* a path in the workspace, relative; NULL: it is outside */
	const char *shown; /* how the policy is called in commands: "./egressctl.yaml" */
};

struct init_host {
	char *text; /* as a policy has it: a name, 192.0.2.1, [2001:db8::1] */
	bool is_addr, loopback;
	bool proxy; /* it was named as a proxy */
	bool user; /* the user's own settings say so */
	bool private; /* by its name it is one of a network of one's own */
	uint16_t ports[INIT_MAX_PORTS];
	size_t nports;
	char *why; /* "package-lock.json:12 resolved": nothing of it is the project's text */
};

struct init_secret {
	char *path; /* in the project, any bytes */
	const char *what;
	bool closed; /* the policy that is extended closes it */
	bool ask; /* programs of the project need it: closing it is a question */
};

struct init_found {
	bool eco[INIT_ECOS];
	const char *because[INIT_ECOS]; /* the file that tells; NULL: none is there */
	const char *build; /* of the first of them; NULL */
	bool caches[INIT_ECOS][INIT_CACHES]; /* init_cache.only is there */
	struct init_host *hosts;
	size_t nhosts, cap_hosts;
	struct init_secret *secrets;
	size_t nsecrets, cap_secrets;
	char **notes; /* one line each, printable: what was left out, and why */
	size_t nnotes, cap_notes;
	size_t hosts_left, secrets_left, notes_left; /* over the limits */
};

/*
 * Look at the project at v->workdir. `v` is bound; the user's settings are looked for in
 * v->home, and in $GOPROXY. Files that cannot be read are notes. 0 or -ENOMEM; `out` is
 * to be cleared in any case.
 */
int init_find(const struct policy_vars *v, const struct init_wish *w, struct init_found *out,
	      struct diag *d);
void init_found_clear(struct init_found *f);

/*
 * Take out what `c`, the policies that are extended, allows already, and mark the secrets
 * that it closes. Metadata addresses become notes. 0 or -ENOMEM.
 */
int init_cover(struct init_found *f, const struct compiled *c, const struct policy_vars *v);

/* init_secrets.c: the part of init_find() that looks for credentials below `dir`. */
int init_secrets(int dir, struct init_found *f);

/* ---- reading: init_scan.c ---------------------------------------------------------------- */

struct init_url {
	const char *host; /* any bytes, not terminated; IPv6 in brackets */
	size_t len;
	uint32_t port; /* 0: it is none */
	const char *key; /* a word of the file's `keys`, or another constant */
	size_t line; /* from 1; 0: not known */
	bool proxy;
};

/* Non-zero ends the scan and is returned. */
typedef int (*init_url_fn)(void *ctx, const struct init_url *u);

/* `text` may hold any bytes; text[len] is 0. What fn() returned, or 0. */
int init_scan(const struct init_file *file, const char *text, size_t len, init_url_fn fn,
	      void *ctx);

/* ---- collecting: init_hosts.c ------------------------------------------------------------- */

/* Add a host or a note; `name` is of the file. 0 or -ENOMEM. */
int init_add_url(struct init_found *f, const char *name, bool user, const struct init_url *u);
/* Any text: it is made printable. */
int init_note(struct init_found *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void init_hosts_sort(struct init_found *f);

/* ---- writing: init_text.c ------------------------------------------------------------------- */

/* "agent" or "ci-build", then the policies of what was found; how many. */
size_t init_extends(const struct init_found *f, const struct init_wish *w,
		    const char *extends[INIT_ECOS + 1]);

/* The policy. 0 or -ENOMEM. */
int init_text(const struct init_found *f, const struct init_wish *w, struct text *out);

/* Is it a rule, or a question? */
bool init_is_rule(const struct init_host *h, const struct init_wish *w);
/* How a policy writes it: "{host: a.example, ports: [22, 443]}", "a.example:8080". */
void init_host_text(const struct init_host *h, struct text *out);

#endif

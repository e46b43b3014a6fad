/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A policy as written: parsed, checked, its parents merged in, not yet bound to
 * a workspace, a home or a user. See egressctl-policy(5) for the language.
 */
#ifndef EGRESSCTL_POLICY_H
#define EGRESSCTL_POLICY_H

#include <linux/types.h>
#include <stdint.h>
#include <sys/types.h>

#include "../bpf/egressctl.h"
#include "diag.h"
#include "util.h"

/* limits of the language, each named in the message that refuses what is over */
#define POLICY_MAX_BYTES (1u << 20) /* one file */
#define POLICY_MAX_FILES 32u /* one policy and everything it extends */
#define POLICY_MAX_EXTENDS 8u /* depth */
#define POLICY_MAX_DEPTH 8u /* nesting of YAML collections */
#define POLICY_MAX_RULES 20000u /* entries of one section after merging */
#define POLICY_MAX_PORTS 64u /* port ranges of one destination */

/* ---- reading ---------------------------------------------------------------- */

/*
 * Where policy texts come from. `name` is what -p or `extends` says: a plain
 * name, or a path when it holds a '/'. `from` is the place (struct
 * policy_source.path) of the policy that extends it, or NULL for the first.
 *
 * read() returns 0 and malloc()ed *path (what messages call the file, unique
 * for a file) and *text, or a negative errno with a message in d. It must not
 * return more than POLICY_MAX_BYTES (-EFBIG).
 */
struct policy_reader {
	int (*read)(void *ctx, const char *name, const char *from, char **path, char **text,
		    size_t *len, struct diag *d);
	void *ctx;
};

/*
 * The file system under the rights of the caller. Names are looked up in
 * /etc/egressctl/policies, $XDG_CONFIG_HOME/egressctl/policies (~/.config/…),
 * PREFIX/share/egressctl/policies and the policies/ of an uninstalled tree;
 * $EGRESSCTL_POLICY_DIR replaces them all. Never in the working directory.
 */
extern const struct policy_reader policy_reader_files;

/* Texts handed over in memory; name and path are matched in this order. */
struct policy_source {
	char *name; /* as asked for */
	char *path; /* as shown in messages */
	char *text;
	size_t len;
};

struct policy_texts {
	const struct policy_source *src;
	size_t n;
};

/* A reader over `t`, which must outlive it. */
struct policy_reader policy_reader_texts(const struct policy_texts *t);

/* ---- what a policy says ------------------------------------------------------- */

struct place {
	const char *file; /* owned by the policy; NULL: not set anywhere */
	uint32_t line, col;
};

/* addresses are 16 bytes in network order, IPv4 mapped; plen counts 128 bits */
struct policy_ports {
	uint16_t lo, hi; /* host byte order, inclusive */
	uint8_t proto; /* IPPROTO_TCP, _UDP, _SCTP, _ICMP (both ICMPs); 0: every one */
};

#define POLICY_D_PRIVATE (1u << 0) /* may resolve to private addresses */
#define POLICY_D_PROXY (1u << 1) /* names in CONNECT are judged too */
#define POLICY_D_TLS_OFF (1u << 2) /* the server name is not checked */
#define POLICY_D_UNSAFE (1u << 3)

struct policy_dest {
	char *text; /* as written */
	struct place at;
	char *name; /* lower case, A-labels, no final dot; "": every name; NULL: an address */
	bool below; /* names below it … */
	bool self; /* … and the name itself */
	uint8_t addr[16];
	uint8_t plen;
	uint32_t flags; /* POLICY_D_* */
	struct policy_ports *ports;
	uint32_t nports;
	uint16_t origin; /* 0, or what policy_overlay() was told */
};

struct policy_path {
	char *text; /* pattern as written, variables and all */
	char *key; /* normalised, for duplicates: ~ is ${HOME}, needless ends are cut */
	struct place at;
	struct place clash; /* where another parent says otherwise; file NULL: nowhere */
	uint8_t perm; /* EG_R … of egressctl.h */
	uint8_t clash_perm;
	bool unsafe; /* unix only */
};

struct policy_listen {
	uint16_t lo, hi, mode;
	struct place at;
};

struct policy_str {
	char *text;
	struct place at;
	struct place clash; /* where another parent says otherwise */
};

/* growing arrays */
struct policy_dests {
	struct policy_dest *v;
	size_t n, cap;
};

struct policy_paths {
	struct policy_path *v;
	size_t n, cap;
};

struct policy_listens {
	struct policy_listen *v;
	size_t n, cap;
};

struct policy_strs {
	struct policy_str *v;
	size_t n, cap;
};

struct policy_loopback {
	struct place at; /* of the key; file NULL: not given */
	struct place clash; /* where another parent says otherwise */
	bool own, host, none;
	struct place host_at;
	struct policy_dests ports; /* text, at and one range each */
};

/* value of a scalar key and where it was given */
struct policy_num {
	uint64_t v;
	struct place at;
	struct place clash; /* where another parent says otherwise */
};

struct compiled;

struct policy {
	char *name; /* as asked for */
	char *path; /* of the first file */
	char *description; /* NULL: none */
	/* every file read, the first one first: what to hand to a server */
	struct policy_source *sources;
	size_t nsources;
	struct policy_num audit; /* mode: 1 audit, 0 enforce */
	struct policy_num strict; /* exec: 1 strict */
	struct policy_num freeze; /* on-failure: 1 freeze */
	bool has_files, has_egress; /* the section was given somewhere */
	bool paths_left_out; /* set by who compiles it for --egress-only: no notice about them */
	bool landlock; /* set by who compiles it for Landlock to hold */
	/*
	 * Set by who compiles it: its rules for paths and unix sockets, and what they are
	 * bound to, are those of this one. NULL: they are looked up.
	 */
	const struct compiled *paths_of;
	struct policy_num full; /* require: 1 full: held whole or not at all */
	struct policy_num file_default; /* files.default: EG_R … */
	struct policy_paths files;
	struct policy_dests allow;
	struct policy_dests deny;
	struct policy_paths unixes;
	struct policy_loopback loopback;
	struct policy_num listen_default; /* EG_LISTEN_* */
	struct policy_listens listen;
	uint32_t sockets; /* EG_SOCK_* */
	uint32_t netlink; /* bit per protocol */
	uint32_t privileges; /* EG_PRIV_* */
	struct policy_strs env_keep;
	struct policy_strs env_set; /* NAME=value */
	struct policy_strs env_only;
	struct place env_only_at; /* given, even if empty */
	struct policy_num memory; /* bytes */
	struct policy_num pids;
	struct policy_num cpu; /* per cent of one processor */
	struct policy_num time; /* milliseconds */
};

/*
 * Read `name` and all it extends, check everything that can be checked without
 * knowing where it will run. On success *out is to be freed with policy_free().
 * On failure *out is untouched and d names file, line, column, value and
 * expectation. -EINVAL for a bad policy, -ENOENT when there is none of that
 * name, -E2BIG/-EFBIG over a limit, or what reading said. rd NULL: the files.
 */
int policy_load(const char *name_or_path, const struct policy_reader *rd, struct policy **out,
		struct diag *d);
void policy_free(struct policy *p);

/*
 * Lay another policy's text over `p`, as a child that extends it: grants. `path` is
 * what messages and rules call it. A destination by name in it gets the class
 * `origin` - 1 (eg_class.origin; 0: any), so that the classes of `p` keep their
 * numbers. The text may not extend others. On failure `p` is to be freed.
 */
int policy_overlay(struct policy *p, const char *path, const char *text, uint16_t origin,
		   struct diag *d);

/* What policy_load() does to one destination: shared with commands and grants. */
int policy_dest_parse(const char *text, bool deny, struct policy_dest *out, struct diag *d,
		      const struct place *at);
void policy_dest_clear(struct policy_dest *dest);

/* "rwxc" subset or "none" to bits; -EINVAL. Text of bits ("none" for 0) in buf[5]. */
int policy_perm_parse(const char *s, uint8_t *perm);
const char *policy_perm_text(uint8_t perm, char buf[5]);

#endif

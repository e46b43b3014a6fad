/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shared by the policy_*.c, compile.c and the commands; not for others. */
#ifndef EGRESSCTL_POLICY_INT_H
#define EGRESSCTL_POLICY_INT_H

#include "policy.h"
#include "policy_yaml.h"

/* policy_dest.c; -EINVAL without a message where no diag is taken */
int policy_dest_parse_host(const char *text, bool deny, bool ports_elsewhere,
			   struct policy_dest *out, struct diag *d, const struct place *at);
/* policy_name.c: out->name, below and self from the len bytes at host */
int policy_name_parse(const char *host, size_t len, struct policy_dest *out, const char *text,
		      struct diag *d, const struct place *at);
int policy_ports_parse(const char *s, struct policy_dest *out);
int policy_proto_parse(const char *s, uint8_t *proto);
const char *policy_proto_text(uint8_t proto); /* NULL: no name */
bool policy_addr_is_v4(const uint8_t addr[16], uint8_t plen);
void policy_addr_mask(uint8_t addr[16], uint8_t plen);
const char *policy_addr_text(const uint8_t addr[16], uint8_t plen, char *buf, size_t len);

/* policy_sections.c: why a port of it opens more than it says, or NULL */
const char *policy_handing_over(const struct policy_dest *dest);

/* policy_parse.c: one file, without its parents */
struct policy_extends {
	struct policy_strs names;
	struct place at;
};

int policy_parse_file(const char *file, const char *text, size_t len, struct policy *p,
		      struct policy_extends *ext, struct diag *d);
void policy_extends_clear(struct policy_extends *ext);
void policy_clear(struct policy *p);

/* policy_read.c: what is left of a file, at most POLICY_MAX_BYTES; `path` is for messages */
int policy_read_fd(int fd, const char *path, char **text, size_t *len, struct diag *d);
/* It comes with egressctl: installed, or of the tree this program was built in. */
bool policy_is_shipped(const char *path);
/* Where a policy of this user's own is found before a shipped one; malloc()ed, or NULL. */
char *policy_own_dir(void);

/* policy_check.c: lists of one file that say a thing twice, or a thing and its opposite */
int policy_check_lists(const struct policy *p, struct diag *d);
/* < 0, 0, > 0; 0: the same destinations, whatever the options beside them */
int policy_dest_cmp(const struct policy_dest *a, const struct policy_dest *b);

/* policy_path.c */
int policy_path_parse(const char *text, char **key, char *why, size_t whylen);
int policy_unix_parse(const char *text, char **key, char *why, size_t whylen);

/* policy_read.c: the rest of a file; `path` is for messages. -EFBIG. */
int policy_read_fd(int fd, const char *path, char **text, size_t *len, struct diag *d);

/* policy_limits.c: "4G", "200%", "30m" */
int policy_bytes_parse(const char *s, uint64_t *bytes);
int policy_percent_parse(const char *s, uint64_t *percent);
int policy_time_parse(const char *s, uint64_t *ms);

/*
 * policy_merge.c: move what src says into dst (src is emptied, still to be
 * cleared). A parent's entries join; where two parents disagree the entry
 * remembers it until a child's overlay settles it.
 */
enum merge_as { MERGE_PARENT, MERGE_CHILD };
int policy_merge(struct policy *dst, struct policy *src, enum merge_as as, struct diag *d);
/* After the child: nothing may be left unsettled. `extends` is where to complain. */
int policy_merge_check(const struct policy *p, const struct place *extends, struct diag *d);

#endif

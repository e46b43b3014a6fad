/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <search.h>

#include "policy_resolve.h"

#define MAX_LINKS 40 /* as the kernel */

struct seen {
	char *path;
	char *target; /* NULL: no link */
	int err; /* why it could not be read; 0 or -EINVAL: it is there */
};

static int seen_cmp(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->path, ((const struct seen *)b)->path);
}

static void seen_free(void *p)
{
	struct seen *s = p;

	free(s->path);
	free(s->target);
	free(s);
}

static const struct seen *look(struct resolver *r, const char *path)
{
	struct seen key = { .path = (char *)path }, *s, **at;
	char buf[PATH_MAX];
	int n;

	at = tfind(&key, &r->seen, seen_cmp);
	if (at)
		return *at;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->path = strdup(path);
	n = r->vars->readlink(r->vars->readlink_ctx, path, buf, sizeof(buf) - 1);
	if (n > 0) {
		buf[n] = '\0';
		s->target = strdup(buf);
	} else {
		s->err = n;
	}
	if (!s->path || (n > 0 && !s->target) || !tsearch(s, &r->seen, seen_cmp)) {
		seen_free(s);
		return NULL;
	}
	return s;
}

static int note_link(struct resolver *r, const char *path)
{
	if (array_reserve(&r->links, &r->links_cap, r->nlinks))
		return -ENOMEM;
	r->links[r->nlinks] = strdup(path);
	if (!r->links[r->nlinks])
		return -ENOMEM;
	r->nlinks++;
	return 0;
}

static void forget_links(struct resolver *r)
{
	for (size_t i = 0; i < r->nlinks; i++)
		free(r->links[i]);
	r->nlinks = 0;
}

/* /proc/self and /proc/NUMBER: what is below are not names on a disk. */
static bool at_process(const char *out, const char *name, size_t len)
{
	if (!str_eq(out, "/proc"))
		return false;
	return (len == 4 && !strncmp(name, "self", 4)) ||
	       (len == 11 && !strncmp(name, "thread-self", 11)) ||
	       strspn(name, "0123456789") == len;
}

static int append(char *out, size_t *o, const char *name, size_t len)
{
	if (*o + len + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	out[(*o)++] = '/';
	memcpy(out + *o, name, len);
	*o += len;
	out[*o] = '\0';
	return 0;
}

/* One link: its target goes in front of what is left of the path. */
static int follow(char *rest, const char *target, const char *after)
{
	char joined[PATH_MAX];
	int n = snprintf(joined, sizeof(joined), "%s%s", target, after);

	if (n < 0 || (size_t)n >= sizeof(joined))
		return -ENAMETOOLONG;
	(void)strcpy(rest, joined);
	return 0;
}

int resolver_path(struct resolver *r, const char *path, char out[PATH_MAX])
{
	char rest[PATH_MAX];
	bool raw = !r->vars->readlink;
	const struct seen *s;
	const char *p = rest;
	unsigned int links = 0;
	size_t o = 0, len, was;
	int err;

	forget_links(r);
	if (strlen(path) >= sizeof(rest))
		return -ENAMETOOLONG;
	(void)strcpy(rest, path);
	out[0] = '\0';
	while (*(p += strspn(p, "/"))) {
		len = strcspn(p, "/");
		if (len == 1 && *p == '.') {
			p += len;
			continue;
		}
		if (len == 2 && !strncmp(p, "..", 2)) {
			while (o && out[--o] != '/')
				;
			out[o] = '\0';
			p += len;
			continue;
		}
		if (at_process(out, p, len))
			raw = true;
		was = o;
		err = append(out, &o, p, len);
		if (err)
			return err;
		p += len;
		if (raw)
			continue;
		s = look(r, out);
		if (!s)
			return -ENOMEM;
		if (!s->target) {
			raw = s->err && s->err != -EINVAL;
			continue;
		}
		err = ++links > MAX_LINKS ? -ELOOP : note_link(r, out);
		if (!err)
			err = follow(rest, s->target, p);
		if (err)
			return err;
		p = rest;
		o = *rest == '/' ? 0 : was;
		out[o] = '\0';
	}
	if (!o)
		(void)strcpy(out, "/");
	return 0;
}

void resolver_clear(struct resolver *r)
{
	forget_links(r);
	free(r->links);
	tdestroy(r->seen, seen_free);
	memset(r, 0, sizeof(*r));
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* resolv.conf. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns_conf.h"
#include "util.h"

#define MAX_TIMEOUT 30u /* RES_MAXRETRANS */
#define MAX_ATTEMPTS 5u /* RES_MAXRETRY */

/* ---- files ------------------------------------------------------------------------- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* stat() and no watch: it sees through symlinks, and what a container runtime mounts over them. */
bool dns_file_changed(struct dns_file *f)
{
	struct timespec now;
	struct stat st;
	bool changed;

	if (stat(f->path, &st))
		memset(&st, 0, sizeof(st));
	changed = !f->read_before || !f->settled || st.st_dev != f->seen.st_dev ||
		  st.st_ino != f->seen.st_ino || st.st_size != f->seen.st_size ||
		  !same_time(&st.st_mtim, &f->seen.st_mtim) ||
		  !same_time(&st.st_ctim, &f->seen.st_ctim);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	f->seen = st;
	f->read_before = true;
	/* in the same second it may be written again; a clock set back settles nothing */
	f->settled = !st.st_ino || now.tv_sec > st.st_ctim.tv_sec + 1;
	return changed;
}

char *dns_file_read(const struct dns_file *f)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0, cap = 0;
	char *text = NULL;
	ssize_t n = 0;

	do {
		len += (size_t)n;
		/* one byte more than asked for: the NUL */
		if (array_reserve(&text, &cap, len + 4096)) {
			free(text);
			return NULL;
		}
		n = fd < 0 ? 0 : read(fd, text + len, 4096);
	} while (n > 0 && len < DNS_MAX_FILE);
	text[len] = '\0';
	return text;
}

/* ---- resolv.conf ------------------------------------------------------------------- */

socklen_t dns_server_len(const union dns_server *s)
{
	return s->sa.sa_family == AF_INET ? sizeof(s->in) : sizeof(s->in6);
}

static void add_server(struct dns_resolv *r, char *text, uint16_t port)
{
	union dns_server *s = &r->servers[r->nservers];
	char *scope = strchr(text, '%');

	if (r->nservers == DNS_MAX_SERVERS)
		return;
	memset(s, 0, sizeof(*s));
	if (inet_pton(AF_INET, text, &s->in.sin_addr) == 1) {
		s->in.sin_family = AF_INET;
		s->in.sin_port = htons(port);
		r->nservers++;
		return;
	}
	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, text, &s->in6.sin6_addr) != 1)
		return;
	s->in6.sin6_family = AF_INET6;
	s->in6.sin6_port = htons(port);
	if (scope) {
		uint64_t index;

		s->in6.sin6_scope_id = parse_u64(scope, 1, UINT32_MAX, &index) ?
					       if_nametoindex(scope) : (uint32_t)index;
	}
	r->nservers++;
}

static void set_search(struct dns_resolv *r, char *line)
{
	char *word, *save;

	r->nsearch = 0; /* the last one counts */
	for (word = strtok_r(line, DNS_CONF_BLANK, &save); word && r->nsearch < DNS_MAX_SEARCH;
	     word = strtok_r(NULL, DNS_CONF_BLANK, &save))
		if (dns_name_plain(word))
			strcpy(r->search[r->nsearch++], word);
}

static void set_options(struct dns_resolv *r, char *line)
{
	char *word, *save;
	uint64_t v;

	for (word = strtok_r(line, DNS_CONF_BLANK, &save); word;
	     word = strtok_r(NULL, DNS_CONF_BLANK, &save)) {
		if (str_starts(word, "timeout:") && !parse_u64(word + 8, 1, UINT32_MAX, &v))
			r->timeout_s = (uint32_t)MIN(v, (uint64_t)MAX_TIMEOUT);
		else if (str_starts(word, "attempts:") && !parse_u64(word + 9, 1, UINT32_MAX, &v))
			r->attempts = (uint32_t)MIN(v, (uint64_t)MAX_ATTEMPTS);
		else if (str_eq(word, "use-vc"))
			r->use_vc = true;
		else if (str_eq(word, "rotate"))
			r->rotate = true;
	}
}

static void parse_line(struct dns_resolv *r, char *line, uint16_t port)
{
	size_t n = strcspn(line, DNS_CONF_BLANK);
	char *rest = line + n + strspn(line + n, DNS_CONF_BLANK);

	/* keywords begin the line, as for the C library */
	if (!n || !*rest || line[0] == '#' || line[0] == ';')
		return;
	line[n] = '\0';
	if (str_eq(line, "nameserver")) {
		rest[strcspn(rest, DNS_CONF_BLANK)] = '\0';
		add_server(r, rest, port);
	} else if (str_eq(line, "search") || str_eq(line, "domain")) {
		set_search(r, rest);
	} else if (str_eq(line, "options")) {
		set_options(r, rest);
	}
}

void dns_resolv_parse(const char *text, uint16_t port, struct dns_resolv *out)
{
	char line[2048];

	memset(out, 0, sizeof(*out));
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n < sizeof(line)) {
			memcpy(line, text, n);
			line[n] = '\0';
			parse_line(out, line, port);
		}
		text += n + (text[n] == '\n');
	}
	if (!out->nservers) {
		char local[] = "127.0.0.1";

		add_server(out, local, port);
	}
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* hosts; apart from dns_conf.c, which is in egressctl, too, where ldns is not. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns_conf.h"
#include "util.h"

int dns_name_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

const struct dns_host *dns_hosts_find(struct dns_hosts *h, const char *name)
{
	return (const struct dns_host *)ldns_rbtree_search(&h->names, name);
}

static void free_host(ldns_rbnode_t *node, void *ctx)
{
	struct dns_host *host = (struct dns_host *)node;

	(void)ctx;
	free(host->addrs);
	free(host);
}

void dns_hosts_clear(struct dns_hosts *h)
{
	if (h->names.cmp)
		ldns_traverse_postorder(&h->names, free_host, NULL);
	ldns_rbtree_init(&h->names, dns_name_cmp);
}

static int add_host(struct dns_hosts *h, char *name, const uint8_t addr[16])
{
	struct dns_host *host;
	uint8_t(*more)[16];

	if (!dns_name_plain(name))
		return 0;
	host = (struct dns_host *)ldns_rbtree_search(&h->names, name);
	if (!host) {
		host = calloc(1, sizeof(*host) + strlen(name) + 1);
		if (!host)
			return -ENOMEM;
		strcpy(host->name, name);
		host->node.key = host->name;
		(void)ldns_rbtree_insert(&h->names, &host->node);
	}
	for (uint32_t i = 0; i < host->naddrs; i++)
		if (memcmp(host->addrs[i], addr, 16) == 0)
			return 0;
	if (host->naddrs == 64) /* no answer has more */
		return 0;
	more = reallocarray(host->addrs, host->naddrs + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	host->addrs = more;
	memcpy(more[host->naddrs++], addr, 16);
	return 0;
}

static int parse_host(struct dns_hosts *h, char *line)
{
	uint8_t addr[16], v4[4];
	char *word, *save, *scope;
	int err = 0;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, DNS_CONF_BLANK, &save);
	if (!word)
		return 0;
	scope = strchr(word, '%');
	if (scope)
		*scope = '\0';
	if (inet_pton(AF_INET, word, v4) == 1)
		dns_address_map(v4, addr);
	else if (inet_pton(AF_INET6, word, addr) != 1)
		return 0;
	while (!err && (word = strtok_r(NULL, DNS_CONF_BLANK, &save)))
		err = add_host(h, word, addr);
	return err;
}

int dns_hosts_parse(const char *text, struct dns_hosts *out)
{
	struct dns_hosts h = { 0 };
	char line[4096];
	int err = 0;

	dns_hosts_clear(&h);
	while (*text && !err) {
		size_t n = strcspn(text, "\n");

		if (n < sizeof(line)) {
			memcpy(line, text, n);
			line[n] = '\0';
			err = parse_host(&h, line);
		}
		text += n + (text[n] == '\n');
	}
	if (err) {
		dns_hosts_clear(&h);
		return err;
	}
	dns_hosts_clear(out);
	*out = h;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The resolver's life and that of each sandbox's part; the hosts file. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>

#include "dns_int.h"
#include "util.h"

#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE)
#define SWEEP_ACCURACY_US 1000000u

uint64_t dns_now(const struct dns *dns)
{
	struct timespec t;

	if (dns->o.now)
		return dns->o.now();
	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- hosts ------------------------------------------------------------------------- */

/* Loopback is judged by whose listener is there; 0.0.0.0 is how lists block names. */
static bool needs_binding(const uint8_t addr[16])
{
	static const uint8_t any[16];

	return !dns_address_loopback(addr) && memcmp(addr, any, 16) != 0 &&
	       !(dns_address_is_v4(addr) && addr[12] == 0);
}

/*
 * Programs read the hosts file themselves and ask nobody: its allowed names
 * have their addresses from the beginning.
 */
static void pin_host(struct dns_client *c, const struct dns_host *host, uint64_t now)
{
	uint32_t classes = 0;

	for (uint32_t i = 0; i < host->naddrs; i++) {
		const uint8_t *addr = host->addrs[i];

		if (!needs_binding(addr))
			continue;
		if (!classes)
			classes = c->ops->classes(c->ctx, host->name);
		if (!classes || c->bindings.npinned >= DNS_MAX_PINNED)
			return;
		if (dns_address_special(addr) && !c->ops->address_ok(c->ctx, addr, classes))
			continue;
		/* without room it is bound when it is asked for, like any other */
		(void)dns_bind(&c->bindings, addr, host->name, classes, DNS_FOREVER, now);
	}
}

static void pin_hosts(struct dns_client *c)
{
	uint64_t now = dns_now(c->dns);
	struct dns_host *host;

	dns_bind_repin_begin(&c->bindings);
	LDNS_RBTREE_FOR(host, struct dns_host *, &c->dns->hosts.names)
		pin_host(c, host, now);
	dns_bind_repin_end(&c->bindings, now);
}

void dns_check_hosts(struct dns *dns, bool watched)
{
	_cleanup_free_ char *text = NULL;
	struct dns_client *c;
	uint64_t now = dns_now(dns);

	if (!watched && now < dns->hosts_checked + DNS_FILE_CHECK_NS)
		return;
	dns->hosts_checked = now;
	if (!dns_file_changed(&dns->hosts_file))
		return;
	text = dns_file_read(&dns->hosts_file);
	if (!text || dns_hosts_parse(text, &dns->hosts))
		return; /* no memory: the old one serves */
	TAILQ_FOREACH(c, &dns->clients, list)
		pin_hosts(c);
}

static int on_watch(sd_event_source *src, const struct inotify_event *event, void *ctx)
{
	(void)src;
	(void)event; /* links lead elsewhere: which name it was says little */
	dns_check_hosts(ctx, true);
	return 0;
}

static void watch(struct dns *dns, const char *path, sd_event_source **out)
{
	_cleanup_free_ char *copy = strdup(path);

	/* without a watch the file is looked at when it is needed, once a second */
	if (copy &&
	    sd_event_add_inotify(dns->loop, out, dirname(copy), CHANGES, on_watch, dns) >= 0)
		(void)sd_event_source_set_priority(*out, SD_EVENT_PRIORITY_IMPORTANT);
}

static void watch_hosts(struct dns *dns)
{
	_cleanup_free_ char *real = realpath(dns->hosts_path, NULL);

	watch(dns, dns->hosts_path, &dns->watches[0]);
	if (real && !str_eq(real, dns->hosts_path))
		watch(dns, real, &dns->watches[1]);
}

/* ---- all --------------------------------------------------------------------------- */

static int on_sweep(sd_event_source *src, uint64_t usec, void *ctx)
{
	struct dns *dns = ctx;
	uint64_t now = dns_now(dns);
	struct dns_client *c;

	(void)usec;
	dns_check_hosts(dns, false);
	TAILQ_FOREACH(c, &dns->clients, list) {
		dns_bind_sweep(&c->bindings, now);
		/* one without descriptors was turned off */
		for (size_t i = 0; i < ARRAY_SIZE(c->io); i++)
			if (c->io[i])
				(void)sd_event_source_set_enabled(c->io[i], SD_EVENT_ON);
	}
	if (!TAILQ_EMPTY(&dns->clients)) {
		(void)sd_event_source_set_time_relative(src, DNS_SWEEP_MS * 1000u);
		(void)sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	}
	return 0;
}

static int start(struct dns *dns, const struct dns_options *o)
{
	int err;

	dns->o = *o;
	dns->o.resolv_conf = dns->resolv_conf = strdup(o->resolv_conf ? o->resolv_conf :
								       "/etc/resolv.conf");
	dns->o.hosts = dns->hosts_path = strdup(o->hosts ? o->hosts : "/etc/hosts");
	dns->refusal = dns_answer_new(LDNS_RCODE_NXDOMAIN, true);
	dns->failure = dns_answer_new(LDNS_RCODE_SERVFAIL, false);
	dns->nothing = dns_answer_new(LDNS_RCODE_NOERROR, false);
	if (!dns->resolv_conf || !dns->hosts_path || !dns->refusal || !dns->failure ||
	    !dns->nothing)
		return -ENOMEM;
	err = dns_upstream_new(dns->loop, &dns->o, &dns->upstream);
	if (err)
		return err;
	err = sd_event_add_time_relative(dns->loop, &dns->sweep, CLOCK_BOOTTIME,
					 DNS_SWEEP_MS * 1000u, SWEEP_ACCURACY_US, on_sweep, dns);
	if (err < 0)
		return err;
	dns->hosts_file.path = dns->hosts_path;
	watch_hosts(dns);
	dns_check_hosts(dns, true);
	return 0;
}

int dns_new(sd_event *loop, const struct dns_options *o, struct dns **out, struct diag *d)
{
	struct dns *dns = calloc(1, sizeof(*dns));
	int err;

	if (!dns)
		return diag_set(d, -ENOMEM, "resolver: no memory");
	TAILQ_INIT(&dns->clients);
	TAILQ_INIT(&dns->waiting);
	dns_hosts_clear(&dns->hosts);
	dns->loop = sd_event_ref(loop);
	err = start(dns, o);
	if (err) {
		dns_free(dns);
		return diag_set(d, err, "resolver: %s", strerror(-err));
	}
	*out = dns;
	return 0;
}

void dns_free(struct dns *dns)
{
	struct dns_client *c;

	if (!dns)
		return;
	while ((c = TAILQ_FIRST(&dns->clients)))
		dns_client_free(c);
	sd_event_source_disable_unref(dns->sweep);
	for (size_t i = 0; i < ARRAY_SIZE(dns->watches); i++)
		sd_event_source_disable_unref(dns->watches[i]);
	dns_upstream_free(dns->upstream);
	dns_hosts_clear(&dns->hosts);
	dns_answer_unref(dns->refusal);
	dns_answer_unref(dns->failure);
	dns_answer_unref(dns->nothing);
	free(dns->resolv_conf);
	free(dns->hosts_path);
	sd_event_unref(dns->loop);
	free(dns);
}

/* ---- one sandbox ------------------------------------------------------------------- */

int dns_serve(struct dns *dns, int netns_fd, const struct dns_ops *ops, void *ctx,
	      struct dns_client **out, struct diag *d)
{
	struct dns_client *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return diag_set(d, -ENOMEM, "resolver: no memory");
	c->dns = dns;
	c->ops = ops;
	c->ctx = ctx;
	c->sockets = (struct dns_sockets){ { -1, -1 }, { -1, -1 }, 0 };
	TAILQ_INIT(&c->queue);
	TAILQ_INIT(&c->conns);
	dns_cache_init(&c->cache);
	dns_bind_init(&c->bindings, ops, ctx);
	ldns_rbtree_init(&c->jobs, dns_job_compare);
	TAILQ_INSERT_TAIL(&dns->clients, c, list);
	err = dns_sockets_open(netns_fd, &c->sockets, d);
	if (!err) {
		err = dns_listen(c);
		if (err)
			diag_set(d, err, "resolver: %s", strerror(-err));
	}
	if (err) {
		dns_client_free(c);
		return err;
	}
	dns_check_hosts(dns, false);
	pin_hosts(c);
	(void)sd_event_source_set_enabled(dns->sweep, SD_EVENT_ONESHOT);
	*out = c;
	return 0;
}

uint16_t dns_client_port(const struct dns_client *c)
{
	return c->sockets.port;
}

const char *dns_client_name_of(struct dns_client *c, const uint8_t addr[16])
{
	return dns_bind_name_of(&c->bindings, addr);
}

void dns_client_reload(struct dns_client *c)
{
	dns_cache_clear(&c->cache);
	dns_bind_reload(&c->bindings);
	pin_hosts(c);
}

void dns_client_stats(const struct dns_client *c, struct dns_client_stats *out)
{
	*out = c->stats;
	out->given_up = c->bindings.given_up;
	out->bindings = c->bindings.count;
	out->pinned = c->bindings.npinned;
	out->answers = (uint32_t)c->cache.tree.count;
	out->pending = c->pending;
	out->tcp = c->nconns;
}

void dns_client_free(struct dns_client *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(c->io); i++)
		sd_event_source_disable_unref(c->io[i]);
	dns_conns_clear(c);
	dns_jobs_clear(c);
	dns_sockets_close(&c->sockets);
	dns_cache_clear(&c->cache);
	dns_bind_clear(&c->bindings);
	TAILQ_REMOVE(&c->dns->clients, c, list);
	free(c);
}

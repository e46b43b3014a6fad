/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sections of a policy that have entries of their own: files, egress, env, limits. */
#include <ctype.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include "policy_parse.h"

/* ---- files ------------------------------------------------------------------------- */

#define PERM_EXPECTED "none, or letters of rwxc, each once"

static int path_cmp(const void *a, const void *b)
{
	const struct policy_path *x = *(struct policy_path *const *)a;
	const struct policy_path *y = *(struct policy_path *const *)b;
	int c = strcmp(x->key, y->key);

	if (c)
		return c;
	return (x->at.line > y->at.line) - (x->at.line < y->at.line);
}

/* "~/x" and "${HOME}/x/" are one rule: the second would silently win. */
static int same_path_twice(struct pol *c)
{
	_cleanup_free_ struct policy_path **v = NULL;
	size_t n = c->p->files.n;

	if (n < 2)
		return 0;
	v = calloc(n, sizeof(struct policy_path *));
	if (!v)
		return pol_nomem(c);
	for (size_t i = 0; i < n; i++)
		v[i] = &c->p->files.v[i];
	qsort(v, n, sizeof(*v), path_cmp);
	for (size_t i = 1; i < n; i++)
		if (str_eq(v[i]->key, v[i - 1]->key))
			return diag_at(c->d, -EINVAL, c->file, v[i]->at.line, v[i]->at.col,
				       "duplicate rule \"%s\": \"%s\" at line %u is the same path",
				       v[i]->text, v[i - 1]->text, v[i - 1]->at.line);
	return 0;
}

static int add_path(struct pol *c, struct policy_paths *list, const struct ynode *n,
		    const char *text, const char *what,
		    int (*parse)(const char *, char **, char *, size_t))
{
	struct policy_path path = { .at = pol_place(c, n) };
	char why[256] = "";
	int err;

	if (array_reserve(&list->v, &list->cap, list->n))
		return pol_nomem(c);
	err = parse(text, &path.key, why, sizeof(why));
	if (err == -ENOMEM)
		return pol_nomem(c);
	if (err)
		return pol_bad(c, n, "bad %s \"%s\": %s", what, text, why);
	path.text = strdup(text);
	if (!path.text) {
		free(path.key);
		return pol_nomem(c);
	}
	list->v[list->n++] = path;
	return 0;
}

int pol_files(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	struct policy *p = c->p;
	char what[128];
	uint8_t perm;
	int err;

	if (n->type != Y_MAP)
		return pol_expected(c, n, k->key, "a map of paths to permissions");
	if (n->count > POLICY_MAX_RULES)
		return pol_bad(c, n, "files: %u rules, at most %u", n->count, POLICY_MAX_RULES);
	p->has_files = true;
	for (struct ynode *e = n->first; e; e = e->next) {
		(void)snprintf(what, sizeof(what), "%.100s", e->key->text);
		err = pol_scalar(c, e, what, PERM_EXPECTED);
		if (err)
			return err;
		if (policy_perm_parse(e->text, &perm))
			return pol_expected(c, e, what, PERM_EXPECTED);
		if (str_eq(e->key->text, "default")) {
			p->file_default.v = perm;
			p->file_default.at = pol_place(c, e->key);
			continue;
		}
		err = add_path(c, &p->files, e->key, e->key->text, "path", policy_path_parse);
		if (err)
			return err;
		p->files.v[p->files.n - 1].perm = perm;
	}
	return same_path_twice(c);
}

/* ---- destinations ------------------------------------------------------------------- */

struct dest_map {
	struct policy_dest *dest;
	const struct ynode *host, *ports;
	const struct ynode *private, *tls, *proxy;
};

static int flag_word(struct pol *c, const struct ynode *n, const struct pol_key *k,
		     const char *yes, uint32_t *flags)
{
	const struct pol_words words[] = { { yes, 1 },
					   { str_eq(yes, "off") ? "check" : "false", 0 },
					   {} };
	struct policy_num got = {};
	int err = pol_word(c, n, k->key, k->expect, words, &got);

	if (!err && got.v)
		*flags |= k->arg;
	return err;
}

static int dest_ports(struct pol *c, const struct ynode *n, struct policy_dest *dest)
{
	static const char expect[] = "a port, a range a-b or *, each with /tcp, /udp or /sctp";
	const struct ynode *e = n->type == Y_LIST ? n->first : n;
	int err;

	if (n->type == Y_LIST && !n->count)
		return pol_expected(c, n, "ports", expect);
	if (n->count > POLICY_MAX_PORTS)
		return pol_bad(c, n, "ports: %u entries, at most %u", n->count, POLICY_MAX_PORTS);
	for (; e; e = n->type == Y_LIST ? e->next : NULL) {
		err = pol_scalar(c, e, "ports", expect);
		if (err)
			return err;
		err = policy_ports_parse(e->text, dest);
		if (err == -ENOMEM)
			return pol_nomem(c);
		if (err)
			return pol_expected(c, e, "ports", expect);
	}
	return 0;
}

static int dest_map_entry(struct pol *c, const struct ynode *e, struct dest_map *m, uint32_t *flags)
{
	static const struct pol_key keys[] = {
		{ "host", "a name or an address", NULL, 0 },
		{ "ports", "a list of ports", NULL, 0 },
		{ "tls", "off or check", NULL, POLICY_D_TLS_OFF },
		{ "private", "true or false", NULL, POLICY_D_PRIVATE },
		{ "proxy", "true or false", NULL, POLICY_D_PROXY },
		{ "unsafe", "true or false", NULL, POLICY_D_UNSAFE },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys) && !str_eq(keys[i].key, e->key->text); i++)
		;
	if (i == ARRAY_SIZE(keys))
		return pol_bad(c, e->key, "unknown key \"%s\" in a destination: expected one of "
			       "host, ports, tls, private, proxy, unsafe", e->key->text);
	if (ynode_is_null(e))
		return pol_expected(c, e, keys[i].key, keys[i].expect);
	switch (keys[i].arg) {
	case 0:
		if (i) {
			m->ports = e;
			return 0;
		}
		m->host = e;
		return pol_scalar(c, e, keys[i].key, keys[i].expect);
	case POLICY_D_TLS_OFF:
		m->tls = e;
		return flag_word(c, e, &keys[i], "off", flags);
	case POLICY_D_PRIVATE:
		m->private = e;
		return flag_word(c, e, &keys[i], "true", flags);
	case POLICY_D_PROXY:
		m->proxy = e;
		/* fall through */
	default:
		return flag_word(c, e, &keys[i], "true", flags);
	}
}

static int dest_from_map(struct pol *c, const struct ynode *n, bool deny, struct policy_dest *dest)
{
	struct dest_map m = { .dest = dest };
	struct place at;
	uint32_t flags = 0;
	int err;

	for (const struct ynode *e = n->first; e; e = e->next) {
		err = dest_map_entry(c, e, &m, &flags);
		if (err)
			return err;
	}
	if (!m.host)
		return pol_bad(c, n, "a destination without a host: expected {host: NAME, ports: "
				     "[…]}");
	at = pol_place(c, m.host);
	err = policy_dest_parse_host(m.host->text, deny, m.ports != NULL, dest, c->d, &at);
	if (!err && m.ports)
		err = dest_ports(c, m.ports, dest);
	if (err)
		return err;
	dest->flags = flags;
	if (deny && flags)
		return pol_bad(c, n, "a denied destination takes only host and ports");
	if (!dest->name && m.private)
		return pol_bad(c, m.private, "private: %s is an address: expected a name",
			       dest->text);
	if (!dest->name && m.tls)
		return pol_bad(c, m.tls, "tls: %s is an address: expected a name", dest->text);
	if (!dest->name && m.proxy)
		return pol_bad(c, m.proxy, "proxy: %s is an address, and only what is reached by "
			       "name is looked at: expected the proxy's name", dest->text);
	if ((dest->flags & POLICY_D_PROXY) && (dest->flags & POLICY_D_TLS_OFF))
		return pol_bad(c, m.proxy, "proxy: what is sent is not looked at with tls: off: "
			       "expected one of them");
	return 0;
}

/*
 * The server's name can only be judged where it is seen: at the beginning of a
 * TCP connection. Names by UDP would let QUIC hide what TLS is refused for.
 */
static int check_judged(struct pol *c, const struct ynode *n, const struct policy_dest *dest)
{
	for (uint32_t i = 0; dest->name && !(dest->flags & POLICY_D_TLS_OFF) && i < dest->nports;
	     i++) {
		const struct policy_ports *p = &dest->ports[i];

		/* "*" is TCP and UDP; by name it is TCP */
		if (p->proto == IPPROTO_TCP ||
		    (i && p->proto == IPPROTO_UDP && !p->lo && !p[-1].lo &&
		     p[-1].proto == IPPROTO_TCP))
			continue;
		return pol_bad(c, n,
			       "\"%s\" by %s: a server's name is only seen on TCP: expected tls: "
			       "off beside host, which lets any server at its addresses be "
			       "reached, or an address", dest->text, policy_proto_text(p->proto));
	}
	return 0;
}

/*
 * Ports where a proxy listens by custom: whoever may speak to one of them may
 * reach everything it reaches, whatever else the policy says.
 */
static const uint16_t proxy_ports[] = { 1080, 3128, 8118, 8123, 9050, 9150 };
/* and where a daemon that runs containers does */
static const uint16_t docker_ports[] = { 2375, 2376 };

static bool is_one_of(uint16_t port, const uint16_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == port)
			return true;
	return false;
}

/* Ranges say what they open. */
const char *policy_handing_over(const struct policy_dest *dest)
{
	for (uint32_t i = 0; i < dest->nports; i++) {
		if (dest->ports[i].lo != dest->ports[i].hi)
			continue;
		if (is_one_of(dest->ports[i].lo, docker_ports, ARRAY_SIZE(docker_ports)))
			return "the container daemon behind it runs anything as root";
		if (!(dest->flags & POLICY_D_PROXY) &&
		    is_one_of(dest->ports[i].lo, proxy_ports, ARRAY_SIZE(proxy_ports)))
			return "the proxy behind it reaches everything";
	}
	return NULL;
}

static int check_handing_over(struct pol *c, const struct ynode *n, const struct policy_dest *dest,
			      bool loopback)
{
	const char *why = dest->flags & POLICY_D_UNSAFE ? NULL : policy_handing_over(dest);

	if (!why)
		return 0;
	if (loopback)
		return pol_bad(c, n, "loopback port %s hands the sandbox away: %s: expected "
			       "{port: %s, unsafe: true} if that is meant", dest->text, why,
			       dest->text);
	/* an address cannot be marked as a proxy: see dest_from_map() */
	return pol_bad(c, n, "\"%s\" hands the sandbox away: %s: expected %sunsafe: true beside "
		       "host if that is meant", dest->text, why,
		       dest->name && strstr(why, "proxy") ?
			       "proxy: true (names in CONNECT are judged), or " :
			       "");
}

static int add_dest(struct pol *c, const struct ynode *n, bool deny, struct policy_dests *list)
{
	struct policy_dest dest = {};
	struct place at = pol_place(c, n);
	int err;

	if (array_reserve(&list->v, &list->cap, list->n))
		return pol_nomem(c);
	if (n->type == Y_MAP)
		err = dest_from_map(c, n, deny, &dest);
	else
		err = pol_scalar(c, n, deny ? "deny" : "allow",
				 "a destination, or a map with host and ports");
	if (!err && n->type == Y_SCALAR)
		err = policy_dest_parse(n->text, deny, &dest, c->d, &at);
	if (!err && !deny)
		err = check_handing_over(c, n, &dest, false);
	if (!err && !deny)
		err = check_judged(c, n, &dest);
	if (err) {
		policy_dest_clear(&dest);
		return err;
	}
	list->v[list->n++] = dest;
	return 0;
}

static int parse_dests(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	struct policy_dests *list = k->arg ? &c->p->deny : &c->p->allow;
	int err = pol_list(c, n, k, list->n);

	for (struct ynode *e = n->first; e && !err; e = e->next)
		err = add_dest(c, e, k->arg, list);
	return err;
}

/* ---- loopback, listen ----------------------------------------------------------------- */

static int loopback_port(struct pol *c, const struct ynode *n, const struct pol_key *k)
{
	struct policy_loopback *lo = &c->p->loopback;
	struct policy_dest dest = { .at = pol_place(c, n) };
	const struct ynode *port = n;
	uint32_t flags = 0;
	int err;

	if (n->type == Y_MAP) {
		port = NULL;
		for (const struct ynode *e = n->first; e; e = e->next) {
			static const struct pol_key unsafe = { "unsafe", "true or false", NULL,
							       POLICY_D_UNSAFE };

			if (str_eq(e->key->text, "port"))
				port = e;
			else if (!str_eq(e->key->text, "unsafe"))
				return pol_bad(c, e->key, "unknown key \"%s\" in a loopback port: "
					       "expected port or unsafe", e->key->text);
			else if ((err = flag_word(c, e, &unsafe, "true", &flags)))
				return err;
		}
		if (!port)
			return pol_expected(c, n, k->key, k->expect);
	}
	if (pol_scalar(c, port, k->key, k->expect))
		return -EINVAL;
	if (array_reserve(&lo->ports.v, &lo->ports.cap, lo->ports.n))
		return pol_nomem(c);
	err = policy_ports_parse(port->text, &dest);
	if (err != -ENOMEM && (err || dest.ports[0].lo == 0))
		err = pol_expected(c, port, k->key, k->expect);
	dest.flags = flags;
	dest.text = err ? NULL : strdup(port->text);
	if (!err && !dest.text)
		err = -ENOMEM;
	if (!err)
		err = check_handing_over(c, port, &dest, true);
	if (err) {
		policy_dest_clear(&dest);
		return err == -ENOMEM ? pol_nomem(c) : err;
	}
	lo->ports.v[lo->ports.n++] = dest;
	return 0;
}

static int loopback_entry(struct pol *c, const struct ynode *n, const struct pol_key *k)
{
	struct policy_loopback *lo = &c->p->loopback;

	if (n->type == Y_LIST || ynode_is_null(n))
		return pol_expected(c, n, k->key, k->expect);
	if (n->type == Y_MAP || isdigit((unsigned char)n->text[0]))
		return loopback_port(c, n, k);
	if (str_eq(n->text, "own")) {
		lo->own = true;
	} else if (str_eq(n->text, "host")) {
		lo->host = true;
		lo->host_at = pol_place(c, n);
	} else if (str_eq(n->text, "none")) {
		lo->none = true;
	} else {
		return pol_expected(c, n, k->key, k->expect);
	}
	return 0;
}

static int parse_loopback(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	struct policy_loopback *lo = &c->p->loopback;
	int err = 0;

	lo->at = pol_place(c, n);
	if (n->type != Y_LIST)
		err = loopback_entry(c, n, k);
	else if (!n->count)
		return pol_expected(c, n, k->key, k->expect);
	for (struct ynode *e = n->type == Y_LIST ? n->first : NULL; e && !err; e = e->next)
		err = loopback_entry(c, e, k);
	if (!err && lo->none && (lo->own || lo->host || lo->ports.n))
		err = pol_bad(c, n, "loopback: none beside something else: expected none alone");
	return err;
}

static const struct pol_words listen_words[] = { { "own", EG_LISTEN_OWN },
						 { "host", EG_LISTEN_HOST },
						 { "any", EG_LISTEN_ANY },
						 { "none", EG_LISTEN_NONE },
						 {} };

static int listen_range(struct pol *c, const struct ynode *e)
{
	struct policy *p = c->p;
	struct policy_dest ports = {};
	struct policy_listen l = { .at = pol_place(c, e->key) };
	struct policy_num mode;
	int err;

	if (p->listen.n == EG_MAX_LISTEN)
		return pol_bad(c, e->key, "listen: at most %u port ranges", EG_MAX_LISTEN);
	if (array_reserve(&p->listen.v, &p->listen.cap, p->listen.n))
		return pol_nomem(c);
	err = policy_ports_parse(e->key->text, &ports);
	if (!err) {
		l.lo = ports.ports[0].lo;
		l.hi = ports.ports[0].hi;
	}
	policy_dest_clear(&ports);
	if (err == -ENOMEM)
		return pol_nomem(c);
	if (err || !l.lo || strchr(e->key->text, '/'))
		return pol_expected(c, e->key, "listen", "a port or a range a-b, or default");
	err = pol_word(c, e, e->key->text, "own, host, any or none", listen_words, &mode);
	if (err)
		return err;
	l.mode = (uint16_t)mode.v;
	for (size_t i = 0; i < p->listen.n; i++)
		if (l.lo <= p->listen.v[i].hi && p->listen.v[i].lo <= l.hi)
			return pol_bad(c, e->key, "listen: %s overlaps %u-%u at line %u",
				       e->key->text, p->listen.v[i].lo, p->listen.v[i].hi,
				       p->listen.v[i].at.line);
	p->listen.v[p->listen.n++] = l;
	return 0;
}

static int parse_listen(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	struct policy *p = c->p;
	int err = 0;

	if (n->type != Y_MAP)
		return pol_word(c, n, k->key, k->expect, listen_words, &p->listen_default);
	p->listen_default.v = EG_LISTEN_OWN;
	p->listen_default.at = pol_place(c, n);
	for (struct ynode *e = n->first; e && !err; e = e->next) {
		if (str_eq(e->key->text, "default"))
			err = pol_word(c, e, "default", "own, host, any or none", listen_words,
				       &p->listen_default);
		else
			err = listen_range(c, e);
	}
	return err;
}

/* ---- unix, sockets -------------------------------------------------------------------- */

static int unix_entry(struct pol *c, const struct ynode *n, const struct pol_key *k)
{
	static const struct pol_key unsafe_key = { "unsafe", "true or false", NULL, 1 };
	struct policy_paths *list = &c->p->unixes;
	const struct ynode *path = n->type == Y_MAP ? NULL : n;
	uint32_t unsafe = 0;
	int err = 0;

	for (const struct ynode *e = n->type == Y_MAP ? n->first : NULL; e && !err; e = e->next) {
		if (str_eq(e->key->text, "path"))
			path = e;
		else if (str_eq(e->key->text, "unsafe"))
			err = flag_word(c, e, &unsafe_key, "true", &unsafe);
		else
			err = pol_bad(c, e->key,
				      "unknown key \"%s\" in a unix socket: expected path "
				      "or unsafe", e->key->text);
	}
	if (!err && !path)
		err = pol_expected(c, n, k->key, k->expect);
	if (!err)
		err = pol_scalar(c, path, k->key, k->expect);
	if (!err)
		err = add_path(c, list, path, path->text, "unix socket", policy_unix_parse);
	if (err)
		return err;
	list->v[list->n - 1].perm = EG_W;
	list->v[list->n - 1].unsafe = unsafe;
	return 0;
}

static int parse_unix(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	int err = pol_list(c, n, k, c->p->unixes.n);

	for (struct ynode *e = n->first; e && !err; e = e->next)
		err = unix_entry(c, e, k);
	return err;
}

static int parse_sockets(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_words kinds[] = {
		{ "raw", EG_SOCK_RAW },		  { "packet", EG_SOCK_PACKET },
		{ "vsock", EG_SOCK_VSOCK },	  { "ping", EG_SOCK_PING },
		{ "sctp", EG_SOCK_SCTP },	  { "mptcp", EG_SOCK_MPTCP },
		{ "alg", EG_SOCK_ALG },		  { "bluetooth", EG_SOCK_BLUETOOTH },
		{ "can", EG_SOCK_CAN },		  { "xdp", EG_SOCK_XDP },
		{}
	};
	static const struct pol_words netlinks[] = {
		{ "netlink:route", 1u << NETLINK_ROUTE },
		{ "netlink:sock_diag", 1u << NETLINK_SOCK_DIAG },
		{ "netlink:xfrm", 1u << NETLINK_XFRM },
		{ "netlink:selinux", 1u << NETLINK_SELINUX },
		{ "netlink:audit", 1u << NETLINK_AUDIT },
		{ "netlink:connector", 1u << NETLINK_CONNECTOR },
		{ "netlink:netfilter", 1u << NETLINK_NETFILTER },
		{ "netlink:kobject_uevent", 1u << NETLINK_KOBJECT_UEVENT },
		{ "netlink:generic", 1u << NETLINK_GENERIC },
		{ "netlink:crypto", 1u << NETLINK_CRYPTO },
		{ "netlink:rdma", 1u << NETLINK_RDMA },
		{}
	};
	struct policy_num got;
	bool netlink;
	int err = pol_list(c, n, k, 0);

	for (struct ynode *e = n->first; e && !err; e = e->next) {
		netlink = e->type == Y_SCALAR && str_starts(e->text, "netlink:");
		err = pol_word(c, e, k->key,
			       netlink ?
				       "netlink:route, sock_diag, xfrm, selinux, audit, connector, "
				       "netfilter, kobject_uevent, generic, crypto or rdma" :
				       k->expect,
			       netlink ? netlinks : kinds, &got);
		if (!err && netlink)
			c->p->netlink |= (uint32_t)got.v;
		else if (!err)
			c->p->sockets |= (uint32_t)got.v;
	}
	return err;
}

int pol_egress(struct pol *c, struct ynode *n, const struct pol_key *k)
{
	static const struct pol_key keys[] = {
		{ "allow", "a list of destinations", parse_dests, 0 },
		{ "deny", "a list of destinations", parse_dests, 1 },
		{ "loopback", "own, host, none, or a list of own, host and ports of host listeners",
		  parse_loopback, 0 },
		{ "listen", "own, host, any, none, or a map of port ranges to these", parse_listen,
		  0 },
		{ "unix", "a list of socket paths and @abstract names", parse_unix, 0 },
		{ "sockets",
		  "a list of raw, packet, vsock, ping, sctp, mptcp, alg, bluetooth, can, xdp or "
		  "netlink:NAME", parse_sockets, 0 },
		{}
	};

	c->p->has_egress = true;
	return pol_map(c, n, k->key, keys);
}

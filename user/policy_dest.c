/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One destination: "[2001:db8::]/32:443-444/tcp", "10.0.0.0/8:*", "*.pypi.org".
 * Shared by policy files, commands and grants, so there is one grammar.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>

#include "policy.h"
#include "policy_int.h"

struct dest_parse {
	const char *text; /* whole, for messages */
	const struct place *at;
	struct diag *d;
	bool deny;
	struct policy_dest *out;
};

#define fail(p, ...) \
	diag_at((p)->d, -EINVAL, (p)->at->file, (p)->at->line, (p)->at->col, __VA_ARGS__)

/* ---- addresses ------------------------------------------------------------------ */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool policy_addr_is_v4(const uint8_t addr[16], uint8_t plen)
{
	return plen >= 96 && !memcmp(addr, mapped, sizeof(mapped));
}

void policy_addr_mask(uint8_t addr[16], uint8_t plen)
{
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int bits = plen > i * 8 ? MIN(plen - i * 8u, 8u) : 0;

		addr[i] &= (uint8_t)(0xff00u >> bits);
	}
}

const char *policy_addr_text(const uint8_t addr[16], uint8_t plen, char *buf, size_t len)
{
	char a[INET6_ADDRSTRLEN] = "?";

	if (policy_addr_is_v4(addr, plen)) {
		(void)inet_ntop(AF_INET, addr + 12, a, sizeof(a));
		if (plen == 128)
			(void)snprintf(buf, len, "%s", a);
		else
			(void)snprintf(buf, len, "%s/%u", a, plen - 96u);
		return buf;
	}
	(void)inet_ntop(AF_INET6, addr, a, sizeof(a));
	if (plen == 128)
		(void)snprintf(buf, len, "[%s]", a);
	else
		(void)snprintf(buf, len, "[%s]/%u", a, plen);
	return buf;
}

/* "10.0.0.1" or "2001:db8::1" of len bytes; *max is 32 or 128. */
static bool parse_addr(const char *s, size_t len, uint8_t addr[16], unsigned int *max)
{
	char buf[INET6_ADDRSTRLEN];

	if (len >= sizeof(buf))
		return false;
	memcpy(buf, s, len);
	buf[len] = '\0';
	if (inet_pton(AF_INET6, buf, addr) == 1) {
		*max = 128;
		return true;
	}
	if (inet_pton(AF_INET, buf, addr + 12) != 1)
		return false;
	memcpy(addr, mapped, sizeof(mapped));
	*max = 32;
	return true;
}

/* The /LEN after an address; *rest moves past it. */
static int parse_plen(struct dest_parse *p, const char **rest, unsigned int max)
{
	struct policy_dest *out = p->out;
	char right[64], num[8];
	uint8_t was[16];
	uint64_t v = max;
	size_t n;

	if (**rest == '/' && isdigit((unsigned char)(*rest)[1])) {
		n = strspn(*rest + 1, "0123456789");
		(void)snprintf(num, sizeof(num), "%.*s", (int)MIN(n, sizeof(num) - 1), *rest + 1);
		if (n >= sizeof(num) || parse_u64(num, 0, max, &v))
			return fail(p, "bad prefix length in \"%s\": expected /0 to /%u", p->text,
				    max);
		*rest += n + 1;
	}
	out->plen = (uint8_t)(v + 128 - max);
	memcpy(was, out->addr, sizeof(was));
	policy_addr_mask(out->addr, out->plen);
	if (memcmp(was, out->addr, sizeof(was)))
		return fail(p, "\"%s\" has bits set beyond its prefix length: did you mean %s?",
			    p->text, policy_addr_text(out->addr, out->plen, right, sizeof(right)));
	return 0;
}

/* ---- ports ---------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t proto;
} protos[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ "sctp", IPPROTO_SCTP },
	{ "icmp", IPPROTO_ICMP },
};

int policy_proto_parse(const char *s, uint8_t *proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (str_eq(s, protos[i].name)) {
			*proto = protos[i].proto;
			return 0;
		}
	}
	return -EINVAL;
}

const char *policy_proto_text(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i].proto == proto)
			return protos[i].name;
	return proto == IPPROTO_ICMPV6 ? "icmp" : NULL;
}

static int add_range(struct policy_dest *out, uint16_t lo, uint16_t hi, uint8_t proto)
{
	struct policy_ports *v;

	v = realloc(out->ports, (out->nports + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	out->ports = v;
	v[out->nports++] = (struct policy_ports){ .lo = lo, .hi = hi, .proto = proto };
	return 0;
}

static int parse_range(const char *s, uint16_t *lo, uint16_t *hi)
{
	char buf[16];
	char *dash;
	uint64_t a, b;

	if (str_eq(s, "*")) {
		*lo = 0;
		*hi = 65535;
		return 0;
	}
	if (strlen(s) >= sizeof(buf))
		return -EINVAL;
	(void)strcpy(buf, s);
	dash = strchr(buf, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_u64(buf, 1, 65535, &a) || (dash && parse_u64(dash, 1, 65535, &b)))
		return -EINVAL;
	if (!dash)
		b = a;
	if (a > b)
		return -EINVAL;
	*lo = (uint16_t)a;
	*hi = (uint16_t)b;
	return 0;
}

int policy_ports_parse(const char *s, struct policy_dest *out)
{
	char buf[32];
	uint8_t proto = IPPROTO_TCP;
	uint16_t lo, hi;
	char *slash;
	int err;

	if (strlen(s) >= sizeof(buf))
		return -EINVAL;
	(void)strcpy(buf, s);
	slash = strchr(buf, '/');
	if (slash) {
		*slash++ = '\0';
		if (policy_proto_parse(slash, &proto))
			return -EINVAL;
	}
	if (parse_range(buf, &lo, &hi))
		return -EINVAL;
	/* ICMP has no ports */
	if (proto == IPPROTO_ICMP && lo != 0)
		return -EINVAL;
	err = add_range(out, lo, hi, proto);
	if (!err && !slash && lo == 0)
		err = add_range(out, lo, hi, IPPROTO_UDP);
	return err;
}

#define PORTS_EXPECTED \
	"expected 1 to 65535, a-b or *, then /tcp, /udp, /sctp, or */icmp"

/* What follows the host: ":PORTS[/proto]", for deny also "/proto" or nothing. */
static int parse_rest(struct dest_parse *p, const char *rest, bool ports_elsewhere)
{
	struct policy_dest *out = p->out;
	char addr[64];
	uint8_t proto;
	int err;

	if (*rest && ports_elsewhere)
		return fail(p, "\"%s\" has ports of its own: expected only the host beside `ports`",
			    p->text);
	if (*rest == ':') {
		err = policy_ports_parse(rest + 1, out);
		if (err == -ENOMEM)
			return diag_set(p->d, err, "out of memory");
		return err ? fail(p, "bad port in \"%s\": " PORTS_EXPECTED, p->text) : 0;
	}
	if (*rest == '/' && !policy_proto_parse(rest + 1, &proto) && p->deny)
		err = add_range(out, 0, 65535, proto);
	else if (*rest)
		return fail(p, "bad destination \"%s\": expected HOST:PORT, ADDRESS/LEN:PORT or "
			    "[ADDRESS]/LEN:PORT, then /tcp or /udp", p->text);
	else if (ports_elsewhere)
		return 0;
	else if (p->deny)
		err = add_range(out, 0, 65535, 0);
	else if (out->name)
		err = add_range(out, 443, 443, IPPROTO_TCP);
	else
		return fail(p, "\"%s\" is an address and needs a port: expected %s:PORT, or :* for "
			    "all", p->text,
			    policy_addr_text(out->addr, out->plen, addr, sizeof(addr)));
	return err ? diag_set(p->d, err, "out of memory") : 0;
}

static int parse_host(struct dest_parse *p, const char *s, const char **rest)
{
	struct policy_dest *out = p->out;
	unsigned int max = 0;
	const char *end;
	size_t len;

	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || !parse_addr(s + 1, (size_t)(end - s - 1), out->addr, &max) ||
		    max != 128)
			return fail(p, "bad address in \"%s\": expected [IPv6], as [2001:db8::1]",
				    p->text);
		*rest = end + 1;
		return parse_plen(p, rest, max);
	}
	len = strcspn(s, "/");
	if (parse_addr(s, len, out->addr, &max) && max == 128) {
		*rest = s + len;
		return parse_plen(p, rest, max);
	}
	len = strcspn(s, ":/");
	*rest = s + len;
	if (parse_addr(s, len, out->addr, &max))
		return parse_plen(p, rest, max);
	memset(out->addr, 0, sizeof(out->addr));
	return policy_name_parse(s, len, out, p->text, p->d, p->at);
}

int policy_dest_parse_host(const char *text, bool deny, bool ports_elsewhere,
			   struct policy_dest *out, struct diag *d, const struct place *at)
{
	static const struct place nowhere;
	struct dest_parse p = { .text = text, .d = d, .deny = deny, .out = out };
	const char *rest;
	int err;

	p.at = at ? at : &nowhere;
	memset(out, 0, sizeof(*out));
	out->at = *p.at;
	if (strstr(text, "://"))
		return fail(&p, "bad destination \"%s\": expected a host and a port, not a URL",
			    text);
	if (!*text || strpbrk(text, " ,%"))
		return fail(&p, "bad destination \"%s\": expected HOST:PORT, ADDRESS/LEN:PORT or "
			    "[ADDRESS]/LEN:PORT", text);
	err = parse_host(&p, text, &rest);
	if (!err)
		err = parse_rest(&p, rest, ports_elsewhere);
	if (!err) {
		out->text = strdup(text);
		if (!out->text)
			err = diag_set(d, -ENOMEM, "out of memory");
	}
	if (err)
		policy_dest_clear(out);
	return err;
}

int policy_dest_parse(const char *text, bool deny, struct policy_dest *out, struct diag *d,
		      const struct place *at)
{
	return policy_dest_parse_host(text, deny, false, out, d, at);
}

void policy_dest_clear(struct policy_dest *dest)
{
	free(dest->text);
	free(dest->name);
	free(dest->ports);
	memset(dest, 0, sizeof(*dest));
}

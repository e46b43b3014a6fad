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

#define NAME_MAX_LEN 253 /* RFC 1035: 255 octets on the wire */
#define LABEL_MAX_LEN 63

struct dest_parse {
	const char *text; /* whole, for messages */
	const struct place *at;
	struct diag *d;
	bool deny;
	struct policy_dest *out;
};

#define fail(p, ...) \
	diag_at((p)->d, -EINVAL, (p)->at->file, (p)->at->line, (p)->at->col, __VA_ARGS__)

/* ---- names -------------------------------------------------------------------- */

/*
 * RFC 3492 decoding, only to know that an xn-- label is one: it must decode, and
 * to something that is not plain ASCII (else it is a second spelling of a name).
 */
static bool punycode_ok(const char *s, size_t n)
{
	uint64_t i = 0, code = 128, w, old;
	size_t basic = 0, out, in;
	uint32_t bias = 72;
	bool first = true;

	for (size_t k = 0; k < n; k++)
		if (s[k] == '-')
			basic = k;
	in = basic ? basic + 1 : 0;
	out = basic;
	if (in >= n)
		return false;
	while (in < n) {
		old = i;
		w = 1;
		for (uint32_t k = 36;; k += 36) {
			uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
			uint32_t digit;

			if (in >= n)
				return false;
			digit = islower((unsigned char)s[in]) ? (uint32_t)(s[in] - 'a') :
				isdigit((unsigned char)s[in]) ? (uint32_t)(s[in] - '0') + 26 : 36;
			in++;
			if (digit >= 36)
				return false;
			i += digit * w;
			if (i > UINT32_MAX)
				return false;
			if (digit < t)
				break;
			w *= 36 - t;
			if (w > UINT32_MAX)
				return false;
		}
		out++;
		/* adapt() */
		old = first ? (i - old) / 700 : (i - old) / 2;
		first = false;
		old += old / out;
		for (bias = 0; old > 455; bias += 36)
			old /= 35;
		bias += (uint32_t)(36 * old / (old + 38));
		code += i / out;
		i = i % out + 1;
		/* up to U+00A0 there are ASCII, controls and a space */
		if (code <= 0xa0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return false;
	}
	return true;
}

static int check_label(const struct dest_parse *p, const char *s, size_t n)
{
	int len = (int)n;

	if (!n)
		return fail(p, "bad name \"%s\": an empty label: expected letters, digits or - "
			    "between dots", p->text);
	if (n > LABEL_MAX_LEN)
		return fail(p, "bad name \"%s\": a label of %zu bytes: expected at most %d", p->text,
			    n, LABEL_MAX_LEN);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] >= 0x80)
			return fail(p, "bad name \"%s\": expected its ASCII form (xn--…)", p->text);
		if (s[i] == '*')
			return fail(p, "bad name \"%s\": * stands only at the beginning, before a "
				    "dot", p->text);
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return fail(p, "bad name \"%s\": unexpected character '%c': expected "
				    "letters, digits, - and dots", p->text, s[i]);
	}
	if (s[0] == '-' || s[n - 1] == '-')
		return fail(p, "bad name \"%s\": label \"%.*s\" begins or ends with -", p->text, len,
			    s);
	if (n >= 4 && s[2] == '-' && s[3] == '-' &&
	    (!str_starts(s, "xn--") || !punycode_ok(s + 4, n - 4)))
		return fail(p, "bad name \"%s\": label \"%.*s\" is not a valid IDNA label", p->text,
			    len, s);
	return 0;
}

/* 2130706433, 0x7f.1 and 10.1 are addresses to many programs, never names. */
static bool looks_numeric(const char *label)
{
	size_t n = strlen(label);

	if (n > 1 && label[0] == '0' && label[1] == 'x')
		return strspn(label + 2, "0123456789abcdef") == n - 2;
	return strspn(label, "0123456789") == n;
}

static int parse_name(struct dest_parse *p, const char *host, size_t len)
{
	struct policy_dest *out = p->out;
	const char *s, *dot;
	int err;

	out->self = true;
	if (len >= 1 && host[0] == '.') {
		out->below = true;
		host++;
		len--;
	} else if (len >= 2 && host[0] == '*' && host[1] == '.') {
		out->below = true;
		out->self = false;
		host += 2;
		len -= 2;
	}
	if (len && host[len - 1] == '.')
		len--;
	if (len == 1 && host[0] == '*')
		return fail(p, "bad name \"%s\": every name cannot be allowed: name the domains, "
			    "or an address range", p->text);
	if (!len || len > NAME_MAX_LEN)
		return fail(p, "bad name \"%s\": expected 1 to %d characters", p->text, NAME_MAX_LEN);
	out->name = strndup(host, len);
	if (!out->name)
		return diag_set(p->d, -ENOMEM, "out of memory");
	for (char *c = out->name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (s = out->name;; s = dot + 1) {
		dot = strchrnul(s, '.');
		err = check_label(p, s, (size_t)(dot - s));
		if (err)
			return err;
		if (!*dot)
			break;
	}
	if (looks_numeric(s))
		return fail(p, "\"%s\" is neither a name nor an address: expected an address such "
			    "as 192.0.2.1 or [2001:db8::1]", p->text);
	return 0;
}

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
		if (!end || !parse_addr(s + 1, (size_t)(end - s - 1), out->addr, &max) || max != 128)
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
	return parse_name(p, s, len);
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

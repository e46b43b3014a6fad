/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Domain names in destinations: "example.com", "*.example.com" (below it),
 * ".example.com" (both), "*" (every name). They are kept as DNS asks for them:
 * lower case, A-labels, no final dot.
 */
#include <ctype.h>
#include <idn2.h>

#include "policy_int.h"

#define LABEL_MAX_LEN 63

struct name_parse {
	const char *text; /* of the whole destination, for messages */
	const struct place *at;
	struct diag *d;
};

#define fail(p, ...) \
	diag_at((p)->d, -EINVAL, (p)->at->file, (p)->at->line, (p)->at->col, __VA_ARGS__)

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

static int check_label(const struct name_parse *p, const char *s, size_t n)
{
	int len = (int)n;

	if (!n)
		return fail(p, "bad name \"%s\": an empty label: expected letters, digits or - "
			    "between dots", p->text);
	if (n > LABEL_MAX_LEN)
		return fail(p, "bad name \"%s\": a label of %zu bytes: expected at most %d",
			    p->text, n, LABEL_MAX_LEN);
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '*')
			return fail(p, "bad name \"%s\": * stands only at the beginning, before a "
				    "dot", p->text);
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return fail(p, "bad name \"%s\": unexpected character '%c': expected "
				    "letters, digits, - and dots", p->text, s[i]);
	}
	if (s[0] == '-' || s[n - 1] == '-')
		return fail(p, "bad name \"%s\": label \"%.*s\" begins or ends with -", p->text,
			    len, s);
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

/*
 * U-labels to A-labels, as browsers do (UTS #46, nontransitional). Only for names
 * that have such labels: '_' is no part of IDNA and is in names all the same.
 */
static int to_ascii(const struct name_parse *p, char *name, char **out)
{
	uint8_t *ascii = NULL;
	int err;

	for (const char *c = name; (unsigned char)*c < 0x80; c++) {
		if (*c)
			continue;
		*out = name;
		return 0;
	}
	err = idn2_lookup_u8((const uint8_t *)name, &ascii,
			     IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	free(name);
	if (err == IDN2_MALLOC)
		return diag_set(p->d, -ENOMEM, "out of memory");
	if (err)
		return fail(p, "bad name \"%s\": %s: expected a name that IDNA allows, or its "
			    "ASCII form (xn--…)", p->text, idn2_strerror(err));
	*out = strdup((char *)ascii);
	idn2_free(ascii);
	return *out ? 0 : diag_set(p->d, -ENOMEM, "out of memory");
}

static int check_name(const struct name_parse *p, const char *name)
{
	const char *s, *dot;
	int err;

	if (!*name || strlen(name) > EG_MAX_SERVER_NAME)
		return fail(p, "bad name \"%s\": expected 1 to %u characters", p->text,
			    EG_MAX_SERVER_NAME);
	for (s = name;; s = dot + 1) {
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

/* What stands before the name itself; returns how long that is. */
static size_t parse_wildcard(const char *host, size_t len, struct policy_dest *out)
{
	out->self = true;
	if (len >= 1 && host[0] == '.') {
		out->below = true;
		return 1;
	}
	if (len >= 2 && host[0] == '*' && host[1] == '.') {
		out->below = true;
		out->self = false;
		return 2;
	}
	return 0;
}

int policy_name_parse(const char *host, size_t len, struct policy_dest *out, const char *text,
		      struct diag *d, const struct place *at)
{
	const struct name_parse p = { .text = text, .at = at, .d = d };
	size_t skip = parse_wildcard(host, len, out);
	char *name;
	int err;

	if (len == 1 && host[0] == '*') {
		out->below = true;
		out->self = false;
		len = 0;
	}
	if (len && host[len - 1] == '.' && len > skip)
		len--;
	name = strndup(host + skip, len ? len - skip : 0);
	if (!name)
		return diag_set(d, -ENOMEM, "out of memory");
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	err = to_ascii(&p, name, &out->name);
	if (err)
		return err;
	return len ? check_name(&p, out->name) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The form of path patterns, checked before any variable has a value. The key
 * under which a rule is merged is the pattern without its spelling variants:
 * "~/x/", "${HOME}/x" and "~/x" followed by a double star are one rule.
 */
#include <stdarg.h>

#include "policy_int.h"

static const char *const dir_vars[] = { "WORKDIR", "HOME",	"TMPDIR",
					"GITDIR",  "GITWORKTREE", "GITLINK" };
#define UNKNOWN_VARIABLE \
	"unknown variable: expected ${WORKDIR}, ${HOME}, ${TMPDIR}, ${UID}, ${GITDIR}, " \
	"${GITWORKTREE} or ${GITLINK}"

#define PATH_EXPECTED "expected a path that begins with /, ~/, **/ or ${NAME}/"

static int __printf_like(3, 4) why_not(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* "${NAME}" at s: its length, or 0. *dir: stands for a whole directory. */
static size_t variable_at(const char *s, bool *dir)
{
	size_t n;

	if (s[0] != '$' || s[1] != '{')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(dir_vars); i++) {
		n = strlen(dir_vars[i]);
		if (!strncmp(s + 2, dir_vars[i], n) && s[2 + n] == '}') {
			*dir = true;
			return n + 3;
		}
	}
	*dir = false;
	return str_starts(s, "${UID}") ? 6 : 0;
}

/* One character or construct of a component at s: its length, 0 when malformed. */
static size_t element_at(const char *s, char *why, size_t whylen)
{
	const char *p;
	bool dir;
	size_t n;

	switch (*s) {
	case '\\':
		if (s[1] && s[1] != '/')
			return 2;
		(void)why_not(why, whylen, "a \\ must be followed by the character it quotes");
		return 0;
	case '[':
		p = s + 1;
		if (*p == '^') {
			(void)why_not(why, whylen,
				      "[^…] is not a set: expected [!…] for what is not "
				      "in it, or [\\^…]");
			return 0;
		}
		if (*p == '!')
			p++;
		if (*p == ']') {
			(void)why_not(why, whylen, "an empty set: expected [a-z], or \\[ for the "
				      "character");
			return 0;
		}
		for (; *p && *p != '/' && *p != ']'; p++)
			if (*p == '\\' && p[1])
				p++;
		if (*p == ']')
			return (size_t)(p - s) + 1;
		(void)why_not(why, whylen, "[ without its ]: expected [a-z], or \\[ for the "
			      "character");
		return 0;
	case '$':
		if (s[1] != '{')
			return 1;
		n = variable_at(s, &dir);
		if (n && !dir)
			return n;
		if (n)
			(void)why_not(why, whylen, "%.*s is a directory and can only begin a path",
				      (int)n, s);
		else
			(void)why_not(why, whylen, UNKNOWN_VARIABLE);
		return 0;
	case '{':
	case '}':
		(void)why_not(why, whylen,
			      "{…} is no alternative here: write one rule for each, or "
			      "\\%c for the character", *s);
		return 0;
	default:
		return 1;
	}
}

static int check_component(const char *s, size_t len, char *why, size_t whylen)
{
	size_t n, chars = 0;

	if (len == 2 && !strncmp(s, "**", 2))
		return 0;
	if ((len == 1 && s[0] == '.') || (len == 2 && !strncmp(s, "..", 2)))
		return why_not(why, whylen,
			       "%.*s is not allowed in a path: the kernel sees the path "
			       "without it", (int)len, s);
	for (size_t i = 0; i < len; i += n, chars++) {
		if (s[i] == '*' && i + 1 < len && s[i + 1] == '*')
			return why_not(why, whylen,
				       "** stands only alone between slashes: expected "
				       "*, or **/");
		n = element_at(s + i, why, whylen);
		if (!n)
			return -EINVAL;
	}
	if (chars > EG_NAME_MAX)
		return why_not(why, whylen, "a name of more than %u bytes", EG_NAME_MAX);
	return 0;
}

/* The beginning in its one spelling, into out; *rest is at a '/' or the end. */
static int path_head(const char *text, char *out, const char **rest, char *why, size_t whylen)
{
	bool dir = false;
	size_t n;

	*out = '\0';
	*rest = text;
	if (*text == '/')
		return 0;
	if (str_starts(text, "**/") || str_eq(text, "**")) {
		(void)strcpy(out, "/**");
		*rest = text + 2;
		return 0;
	}
	if (*text == '~' && (!text[1] || text[1] == '/')) {
		(void)strcpy(out, "${HOME}");
		*rest = text + 1;
		return 0;
	}
	if (*text == '~')
		return why_not(why, whylen,
			       "~user is not looked up: expected ~/ or the path itself");
	n = variable_at(text, &dir);
	if (n && dir && (!text[n] || text[n] == '/')) {
		memcpy(out, text, n);
		out[n] = '\0';
		*rest = text + n;
		return 0;
	}
	if (str_starts(text, "${") && !n)
		return why_not(why, whylen, UNKNOWN_VARIABLE);
	return why_not(why, whylen, PATH_EXPECTED);
}

int policy_path_parse(const char *text, char **key, char *why, size_t whylen)
{
	char buf[EG_PATH_MAX + 16];
	const char *s;
	size_t len, o;
	int err;

	if (strlen(text) >= EG_PATH_MAX)
		return why_not(why, whylen, "longer than %u bytes", EG_PATH_MAX - 1);
	err = path_head(text, buf, &s, why, whylen);
	if (err)
		return err;
	o = strlen(buf);
	while (*s) {
		s++; /* the slash */
		len = strcspn(s, "/");
		if (!len && *s)
			return why_not(why, whylen, "an empty name between slashes");
		if (!len)
			break;
		err = check_component(s, len, why, whylen);
		if (err)
			return err;
		/* two in a row say nothing more than one */
		if (len == 2 && !strncmp(s, "**", 2) && o >= 3 && !strncmp(buf + o - 3, "/**", 3)) {
			s += len;
			continue;
		}
		buf[o++] = '/';
		memcpy(buf + o, s, len);
		o += len;
		s += len;
	}
	/* a rule covers what is below it, so that a double star at the end adds nothing */
	if (o >= 3 && !strncmp(buf + o - 3, "/**", 3))
		o -= 3;
	buf[o] = '\0';
	*key = strdup(o ? buf : "/");
	return *key ? 0 : -ENOMEM;
}

int policy_unix_parse(const char *text, char **key, char *why, size_t whylen)
{
	size_t n;

	if (*text != '@') {
		if (!strchr("/~$", *text))
			return why_not(why, whylen, "expected a path that begins with /, ~/ or "
				       "${NAME}/, or @ and an abstract name");
		return policy_path_parse(text, key, why, whylen);
	}
	if (!text[1])
		return why_not(why, whylen, "no name after @");
	/* sun_path holds 108 bytes, the first of them is the NUL that @ stands for */
	if (strlen(text) > 108)
		return why_not(why, whylen, "an abstract name of more than 107 bytes");
	for (const char *s = text + 1; *s; s += n) {
		n = *s == '/' ? 1 : element_at(s, why, whylen);
		if (!n)
			return -EINVAL;
	}
	*key = strdup(text);
	return *key ? 0 : -ENOMEM;
}

int policy_perm_parse(const char *s, uint8_t *perm)
{
	static const char letters[] = "rwxc";
	uint8_t got = 0;
	const char *at;

	if (str_eq(s, "none")) {
		*perm = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		at = strchr(letters, *s);
		if (!at || (got & (1u << (at - letters))))
			return -EINVAL;
		got |= (uint8_t)(1u << (at - letters));
	}
	*perm = got;
	return 0;
}

const char *policy_perm_text(uint8_t perm, char buf[5])
{
	char *o = buf;

	if (!(perm & EG_PERM_ALL))
		return strcpy(buf, "none");
	for (unsigned int i = 0; i < 4; i++)
		if (perm & (1u << i))
			*o++ = "rwxc"[i];
	*o = '\0';
	return buf;
}

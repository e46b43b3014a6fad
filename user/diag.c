/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "diag.h"
#include "event_text.h"

void diag_escape(char *out, size_t outlen, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t o = 0, n;

	if (!outlen)
		return;
	for (size_t i = 0; i < len; i += n) {
		uint32_t code = 0;
		bool plain;

		n = text_char_at(s + i, len - i, &code);
		plain = n && !text_char_unsafe(code);
		n = n ? n : 1;
		/* whole characters and whole escapes only */
		if (o + (plain ? n : 4 * n) >= outlen)
			break;
		for (size_t k = i; k < i + n; k++) {
			if (!plain) {
				out[o++] = '\\';
				out[o++] = 'x';
				out[o++] = hex[(unsigned char)s[k] >> 4];
			}
			out[o++] = plain ? s[k] : hex[s[k] & 15];
		}
	}
	out[o] = '\0';
}

int diag_vat(struct diag *d, int err, const char *file, uint32_t line, uint32_t col,
	     const char *fmt, va_list ap)
{
	char raw[sizeof(d->msg)];
	size_t n;

	if (!d || d->err)
		return err;
	d->err = err;
	d->line = line;
	d->col = col;
	n = file ? strlen(file) : 0;
	/* a long path keeps its end, which is what tells files apart */
	if (n >= sizeof(d->file))
		file += n - sizeof(d->file) + 1;
	diag_escape(d->file, sizeof(d->file), file ? file : "", file ? strlen(file) : 0);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap); /* cut when too long */
	diag_escape(d->msg, sizeof(d->msg), raw, strlen(raw));
	return err;
}

int diag_at(struct diag *d, int err, const char *file, uint32_t line, uint32_t col,
	    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)diag_vat(d, err, file, line, col, fmt, ap);
	va_end(ap);
	return err;
}

int diag_set(struct diag *d, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)diag_vat(d, err, NULL, 0, 0, fmt, ap);
	va_end(ap);
	return err;
}

void diag_clear(struct diag *d)
{
	if (d)
		memset(d, 0, sizeof(*d));
}

const char *diag_text(const struct diag *d, char *buf, size_t len)
{
	if (!d->file[0])
		(void)snprintf(buf, len, "%s", d->msg);
	else if (!d->line)
		(void)snprintf(buf, len, "%s: %s", d->file, d->msg);
	else
		(void)snprintf(buf, len, "%s:%u:%u: %s", d->file, d->line, d->col, d->msg);
	return buf;
}

void diag_print(FILE *f, const char *prog, const struct diag *d)
{
	char text[sizeof(d->file) + sizeof(d->msg) + 32];

	(void)fprintf(f, "%s: %s\n", prog, diag_text(d, text, sizeof(text)));
}

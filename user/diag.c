/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "diag.h"

void diag_escape(char *out, size_t outlen, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t o = 0;

	if (!outlen)
		return;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		/* C1 controls are left to UTF-8: alone they are no valid text */
		if (c >= 0x20 && c != 0x7f) {
			if (o + 1 >= outlen)
				break;
			out[o++] = (char)c;
			continue;
		}
		if (o + 4 >= outlen)
			break;
		out[o++] = '\\';
		out[o++] = 'x';
		out[o++] = hex[c >> 4];
		out[o++] = hex[c & 15];
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

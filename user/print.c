// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "event_text.h"
#include "print.h"
#include "util.h"

void print_safe(FILE *f, const char *s)
{
	struct text t = { 0 };

	if (s)
		text_add_safe(&t, s);
	if (t.p && !t.failed)
		(void)fwrite(t.p, 1, t.len, f);
	text_free(&t);
}

int print_json(FILE *f, const json_t *j, size_t flags)
{
	_cleanup_free_ char *dumped = j ? json_dumps(j, flags) : NULL;
	struct text t = { 0 };
	int err = 0;

	if (dumped) {
		text_add_dumped(&t, dumped, strlen(dumped));
		text_add(&t, "\n");
	}
	if (!dumped || t.failed)
		err = -ENOMEM;
	else
		(void)fwrite(t.p, 1, t.len, f);
	text_free(&t);
	return err;
}

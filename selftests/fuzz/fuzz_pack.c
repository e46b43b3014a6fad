// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Trees as bytes, which egressd takes from a process that read what users wrote. The first byte
 * says what follows: the bytes, or a text to make them of. What is taken must give the same
 * bytes again, and what was made of a text must be taken.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void same_again(const char *bytes, size_t n, size_t text_len, bool good)
{
	struct ydoc doc;
	int err = ydoc_unpack(bytes, n, text_len, &doc);
	char *again;

	must(err != -EPROTO || !good);
	if (err)
		return;
	must(ydoc_packed_size(&doc) == n);
	again = malloc(n);
	if (again) {
		ydoc_pack(&doc, again);
		must(!memcmp(bytes, again, n));
	}
	free(again);
	ydoc_free(&doc);
}

static void of_text(const char *text, size_t len)
{
	struct ydoc doc;
	size_t n;
	char *bytes;

	if (ydoc_parse("p.yaml", text, len, &doc, NULL))
		return;
	n = ydoc_packed_size(&doc);
	bytes = malloc(n);
	if (bytes) {
		ydoc_pack(&doc, bytes);
		same_again(bytes, n, len, true);
	}
	free(bytes);
	ydoc_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (!size || size > 65536)
		return 0;
	/* exactly as long as it is: what reads behind it is seen */
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (*data & 1)
		of_text(copy, size - 1);
	else
		same_again(copy, size - 1, UINT32_MAX, false);
	free(copy);
	return 0;
}

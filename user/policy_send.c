/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "diag.h"
#include "policy.h"
#include "policy_send.h"
#include "util.h"

int policy_send_add(json_t *texts, const char *name, const char *from, struct diag *d)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	json_t *t;
	int err;

	err = policy_reader_files.read(policy_reader_files.ctx, name, from, &path, &text, &len, d);
	if (err)
		return err;
	t = json_pack("{s:s, s:s?, s:s, s:s%}", "name", name, "from", from, "path", path, "text",
		      text, len);
	if (!t || json_array_append_new(texts, t))
		return diag_at(d, -EINVAL, path, 0, 0, "not UTF-8 text");
	return 0;
}

int policy_send_needed(json_t *request, const json_t *need, struct diag *d)
{
	json_t *texts = json_object_get(request, "texts");
	const json_t *n;
	size_t i;
	int err;

	if (json_array_size(texts) + json_array_size(need) > POLICY_MAX_FILES + 1)
		return diag_set(d, -E2BIG, "the policy extends more than %u others",
				POLICY_MAX_FILES);
	json_array_foreach(need, i, n) {
		const char *name = json_string_value(json_object_get(n, "name"));

		if (!name)
			return diag_set(d, -EPROTO, "egressd gave an answer that makes no sense");
		err = policy_send_add(texts, name, json_string_value(json_object_get(n, "from")),
				      d);
		if (err)
			return err;
	}
	return 0;
}

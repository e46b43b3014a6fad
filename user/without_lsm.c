/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "util.h"
#include "without_lsm.h"

static const char *const words[] = {
	[WITHOUT_LSM_REFUSE] = "refuse",
	[WITHOUT_LSM_LANDLOCK] = "landlock",
	[WITHOUT_LSM_EGRESS] = "egress",
};

int without_lsm_parse(const char *text, enum without_lsm *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(text, words[i])) {
			*out = (enum without_lsm)i;
			return 0;
		}
	return -EINVAL;
}

const char *without_lsm_text(enum without_lsm mode)
{
	return words[mode];
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * egressd.yaml. A file that is not good leaves the settings as they were, and says where and why
 * on one line; what is taken is within its limits.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "fuzz_config: %s\n", what);
	abort();
}

static void check_taken(const struct config *c)
{
	struct sockaddr_storage addr;
	socklen_t len;
	bool local;

	require(c->max_per_uid >= 1 && c->max_per_uid <= CONFIG_PER_UID_MAX, "sandboxes of a user");
	require(!c->log_bytes || (c->log_bytes >= CONFIG_LOG_MIN && c->log_bytes <= CONFIG_LOG_MAX),
		"bytes of the log");
	require(!c->log_dir || c->log_dir[0] == '/', "a log that is nowhere");
	require(c->nattach <= CONFIG_MAX_ATTACH, "too many patterns");
	for (uint32_t i = 0; i < c->nattach; i++)
		require(c->attach[i].pattern && c->attach[i].policy && c->attach[i].line,
			"half a pattern");
	if (c->metrics) {
		require(!config_address(c->metrics, &addr, &len, &local), "no address");
		require(local || c->metrics_remote, "an address that other hosts reach");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c, before;
	struct diag d = {};
	char *text;

	if (size > 65536)
		return 0;
	text = malloc(size + 1); /* ends in NUL, as what config_load() reads does */
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&c, 0, sizeof(c)); /* padding is compared, too */
	config_defaults(&c);
	before = c;
	memcpy(&before, &c, sizeof(c));
	if (config_parse("fuzz.yaml", text, size, &c, &d)) {
		require(d.err < 0 && d.msg[0], "refused without a message");
		for (const char *s = d.msg; *s; s++)
			require((unsigned char)*s >= 0x20 && *s != 0x7f,
				"a control character in a message");
		require(!memcmp(&before, &c, sizeof(c)), "refused, and changed");
	} else {
		check_taken(&c);
		config_clear(&c);
	}
	free(text);
	return 0;
}

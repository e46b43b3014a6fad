// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a unit is called. Asking systemd about it: selftests/kernel/systemd_test.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "units.h"
#include "util.h"

static void names(void **state)
{
	static const struct {
		const char *given, *unit;
	} cases[] = {
		{ "sshd", "sshd.service" },
		{ "sshd.service", "sshd.service" },
		{ "docker-1f.scope", "docker-1f.scope" },
		{ "system.slice", "system.slice" },
		{ "getty@tty1", "getty@tty1.service" },
		{ "php8.2-fpm", "php8.2-fpm.service" },
		{ "a.", "a..service" },
		{ "a.Service", "a.Service.service" },
		{ "", ".service" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *name = unit_name(cases[i].given);

		assert_non_null(name);
		assert_string_equal(name, cases[i].unit);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

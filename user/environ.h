/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The environment of a sandboxed command: what it inherits without the names
 * that look like secrets, or just what the policy says.
 */
#ifndef EG_ENVIRON_H
#define EG_ENVIRON_H

#include <stdbool.h>
#include <stddef.h>

struct env_rules {
	char **keep; /* names (shell patterns) kept although they look like secrets */
	size_t nkeep;
	char **only; /* with has_only: nothing else is inherited */
	size_t nonly;
	bool has_only;
	char **set; /* NAME=VALUE */
	size_t nset;
};

/* Does the name of a variable look like that of a secret? */
bool environ_secret_name(const char *name, size_t len);

/*
 * A new environment, NULL-terminated, from `env`. `set` wins over what is
 * inherited; of a name given twice the first counts, as for getenv(). One
 * allocation, freed with free(). -ENOMEM.
 */
int environ_build(char *const *env, const struct env_rules *r, char ***out);

#endif

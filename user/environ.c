/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "environ.h"

/*
 * Names under which programs keep credentials, as shell patterns. Names that
 * only look alike (KEYBOARD, TOKENIZERS_PARALLELISM) are listed before.
 */
static const char *const harmless[] = {
	"TOKENIZERS_*", "*_TOKEN_LIMIT", "*_MAX_TOKENS", "GPG_TTY", "SSH_TTY", "PASSWORD_STORE_DIR",
};

static const char *const secrets[] = {
	"*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*PASSPHRASE*", "*CREDENTIAL*",
	"*_KEY", "*_KEYS", "*APIKEY*", "*API_KEY*", "*ACCESS_KEY*", "*PRIVATE_KEY*",
	"*_PASS", "*_PAT", "*_AUTH", "*_COOKIE", "*SESSION_KEY*",
	"AWS_*", "AZURE_*", "GOOGLE_*CREDENTIALS*", "GCP_*", "GCLOUD_*", "CLOUDSDK_AUTH*",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS*", "GPG_AGENT_INFO", "GIT_ASKPASS",
	"DBUS_*_BUS_ADDRESS", "KUBECONFIG", "DOCKER_HOST", "DOCKER_AUTH*", "VAULT_*",
	"NPM_CONFIG__AUTH*", "npm_config__auth*", "npm_config_//*", "NETRC", "PGPASSFILE",
	"DATABASE_URL", "*_DSN", "*_CONNECTION_STRING", "*_WEBHOOK_URL", "REDIS_URL", "MONGO*_URI",
};

/* Never inherited: what points a program at somebody else's sandbox or loader. */
static const char *const always_dropped[] = { "EGRESSCTL_SANDBOX", "EGRESSCTL_DENIALS" };

static bool in_list(const char *const *list, size_t n, const char *name, int flags)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!fnmatch(list[i], name, flags))
			return true;
	return false;
}

#define IN(list, name, flags) in_list(list, sizeof(list) / sizeof((list)[0]), name, flags)

static bool secret_name(const char *name)
{
	return !IN(harmless, name, 0) && IN(secrets, name, FNM_CASEFOLD);
}

/* A NUL-terminated copy of a name in `buf`; names too long for it are NULL. */
static const char *name_copy(const char *name, size_t len, char *buf, size_t size)
{
	if (len >= size)
		return NULL;
	memcpy(buf, name, len);
	buf[len] = 0;
	return buf;
}

bool environ_secret_name(const char *name, size_t len)
{
	char buf[256];

	/* no program has a reason for such a name, so it is not kept by default */
	return !name_copy(name, len, buf, sizeof(buf)) || secret_name(buf);
}

static bool inherited(const char *entry, size_t len, const struct env_rules *r)
{
	char buf[256];
	const char *name = name_copy(entry, len, buf, sizeof(buf));

	if (!name || !len || IN(always_dropped, name, 0))
		return false;
	if (r->has_only)
		return in_list((const char *const *)r->only, r->nonly, name, 0);
	return in_list((const char *const *)r->keep, r->nkeep, name, 0) || !secret_name(name);
}

static bool same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return !strncmp(a, b, len) && b[len] == '=';
}

static bool has_name(char *const *list, size_t n, const char *entry)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (same_name(list[i], entry))
			return true;
	return false;
}

/* The list and, behind it, the text it points to. */
struct builder {
	char **list;
	size_t n;
	char *text;
};

static void add_entry(struct builder *b, const char *entry)
{
	/* environments have some dozens of names: a table would not pay */
	if (has_name(b->list, b->n, entry))
		return;
	b->list[b->n++] = b->text;
	b->text = stpcpy(b->text, entry) + 1;
}

int environ_build(char *const *env, const struct env_rules *r, char ***out)
{
	size_t max = r->nset + 1, bytes = 0, i;
	struct builder b = {};
	char *const *e;

	for (e = env; *e; e++, max++)
		bytes += strlen(*e) + 1;
	for (i = 0; i < r->nset; i++)
		bytes += strlen(r->set[i]) + 1;
	b.list = malloc(max * sizeof(*b.list) + bytes);
	if (!b.list)
		return -ENOMEM;
	b.text = (char *)(b.list + max);
	/* the child's policy comes last in `set`, and the first entry of a name stays */
	for (i = r->nset; i-- > 0;)
		add_entry(&b, r->set[i]);
	for (e = env; *e; e++) {
		const char *eq = strchr(*e, '=');

		if (eq && inherited(*e, eq - *e, r))
			add_entry(&b, *e);
	}
	b.list[b.n] = NULL;
	*out = b.list;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Credentials that lie in a project: by what files are called, and where that does not
 * say enough (a .pem is a certificate more often than a key), by what is in them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "init.h"
#include "util.h"

#define DEPTH_MAX 4u
#define ENTRIES_MAX 20000u /* of all directories together */
#define HEAD_MAX 65536u /* of a file */

static const struct kind {
	const char *names; /* patterns */
	const char *inside; /* one of these texts is in it, with | between; NULL: whatever is */
	const char *what;
	bool ask;
} kinds[] = {
	/* by convention committed, and without secrets: policies/secrets.yaml */
	{ ".env.example .env.sample .env.template .env.dist .env.defaults .env.development "
	  ".env.test", NULL, NULL, false },
	{ ".env .env.* *.env .envrc", NULL, "variables, as a rule with credentials", false },
	{ "id_rsa id_dsa id_ecdsa id_ecdsa_sk id_ed25519 id_ed25519_sk *.ppk", NULL,
	  "a key that logs in", false },
	{ "*.pem *.key *.crt *.cert *.asc", "PRIVATE KEY", "a private key", false },
	{ "*.p12 *.pfx *.jks *.keystore *.kdbx", NULL, "a store of keys", false },
	{ ".netrc .pgpass .htpasswd .git-credentials .pypirc .dockercfg .vault-token", NULL,
	  "passwords", false },
	{ ".npmrc", "_authToken=|_auth=|_password=", "a registry's token; npm reads it", true },
	{ "credentials.toml credentials auth.json", NULL, "by its name, credentials", true },
	{ "*.tfvars terraform.tfstate terraform.tfstate.backup", NULL,
	  "what Terraform was told, as a rule with credentials", true },
	{ "*.json", "\"private_key\"", "a service account's key", false },
	{ "kubeconfig *.kubeconfig *.ovpn", NULL, "a way into another network", false },
	{ "secrets.yml secrets.yaml secrets.json master.key", NULL, "by its name, secrets", true },
};

/* Made by tools, or of others. */
static const char *const skipped[] = {
	"node_modules", ".git", "target", "vendor", ".venv", "venv", "__pycache__", ".tox",
	".gradle", ".m2", "dist", ".next", ".cache", "third_party",
};

struct walk {
	struct init_found *f;
	size_t entries;
};

static bool matches(const char *patterns, const char *name)
{
	char one[64];

	while (*patterns) {
		size_t n = strcspn(patterns, " ");

		(void)snprintf(one, sizeof(one), "%.*s", (int)n, patterns);
		if (!fnmatch(one, name, 0))
			return true;
		patterns += n + (patterns[n] == ' ');
	}
	return false;
}

static bool has_one(const char *texts, const char *in, size_t len)
{
	while (*texts) {
		size_t n = strcspn(texts, "|");

		if (memmem(in, len, texts, n))
			return true;
		texts += n + (texts[n] == '|');
	}
	return false;
}

static bool is_inside(int dir, const char *name, const char *texts)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *head = NULL;
	struct stat st;
	ssize_t n;

	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	head = malloc(HEAD_MAX);
	n = head ? read(fd, head, HEAD_MAX) : -1;
	return n > 0 && has_one(texts, head, (size_t)n);
}

static const struct kind *kind_of(int dir, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!matches(kinds[i].names, name))
			continue;
		if (!kinds[i].what)
			return NULL;
		if (!kinds[i].inside || is_inside(dir, name, kinds[i].inside))
			return &kinds[i];
	}
	return NULL;
}

static int add(struct init_found *f, const char *path, const struct kind *k)
{
	char *copy;

	if (f->nsecrets >= INIT_MAX_SECRETS) {
		f->secrets_left++;
		return 0;
	}
	copy = strdup(path);
	if (!copy || array_reserve(&f->secrets, &f->cap_secrets, f->nsecrets)) {
		free(copy);
		return -ENOMEM;
	}
	f->secrets[f->nsecrets++] =
		(struct init_secret){ .path = copy, .what = k->what, .ask = k->ask };
	return 0;
}

static bool is_skipped(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(skipped); i++)
		if (str_eq(skipped[i], name))
			return true;
	return false;
}

static int walk(struct walk *w, int dir, const char *path, unsigned int depth);

static int look(struct walk *w, int dir, const char *path, const char *name, unsigned int depth)
{
	_cleanup_free_ char *below = NULL;
	const struct kind *k;
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", name) < 0) {
		below = NULL;
		return -ENOMEM;
	}
	if (S_ISREG(st.st_mode)) {
		k = kind_of(dir, name);
		return k ? add(w->f, below, k) : 0;
	}
	if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX || is_skipped(name))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : walk(w, fd, below, depth + 1);
}

/* Takes `dir`. */
static int walk(struct walk *w, int dir, const char *path, unsigned int depth)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	int err = 0;

	if (!d) {
		(void)close(dir);
		return -ENOMEM;
	}
	while (!err && w->entries < ENTRIES_MAX && (e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		w->entries++;
		err = look(w, dir, path, e->d_name, depth);
	}
	(void)closedir(d);
	return err;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct init_secret *)a)->path, ((const struct init_secret *)b)->path);
}

int init_secrets(int dir, struct init_found *f)
{
	struct walk w = { .f = f };
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : walk(&w, fd, "", 1);

	if (f->nsecrets)
		qsort(f->secrets, f->nsecrets, sizeof(*f->secrets), by_path);
	if (!err && w.entries >= ENTRIES_MAX)
		err = init_note(f, "secrets: only the first %u files were looked at", ENTRIES_MAX);
	return err;
}

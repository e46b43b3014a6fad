// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * No memory, at each place. Linked to one fuzz target instead of libFuzzer: every input of its
 * corpus is run again and again, and in the n-th run the n-th allocation of ours fails, alone or
 * with all after it, until a run needs no more than n. The target looks for what is half done;
 * the sanitizers for what is used, freed twice or left behind. Allocations are caught where our
 * objects call for them (ld --wrap), not in libraries: jansson's lexer writes to where it could not
 * get memory.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "selftests/fuzz/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **out, const char *fmt, va_list ap);
FILE *__real_open_memstream(char **p, size_t *len);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **out, const char *fmt, va_list ap);
int __wrap_asprintf(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
FILE *__wrap_open_memstream(char **p, size_t *len);

static struct {
	unsigned long n; /* calls in this run */
	unsigned long at; /* the one that fails; 0: none does */
	bool all; /* and those after it */
} fail;

bool fuzz_no_memory;

static bool fails(void)
{
	bool now;

	fail.n++;
	now = fail.at && (fail.n == fail.at || (fail.all && fail.n > fail.at));

	fuzz_no_memory |= now;
	return now;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
	return fails() ? -1 : __real_vasprintf(out, fmt, ap);
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

FILE *__wrap_open_memstream(char **p, size_t *len)
{
	return fails() ? NULL : __real_open_memstream(p, len);
}

/* ---- inputs ---------------------------------------------------------------------------- */

/*
 * An input that makes thousands of allocations is not run thousands of times: the places that
 * allocate are few, and so the steps between those that fail grow. FAULTS_EACH says from where.
 */
#define EACH 200ul

static unsigned long each = EACH;

static unsigned long step(unsigned long at)
{
	return at < each ? at + 1 : at + at * 10 / each;
}

static unsigned long run_all(const uint8_t *data, size_t size)
{
	unsigned long runs = 0, needed;

	fuzz_no_memory = false;
	fail.at = fail.n = 0;
	(void)LLVMFuzzerTestOneInput(data, size);
	needed = fail.n;
	for (int all = 0; all < 2; all++) {
		fail.all = all;
		for (fail.at = 1; fail.at <= needed; fail.at = step(fail.at), runs++) {
			fail.n = 0;
			fuzz_no_memory = false;
			(void)LLVMFuzzerTestOneInput(data, size);
		}
	}
	fail.at = 0;
	return runs;
}

static unsigned long run_file(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long runs;
	struct stat st;
	uint8_t *data;
	size_t n;

	if (!f || fstat(fileno(f), &st)) {
		perror(path);
		exit(1);
	}
	data = __real_malloc((size_t)st.st_size + 1);
	n = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
	(void)fclose(f);
	runs = run_all(data, n);
	free(data);
	return runs;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/'), *dir = argc > 1 ? argv[1] : NULL;
	unsigned long runs = 0;
	unsigned int files = 0;
	struct dirent *e;
	char path[4096];
	DIR *d;

	if (getenv("FAULTS_EACH"))
		each = strtoul(getenv("FAULTS_EACH"), NULL, 10);
	if (!each)
		each = EACH;
	name = name ? name + 1 : argv[0];
	if (LLVMFuzzerInitialize)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	if (!dir) {
		(void)snprintf(path, sizeof(path), "selftests/fuzz/corpus/%s",
			       strchr(name, '_') ? strchr(name, '_') + 1 : name);
		dir = path;
	}
	d = opendir(dir);
	if (!d) {
		perror(dir);
		return 1;
	}
	while ((e = readdir(d))) {
		char file[8192];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", dir, e->d_name);
		runs += run_file(file);
		files++;
	}
	(void)closedir(d);
	printf("# %u inputs, %lu runs in which an allocation failed\n", files, runs);
	printf("%sok 1 - %s\n1..1\n", runs ? "" : "not ", name);
	return !runs;
}

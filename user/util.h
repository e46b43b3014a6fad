/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Small helpers everybody uses: scope cleanup, growing arrays, strings.
 * Header only; no state.
 */
#ifndef EGRESSCTL_UTIL_H
#define EGRESSCTL_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* arguments are evaluated once */
#define MIN(a, b) \
	({ \
		__typeof__(a) __a = (a); \
		__typeof__(b) __b = (b); \
		__a < __b ? __a : __b; \
	})
#define MAX(a, b) \
	({ \
		__typeof__(a) __a = (a); \
		__typeof__(b) __b = (b); \
		__a > __b ? __a : __b; \
	})
#define __printf_like(f, a) __attribute__((format(printf, f, a)))
#define __cleanup(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		(void)close(*fd); /* read or pipe ends: nothing to lose here */
		errno = saved;
	}
}

static inline void cleanup_fclose_p(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

/* variables that clean up when they go out of scope */
#define _cleanup_free_ __cleanup(cleanup_free_p)
#define _cleanup_close_ __cleanup(cleanup_close_p)
#define _cleanup_fclose_ __cleanup(cleanup_fclose_p)

/* Hand a pointer on: the variable becomes NULL, so its cleanup does nothing. */
#define steal_ptr(p) \
	({ \
		__typeof__(p) __stolen = (p); \
		(p) = NULL; \
		__stolen; \
	})

static inline int steal_fd(int *fd)
{
	int got = *fd;

	*fd = -1;
	return got;
}

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static inline bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/*
 * Room for one more element in a malloc()ed array of `n` that grows by
 * doubling. `*cap` is the number of elements allocated. Returns 0 or -ENOMEM;
 * the array is untouched on failure. New elements are not cleared.
 */
static inline int array_reserve_raw(void *arrp, size_t *cap, size_t n, size_t elem)
{
	void *arr, *bigger;
	size_t want;

	if (n < *cap)
		return 0;
	want = *cap ? *cap * 2 : 8;
	while (want <= n)
		want *= 2;
	if (want > SIZE_MAX / elem)
		return -ENOMEM;
	memcpy(&arr, arrp, sizeof(arr));
	bigger = realloc(arr, want * elem);
	if (!bigger)
		return -ENOMEM;
	memcpy(arrp, &bigger, sizeof(bigger));
	*cap = want;
	return 0;
}

#define array_reserve(arrp, cap, n) array_reserve_raw((arrp), (cap), (n), sizeof(**(arrp)))

/*
 * Whole of `s` as a decimal number in [lo, hi]. No sign, no space, no leading
 * zero beyond a lone "0". Returns 0, -EINVAL (not a number) or -ERANGE.
 */
static inline int parse_u64(const char *s, uint64_t lo, uint64_t hi, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (v > (UINT64_MAX - (uint64_t)(*s - '0')) / 10)
			return -ERANGE;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	if (v < lo || v > hi)
		return -ERANGE;
	*out = v;
	return 0;
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "ref.h"
#include "util.h"

int ref_parse_event(const char *s, uint64_t *sandbox, uint64_t *seq)
{
	const char *dot = strchr(s, '.');
	uint64_t id, number;
	char head[24];

	if (str_eq(s, REF_LAST)) {
		*sandbox = *seq = 0;
		return 0;
	}
	if (!dot || (size_t)(dot - s) >= sizeof(head))
		return -EINVAL;
	memcpy(head, s, (size_t)(dot - s));
	head[dot - s] = '\0';
	if (parse_u64(head, 1, INT64_MAX, &id) || parse_u64(dot + 1, 1, INT64_MAX, &number))
		return -EINVAL;
	*sandbox = id;
	*seq = number;
	return 0;
}

json_t *ref_sandbox(const char *s)
{
	uint64_t id;

	if (!*s)
		return NULL;
	if (!parse_u64(s, 0, INT64_MAX, &id))
		return json_integer((json_int_t)id);
	return json_string(s);
}

/* Optimal string alignment, three rows of the table at a time. */
size_t ref_distance(const char *a, const char *b)
{
	size_t rows[3][REF_DISTANCE_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t n = strnlen(a, REF_DISTANCE_MAX), m = strnlen(b, REF_DISTANCE_MAX);

	for (size_t j = 0; j <= m; j++)
		last[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *free_row = before;

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, last[j] + 1);
			best = MIN(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, before[j - 2] + 1);
			now[j] = best;
		}
		before = last;
		last = now;
		now = free_row;
	}
	return last[m];
}

void nearest_try(struct nearest *n, const char *word)
{
	size_t far = ref_distance(n->text, word);

	/* what has to be replaced as a whole is not like it */
	if (!*word || far >= MAX(strlen(n->text), strlen(word)) || (n->word[0] && far >= n->far))
		return;
	n->far = far;
	(void)snprintf(n->word, sizeof(n->word), "%s", word);
}

const char *nearest_words(struct nearest *n)
{
	n->words[0] = '\0';
	if (n->word[0])
		(void)snprintf(n->words, sizeof(n->words), "; the nearest is %s", n->word);
	return n->words;
}

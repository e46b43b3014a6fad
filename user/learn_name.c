// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names that will be others the next time. */
#include <ctype.h>
#include <string.h>

#include "learn_int.h"

#define NUMBER_MIN 3u /* digits: shorter ones are versions */
#define HEX_MIN 8u
#define MIXED_MIN 6u /* what mkstemp() puts for XXXXXX */
#define TELLING_MIN 3u /* letters that must be left of a name */

enum letter { LETTER_NONE, LETTER_LOWER, LETTER_UPPER, LETTER_DIGIT };

static enum letter letter_of(char c)
{
	if (c >= 'a' && c <= 'z')
		return LETTER_LOWER;
	if (c >= 'A' && c <= 'Z')
		return LETTER_UPPER;
	return c >= '0' && c <= '9' ? LETTER_DIGIT : LETTER_NONE;
}

static size_t word_at(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && letter_of(s[n]))
		n++;
	return n;
}

/* Another kind of letter than the one before; a capital begins a word: "Lists" is none. */
static bool changes_at(const char *s)
{
	enum letter before = letter_of(s[-1]), here = letter_of(*s);

	return before != here && !(before == LETTER_UPPER && here == LETTER_LOWER);
}

/*
 * A word (letters and digits) that no person wrote. "sha512", "python3", "CMakeLists"
 * change their kind of letter seldom; what mkstemp() makes changes it all the time.
 */
static bool random_word(const char *s, size_t len)
{
	size_t digits = 0, hex = 0, changes = 0;

	for (size_t i = 0; i < len; i++) {
		digits += letter_of(s[i]) == LETTER_DIGIT;
		hex += letter_of(s[i]) == LETTER_DIGIT || (s[i] >= 'a' && s[i] <= 'f');
		/* a capital begins a word: "Lists" is no change */
		changes += i && changes_at(s + i);
	}
	if (digits == len)
		return len >= NUMBER_MIN;
	if (hex == len && digits)
		return len >= HEX_MIN;
	return len >= MIXED_MIN && changes >= 2 && (digits || changes * 3 >= len);
}

bool learn_name_random(const char *name, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = word_at(name + i, len - i);

		if (n && random_word(name + i, n))
			return true;
		i += n ? n : 1;
	}
	return false;
}

bool learn_name_telling(const char *name, size_t len)
{
	size_t left = 0;

	for (size_t i = 0; i < len;) {
		size_t n = word_at(name + i, len - i);

		if (n && !random_word(name + i, n))
			left += n;
		i += n ? n : 1;
	}
	return left >= TELLING_MIN;
}

/* The bytes up to the next random word, as a pattern. */
static void add_literal(struct text *t, const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t code = 0;
		size_t n = text_char_at(s + i, len - i, &code);

		if (!n || text_char_unsafe(code)) {
			/* a policy cannot say these: any one byte, each */
			text_add_bytes(t, "????", n ? n : 1);
			i += n ? n : 1;
			continue;
		}
		if (code < 0x7f && strchr("*?[]\\${}", (int)code))
			text_add_bytes(t, "\\", 1);
		text_add_bytes(t, s + i, n);
		i += n;
	}
}

void learn_name_pattern(struct text *t, const char *name, size_t len, bool fold)
{
	size_t from = 0;

	for (size_t i = 0; fold && i < len;) {
		size_t n = word_at(name + i, len - i);

		if (n && random_word(name + i, n)) {
			add_literal(t, name + from, i - from);
			text_add(t, "*");
			from = i + n;
		}
		i += n ? n : 1;
	}
	add_literal(t, name + from, len - from);
}

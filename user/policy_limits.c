/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values with a unit, whole and exact: no fractions, no spaces, no overflow. */
#include "policy_int.h"

/* Splits "30m" in number and unit; the unit may be empty. */
static int number_unit(const char *s, uint64_t *v, const char **unit)
{
	size_t n = strspn(s, "0123456789");
	char buf[24];

	if (!n || n >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, s, n);
	buf[n] = '\0';
	*unit = s + n;
	return parse_u64(buf, 1, UINT64_MAX, v) ? -EINVAL : 0;
}

static int scale(uint64_t v, uint64_t factor, uint64_t max, uint64_t *out)
{
	if (v > max / factor)
		return -ERANGE;
	*out = v * factor;
	return 0;
}

int policy_bytes_parse(const char *s, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit, *at;
	uint64_t v;

	if (number_unit(s, &v, &unit))
		return -EINVAL;
	if (!*unit)
		return scale(v, 1, INT64_MAX, bytes);
	at = strchr(units, *unit);
	/* 4G, 4GiB; not 4GB, which is a thousand to some */
	if (!at || (unit[1] && !str_eq(unit + 1, "iB")))
		return -EINVAL;
	return scale(v, 1ull << (10 * (at - units + 1)), INT64_MAX, bytes);
}

int policy_percent_parse(const char *s, uint64_t *percent)
{
	const char *unit;
	uint64_t v;

	if (number_unit(s, &v, &unit) || !str_eq(unit, "%"))
		return -EINVAL;
	return scale(v, 1, 1000000, percent);
}

int policy_time_parse(const char *s, uint64_t *ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};
	const char *unit;
	uint64_t v;

	if (number_unit(s, &v, &unit))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (str_eq(unit, units[i].unit))
			return scale(v, units[i].ms, 365ull * 86400000, ms);
	return -EINVAL;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "diag.h"
#include "ref.h"
#include "units.h"
#include "util.h"

#define SYSTEMD_BUS "unix:path=/run/systemd/private"
#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"

/* systemd.unit(5) */
static const char *const suffixes[] = {
	"service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer",
	"slice", "scope",
};

char *unit_name(const char *given)
{
	const char *dot = strrchr(given, '.');
	char *name;

	for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
		if (str_eq(dot + 1, suffixes[i]))
			return strdup(given);
	return asprintf(&name, "%s.service", given) < 0 ? NULL : name;
}

static int connect_systemd(sd_bus **bus)
{
	int err = sd_bus_new(bus);

	if (err >= 0)
		err = sd_bus_set_address(*bus, SYSTEMD_BUS);
	return err >= 0 ? sd_bus_start(*bus) : err;
}

/* What runs, and is called nearly so; none when `unit` itself is there. */
static void nearest_unit(sd_bus *bus, struct nearest *near)
{
	const char *name, *load, *active;
	sd_bus_message *reply = NULL;
	bool there = false;
	int n;

	n = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "ListUnits", NULL,
			       &reply, "");
	if (n >= 0)
		n = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
	while (n >= 0) {
		n = sd_bus_message_read(reply, "(ssssssouso)", &name, NULL, &load, &active, NULL,
					NULL, NULL, NULL, NULL, NULL);
		if (n <= 0)
			break;
		there |= str_eq(name, near->text) && !str_eq(load, "not-found");
		if (str_eq(active, "active") && !str_eq(name, near->text))
			nearest_try(near, name);
	}
	sd_bus_message_unref(reply);
	if (there)
		near->word[0] = '\0';
}

int unit_cgroup(const char *given, char **out, struct diag *d)
{
	_cleanup_free_ char *path = NULL, *unit = unit_name(given);
	struct nearest near = { .text = unit };
	sd_bus_error e = SD_BUS_ERROR_NULL;
	char interface[64];
	sd_bus *bus = NULL;
	const char *dot;
	bool there;
	int err;

	if (!unit)
		return diag_set(d, -ENOMEM, "out of memory");
	dot = strrchr(unit, '.');
	/* "Service" of "x.service" */
	(void)snprintf(interface, sizeof(interface), SYSTEMD ".%c%s", dot[1] & ~0x20, dot + 2);
	err = sd_bus_path_encode(SYSTEMD_PATH "/unit", unit, &path);
	if (err >= 0)
		err = connect_systemd(&bus);
	there = err != -ENOENT && err != -ECONNREFUSED;
	if (err >= 0)
		err = sd_bus_get_property_string(bus, SYSTEMD, path, interface, "ControlGroup", &e,
						 out);
	if (!there) {
		(void)diag_set(d, err,
			       "no systemd runs here that could be asked for %s (%s): name its "
			       "cgroup (--cgroup) or a process in it (--pid)",
			       unit, strerror(-err));
	} else if (err < 0) {
		(void)diag_set(d, err, "cannot ask systemd for the cgroup of %s: %s", unit,
			       e.message ? e.message : strerror(-err));
	} else if (!**out) {
		nearest_unit(bus, &near);
		err = diag_set(d, -ENOENT, "%s has no cgroup: it does not run%s", unit,
			       nearest_words(&near));
	}
	sd_bus_error_free(&e);
	sd_bus_unref(bus);
	return MIN(err, 0);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may speak to one of these sockets runs code outside every sandbox, reads
 * what the sandbox may not, or resolves names behind the policy's back. Each is
 * tried against each rule, so that a pattern ("/run/ **") is caught as well as
 * the path itself.
 */
#include <fnmatch.h>
#include <limits.h>

#include "policy_safe.h"

/* ---- matching --------------------------------------------------------------------------- */

/* One name against one component; both end at '/' or the end. */
static bool name_matches(const char *pattern, size_t plen, const char *name, size_t nlen)
{
	char p[PATH_MAX], n[PATH_MAX];

	if (plen >= sizeof(p) || nlen >= sizeof(n))
		return false;
	memcpy(p, pattern, plen);
	p[plen] = '\0';
	memcpy(n, name, nlen);
	n[nlen] = '\0';
	return fnmatch(p, n, 0) == 0;
}

/* pattern and path stand before a '/' or at the end. */
static bool covers(const char *pattern, const char *path)
{
	size_t plen, nlen;

	for (;;) {
		if (!*pattern || str_eq(pattern, "/"))
			return true; /* what is left of the path is below */
		plen = strcspn(pattern + 1, "/");
		if (plen == 2 && !strncmp(pattern + 1, "**", 2)) {
			pattern += 3;
			for (; *path; path += strcspn(path + 1, "/") + 1)
				if (covers(pattern, path))
					return true;
			return covers(pattern, path);
		}
		if (!*path || !path[1])
			return false;
		nlen = strcspn(path + 1, "/");
		if (!name_matches(pattern + 1, plen, path + 1, nlen))
			return false;
		pattern += plen + 1;
		path += nlen + 1;
	}
}

bool policy_glob_covers(const char *pattern, const char *path)
{
	if (*pattern == '@' || *path == '@')
		return *pattern == *path && fnmatch(pattern, path, 0) == 0;
	return covers(pattern, path);
}

/* ---- what is dangerous ------------------------------------------------------------------- */

static const char runs_anything[] = "the daemon behind it runs anything, outside of the sandbox";
static const char starts_services[] = "the service manager behind it starts anything";
static const char looks_up[] = "the service behind it resolves names for the sandbox";
static const char holds_keys[] = "the agent behind it signs and decrypts with the user's keys";
static const char types[] = "the display server behind it lets the sandbox type into other windows";
static const char terminal[] = "whoever attaches to it runs anything in the user's terminals";

/* %U: the user. /var/run and /run are tried for each other. */
static const struct {
	const char *path;
	const char *why;
} dangerous[] = {
	{ "/run/docker.sock", runs_anything },
	{ "/run/docker/containerd/containerd.sock", runs_anything },
	{ "/run/user/%U/docker.sock", runs_anything },
	{ "%H/.docker/run/docker.sock", runs_anything },
	{ "%H/.docker/desktop/docker.sock", runs_anything },
	{ "/run/containerd/containerd.sock", runs_anything },
	{ "/run/containerd/containerd.sock.ttrpc", runs_anything },
	{ "/run/k3s/containerd/containerd.sock", runs_anything },
	{ "/run/podman/podman.sock", runs_anything },
	{ "/run/user/%U/podman/podman.sock", runs_anything },
	{ "/run/crio/crio.sock", runs_anything },
	{ "/run/buildkit/buildkitd.sock", runs_anything },
	{ "/run/lxd.socket", runs_anything },
	{ "/var/lib/lxd/unix.socket", runs_anything },
	{ "/var/lib/incus/unix.socket", runs_anything },
	{ "/var/snap/lxd/common/lxd/unix.socket", runs_anything },
	{ "/run/libvirt/libvirt-sock", runs_anything },
	{ "/run/libvirt/virtqemud-sock", runs_anything },
	{ "/run/user/%U/libvirt/libvirt-sock", runs_anything },
	{ "/run/snapd.socket", runs_anything },
	{ "/run/dbus/system_bus_socket", starts_services },
	{ "/run/user/%U/bus", starts_services },
	{ "@/tmp/dbus-XXXXXXXXXX", starts_services },
	{ "/run/systemd/private", starts_services },
	{ "/run/user/%U/systemd/private", starts_services },
	{ "/run/systemd/io.systemd.Manager", starts_services },
	{ "/run/systemd/journal/io.systemd.journal",
	  "the journal behind it holds everybody's logs" },
	{ "/run/udev/control", runs_anything },
	{ "/run/acpid.socket", "the daemon behind it acts on power events" },
	{ "/run/initctl", starts_services },
	{ "/run/egressctl/control", "it is egressctl's own" },
	{ "/run/nscd/socket", looks_up },
	{ "/run/systemd/resolve/io.systemd.Resolve", looks_up },
	{ "/run/systemd/resolve/io.systemd.Resolve.Monitor", looks_up },
	{ "/run/avahi-daemon/socket", looks_up },
	{ "/var/lib/sss/pipes/nss", looks_up },
	{ "/run/user/%U/gnupg/S.gpg-agent", holds_keys },
	{ "/run/user/%U/gnupg/S.gpg-agent.ssh", holds_keys },
	{ "%H/.gnupg/S.gpg-agent", holds_keys },
	{ "/run/user/%U/keyring/ssh", holds_keys },
	{ "/run/user/%U/keyring/control", holds_keys },
	{ "/run/user/%U/ssh-agent.socket", holds_keys },
	{ "/run/user/%U/openssh_agent", holds_keys },
	{ "/tmp/ssh-XXXXXXXXXXXX/agent.1000", holds_keys },
	{ "/tmp/.X11-unix/X0", types },
	{ "/tmp/.X11-unix/X1", types },
	{ "@/tmp/.X11-unix/X0", types },
	{ "@/tmp/.X11-unix/X1", types },
	{ "/run/user/%U/wayland-0", types },
	{ "/run/user/%U/wayland-1", types },
	{ "@/tmp/.ICE-unix/1000", types },
	{ "/tmp/tmux-%U/default", terminal },
	{ "/run/screen/S-root/1000.pts-0.host", terminal },
};

/* Names that mean the same wherever the socket lies. */
static const struct {
	const char *name;
	const char *why;
} dangerous_names[] = {
	{ "docker.sock", runs_anything },	 { "containerd.sock", runs_anything },
	{ "podman.sock", runs_anything },	 { "crio.sock", runs_anything },
	{ "buildkitd.sock", runs_anything },	 { "libvirt-sock", runs_anything },
	{ "system_bus_socket", starts_services }, { "io.systemd.Resolve", looks_up },
};

static bool expand(const char *path, const char *uid, const char *home, char *buf, size_t len)
{
	const char *at = strchr(path, '%'), *value;

	if (!at)
		return (size_t)snprintf(buf, len, "%s", path) < len;
	value = at[1] == 'U' ? uid : home;
	if (!value)
		return false;
	return (size_t)snprintf(buf, len, "%.*s%s%s", (int)(at - path), path, value, at + 2) < len;
}

const char *policy_unsafe_unix(const char *pattern, const char *uid, const char *home, char *buf,
			       size_t len)
{
	const char *last = strrchr(pattern, '/');
	char other[PATH_MAX + 8];

	for (size_t i = 0; i < ARRAY_SIZE(dangerous); i++) {
		if (!expand(dangerous[i].path, uid ? uid : "1000", home, buf, len))
			continue;
		if (policy_glob_covers(pattern, buf))
			return dangerous[i].why;
		if (!str_starts(buf, "/run/"))
			continue;
		(void)snprintf(other, sizeof(other), "/var%s", buf);
		if (policy_glob_covers(pattern, other))
			return dangerous[i].why;
	}
	for (size_t i = 0; last && i < ARRAY_SIZE(dangerous_names); i++) {
		if (str_eq(last + 1, dangerous_names[i].name)) {
			(void)snprintf(buf, len, "%s", pattern);
			return dangerous_names[i].why;
		}
	}
	return NULL;
}

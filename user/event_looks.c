// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/capability.h>
#include <linux/types.h>
#include <math.h>
#include <string.h>

#include "../bpf/egressctl.h"
#include "compile.h"
#include "event_looks.h"
#include "events.h"
#include "policy_safe.h"
#include "secret_paths.h" /* made of policies/secrets.yaml */
#include "util.h"

/*
 * Names that carry data. A hash in the name of a real server has some dozens of
 * letters, and one program asks for few of them; a tunnel fills labels up (63 bytes,
 * RFC 1035 2.3.4) and never asks for the same name twice, or nothing would get through.
 */
#define TUNNEL_NAMES 12u /* different names below one domain */
#define TUNNEL_NAME 100u /* bytes of a whole name */
#define TUNNEL_LABEL 50u /* bytes of one label, whatever is in it */
#define TUNNEL_DENSE 30u /* bytes of one label that looks random … */
#define TUNNEL_BITS 3.5 /* … bits a letter: hexadecimal has up to 4, base32 up to 5 … */
#define TUNNEL_MIXED 10u /* … and one of so many is a digit or a capital: words have fewer */

static const struct {
	const char *name, *words;
} looks_names[EVENT_LOOKS_MAX] = {
	[EVENT_LOOKS_MISSING] = { "missing", "nothing about it looks like an attack" },
	[EVENT_LOOKS_METADATA] = { "metadata",
				   "the metadata service gives away this machine's credentials" },
	[EVENT_LOOKS_SECRET] = { "secret", "credentials are kept there" },
	[EVENT_LOOKS_TUNNEL] = { "tunnel", "names like this carry data out through DNS" },
	[EVENT_LOOKS_SANDBOX] = { "sandbox",
				  "it is another sandbox's socket, whose program would act for "
				  "this one" },
	[EVENT_LOOKS_SOCKET] = { "socket",
				 "a program outside of the sandbox would act for this one there" },
	[EVENT_LOOKS_GUARD] = { "guard", "it is about the kernel or about processes outside" },
	[EVENT_LOOKS_DETOUR] = { "detour", "it is another name of what a rule denies" },
};

const char *event_looks_name(enum event_looks looks)
{
	return looks_names[looks].name;
}

const char *event_looks_words(enum event_looks looks)
{
	return looks_names[looks].words;
}

static bool secret_path(struct event_bytes b)
{
	char path[EG_PATH_MAX + 1];

	if (!b.len || b.len > EG_PATH_MAX || *b.p != '/')
		return false;
	memcpy(path, b.p, b.len);
	path[b.len] = '\0'; /* a NUL in it ends it early: paths of the kernel have none */
	for (size_t i = 0; i < ARRAY_SIZE(secret_paths); i++)
		if (policy_glob_covers(secret_paths[i], path))
			return true;
	return false;
}

static bool secret_rule(const struct rule_ref *by)
{
	const char *slash = by ? strrchr(by->file, '/') : NULL;

	return by && str_eq(slash ? slash + 1 : by->file, "secrets.yaml");
}

/* Bits a letter carries, from how often each is there. */
static double entropy(const char *s, size_t len)
{
	unsigned int count[256] = { 0 };
	double bits = 0;

	for (size_t i = 0; i < len; i++)
		count[(uint8_t)s[i]]++;
	for (size_t i = 0; i < ARRAY_SIZE(count); i++) {
		double p = (double)count[i] / (double)len;

		if (count[i])
			bits -= p * log2(p);
	}
	return bits;
}

static bool looks_random(const char *s, size_t len)
{
	size_t odd = 0;

	for (size_t i = 0; i < len; i++)
		odd += (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z');
	return odd * TUNNEL_MIXED >= len && entropy(s, len) >= TUNNEL_BITS;
}

static bool tunnel_name(struct event_bytes name)
{
	size_t at = 0;

	if (name.len >= TUNNEL_NAME)
		return true;
	while (at < name.len) {
		const char *dot = memchr(name.p + at, '.', name.len - at);
		size_t len = dot ? (size_t)(dot - name.p) - at : name.len - at;

		if (len >= TUNNEL_LABEL)
			return true;
		if (len >= TUNNEL_DENSE && looks_random(name.p + at, len))
			return true;
		at += len + 1;
	}
	return false;
}

static bool is_name(struct event_bytes b, const char *name)
{
	size_t len = b.len && b.p[b.len - 1] == '.' ? b.len - 1 : b.len;

	return len == strlen(name) && !strncasecmp(b.p, name, len);
}

static bool metadata(const struct event *ev)
{
	static const char *const names[] = { "metadata.google.internal", "metadata",
					     "instance-data",
					     "instance-data.ec2.internal", "metadata.azure.com" };
	static const uint8_t link_local[14] = { [10] = 0xff, 0xff, 169, 254 };

	if (ev->reason == EG_WHY_METADATA)
		return true;
	if (event_object(ev) == EVENT_OBJECT_NAME)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (is_name(ev->path, names[i]))
				return true;
	/* a name that was pointed at it */
	return ev->reason == EG_WHY_PRIVATE && !memcmp(ev->addr, link_local, sizeof(link_local));
}

bool event_neighbour(const struct event *ev)
{
	return ev->reason == EG_WHY_FOREIGN && ev->port &&
	       (ev->op == EG_OP_CONNECT || ev->op == EG_OP_SEND || ev->op == EG_OP_PACKET);
}

/*
 * What the kernel found there has another sandbox's stamp. Of a unix socket without a
 * name it says the same whoever's it is.
 */
static bool neighbours_socket(const struct event *ev)
{
	return ev->op == EG_OP_UNIX ? ev->reason == EG_WHY_FOREIGN && ev->path.len :
				      event_neighbour(ev);
}

static bool foreign_socket(const struct event *ev)
{
	char name[256], which[EG_PATH_MAX + 8];

	if (ev->op != EG_OP_UNIX)
		return false;
	if (ev->reason == EG_WHY_FOREIGN)
		return true;
	if (!ev->path.len || ev->path.len >= sizeof(name))
		return false;
	memcpy(name, ev->path.p, ev->path.len);
	name[ev->path.len] = '\0';
	return !strpbrk(name, "*?[\\") &&
	       policy_unsafe_unix(name, NULL, NULL, which, sizeof(which)) != NULL;
}

/* Programs ask for capabilities to see whether they have them: not for these. */
static bool guard(const struct event *ev)
{
	switch (ev->op) {
	case EG_OP_BPF:
	case EG_OP_PTRACE:
	case EG_OP_KERNEL:
	case EG_OP_SIGNAL:
	case EG_OP_MOUNT:
	case EG_OP_IPC:
	case EG_OP_KEY:
	case EG_OP_TASK:
		return true;
	case EG_OP_CAPABLE:
		return ev->aux == CAP_SYS_MODULE || ev->aux == CAP_SYS_RAWIO ||
		       ev->aux == CAP_SYS_BOOT || ev->aux == CAP_SYS_PTRACE ||
		       ev->aux == CAP_BPF || ev->aux == CAP_MAC_ADMIN ||
		       ev->aux == CAP_MAC_OVERRIDE;
	default:
		return false;
	}
}

enum event_looks event_looks(const struct event *ev)
{
	enum event_object object = event_object(ev);

	if (guard(ev))
		return EVENT_LOOKS_GUARD;
	if (metadata(ev))
		return EVENT_LOOKS_METADATA;
	if (ev->reason == EG_WHY_ANCHOR)
		return EVENT_LOOKS_DETOUR;
	if (object == EVENT_OBJECT_PATH &&
	    (secret_rule(ev->by) || secret_path(ev->path) || secret_path(ev->path2)))
		return EVENT_LOOKS_SECRET;
	if (object == EVENT_OBJECT_NAME && (ev->distinct >= TUNNEL_NAMES || tunnel_name(ev->path)))
		return EVENT_LOOKS_TUNNEL;
	if (neighbours_socket(ev))
		return EVENT_LOOKS_SANDBOX;
	return foreign_socket(ev) ? EVENT_LOOKS_SOCKET : EVENT_LOOKS_MISSING;
}

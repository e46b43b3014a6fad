// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keys and keyrings: a sandbox sees, uses and links those that it made itself.
 *
 *   key_alloc          whose a new key is, and how many; no helper, no name to be found by
 *   key_freed          forgets it
 *   key_permission     whatever is done with a key or a keyring, searching included
 *   session_to_parent  a keyring of its own is not given to whoever started it
 *
 * A key without an owner is an outsider's. So are keyrings that the kernel shares
 * by user id, even when a sandboxed task is the first to ask for them: what lies there
 * is found by everybody's request_key(). privileges: [keys] lifts all of that.
 */
#include "guard.bpf.h"

#ifndef EDQUOT
#define EDQUOT 122
#endif

/* include/linux/key.h */
#define KEY_ALLOC_UID_KEYRING 0x0010
#define KEY_NEED_VIEW 1
#define KEY_POSSESSED 1ul /* bit 0 of a key_ref_t */

#define TYPE_NAME_MAX 24 /* longer than those that are asked for below */

static __always_inline bool starts_with(const char *text, const char *prefix, int len)
{
	for (int i = 0; i < len; i++)
		if (text[i] != prefix[i])
			return false;
	return true;
}

enum owner {
	OWN, /* whoever makes it */
	SHARED, /* everybody with this user id, or everybody, comes to it by its name */
	NAMED, /* a keyring that others may join by its name */
};

/*
 * Keyrings of the kernel's own that are shared have a flag (_uid.N, _uid_ses.N), or a dot
 * before the name, which no task can give. Of the others only those are private that
 * credentials point at; _persistent.N is found by everybody with that user id, and any
 * other name can be joined.
 */
static __always_inline enum owner owner_of(struct key *key, unsigned long flags)
{
	char type[TYPE_NAME_MAX] = {}, name[8] = {};

	if (flags & KEY_ALLOC_UID_KEYRING)
		return SHARED;
	bpf_probe_read_kernel_str(type, sizeof(type), BPF_CORE_READ(key, type, name));
	if (!starts_with(type, "keyring", 8))
		return OWN;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(key, description));
	if (name[0] == '.')
		return SHARED;
	return starts_with(name, "_ses", 5) || starts_with(name, "_tid", 5) ||
	       starts_with(name, "_pid", 5) ? OWN : NAMED;
}

/* To make a key that nobody has, the kernel starts /sbin/request-key, outside and as root. */
static __always_inline bool is_upcall(struct key *key)
{
	char type[TYPE_NAME_MAX] = {};

	bpf_probe_read_kernel_str(type, sizeof(type), BPF_CORE_READ(key, type, name));
	return starts_with(type, ".request_key_auth", 18);
}

static __always_inline void forget_key(__u64 address)
{
	struct eg_key *owner = bpf_map_lookup_elem(&keys, &address);
	struct eg_sandbox *sb;

	if (!owner)
		return;
	sb = sandbox_get(owner->sandbox, owner->slot);
	if (!bpf_map_delete_elem(&keys, &address) && sb && sb->nkeys)
		__sync_fetch_and_sub(&sb->nkeys, 1);
}

/*
 * Whose the key was that had this address before is forgotten once more, whoever asks:
 * key_freed() may have been passed over, as devpts_pty_kill() may.
 */
SEC("lsm/key_alloc")
int BPF_PROG(key_alloc, struct key *key, const struct cred *cred, unsigned long flags, int ret)
{
	__u64 address = (__u64)key;
	struct eg_key owner = {};
	enum owner whose;
	struct guarded g;
	int err;

	if (ret)
		return ret;
	forget_key(address);
	err = guarded(&g);
	if (err <= 0)
		return err;
	/* the kernel's own, for a filesystem that asks who a user is or where a server */
	if (layer_operation())
		return 0;
	whose = owner_of(key, flags);
	if (!(g.p->privileges & EG_PRIV_KEYS) && (whose == NAMED || is_upcall(key))) {
		err = refuse_with(&g, EG_OP_KEY, EG_WHY_GUARD, 0, -EACCES);
		if (err)
			return err;
	}
	if (whose != OWN)
		return 0;
	if (g.sb->nkeys >= EG_KEY_QUOTA) {
		err = refuse_with(&g, EG_OP_KEY, EG_WHY_QUOTA, 0, -EDQUOT);
		if (err)
			return err;
	}
	owner.sandbox = g.id.sandbox;
	owner.slot = g.id.slot;
	if (bpf_map_update_elem(&keys, &address, &owner, BPF_ANY)) {
		__sync_fetch_and_add(&g.sb->failed, 1);
		count_stat(EG_ST_FAIL_MAP);
		return -ENOMEM;
	}
	__sync_fetch_and_add(&g.sb->nkeys, 1);
	return 0;
}

/* The hook key_free is gone in 6.12. */
SEC("fentry/security_key_free")
int BPF_PROG(key_freed, struct key *key)
{
	forget_key((__u64)key);
	return 0;
}

/*
 * Looking at what a key is called is asked for each line of /proc/keys; it is refused,
 * but there is nothing for an operator to read in it. The first argument's type is one
 * that the verifier does not let programs load from the context.
 */
SEC("lsm/key_permission")
int BPF_PROG(key_permission)
{
	__u64 ref = 0, need = 0, address;
	struct eg_key *owner;
	struct guarded g;
	int who;

	who = guarded(&g);
	if (who <= 0)
		return who;
	if ((g.p->privileges & EG_PRIV_KEYS) || layer_operation())
		return 0;
	if (bpf_get_func_arg(ctx, 0, &ref) || bpf_get_func_arg(ctx, 2, &need))
		return -EACCES;
	address = ref & ~KEY_POSSESSED;
	owner = bpf_map_lookup_elem(&keys, &address);
	if (owner && owner->sandbox == g.id.sandbox)
		return 0;
	if ((__u32)need == KEY_NEED_VIEW)
		return g.p->flags & EG_P_AUDIT ? 0 : -EACCES;
	return refuse_with(&g, EG_OP_KEY, EG_WHY_FOREIGN,
			   (__u32)BPF_CORE_READ((struct key *)address, serial), -EACCES);
}

/* keyctl(KEYCTL_SESSION_TO_PARENT), the only one that asks for blank credentials: ENOMEM. */
SEC("lsm/cred_alloc_blank")
int BPF_PROG(session_to_parent, struct cred *cred, gfp_t gfp, int ret)
{
	struct guarded g;
	int err;

	if (ret)
		return ret;
	err = guarded(&g);
	if (err <= 0)
		return err;
	if (g.p->privileges & EG_PRIV_KEYS)
		return 0;
	return refuse_with(&g, EG_OP_KEY, EG_WHY_GUARD, 0, -ENOMEM);
}

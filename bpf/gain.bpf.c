// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs that give rights to whoever runs them.
 *
 *   bprm_creds_from_file   set-uid, set-gid and file capabilities
 *
 * An ordinary user chooses the policy: which files, sockets and hosts a program sees. One
 * that runs with somebody else's rights trusts what it finds there, and so may not run
 * where it is chosen by who has fewer (the kernel asks for no_new_privs before seccomp and
 * Landlock for that reason). It is not asked for here, because a tree of processes that
 * runs already may be put under a policy; what would gain is refused instead, before
 * anything of it has run.
 *
 * The hook runs behind the kernel's own, which has put together what the program would
 * have (no_new_privs, nosuid mounts and tracers included), and before the point from
 * which an exec cannot fail any more: fs/exec.c, begin_new_exec().
 */
#include "files.bpf.h"

static __always_inline __u64 caps_of(const struct cred *cred)
{
	__u64 caps = 0;

	/* two words before 6.3, one since then: on little endian the same */
	bpf_probe_read_kernel(&caps, sizeof(caps), &cred->cap_permitted);
	return caps;
}

static __always_inline bool gains(const struct cred *old, const struct cred *new)
{
	return BPF_CORE_READ(old, euid.val) != BPF_CORE_READ(new, euid.val) ||
	       BPF_CORE_READ(old, egid.val) != BPF_CORE_READ(new, egid.val) ||
	       (caps_of(new) & ~caps_of(old));
}

/* In a user namespace of the sandbox's own user there is nothing that is not the user's. */
static __always_inline bool in_own_userns(const struct cred *new, __u32 uid)
{
	struct user_namespace *ns = BPF_CORE_READ(new, user_ns);

	return BPF_CORE_READ(ns, level) > 0 && BPF_CORE_READ(ns, owner.val) == uid;
}

static __always_inline int check_gain(struct who *w, struct linux_binprm *bprm, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct cred *old, *new;

	if (!w->sb->uid || (w->sb->flags & EG_SB_RIGHTS))
		return 0;
	old = BPF_CORE_READ(task, cred);
	new = BPF_CORE_READ(bprm, cred);
	if (!gains(old, new) || in_own_userns(new, w->sb->uid))
		return 0;
	return refuse_raw(w, EG_OP_EXEC, EG_X, EG_WHY_RIGHTS, -EPERM, mnt_at(&file->f_path),
			  dentry_at(&file->f_path), 0, 0);
}

SEC("lsm/bprm_creds_from_file")
int BPF_PROG(exec_gain, struct linux_binprm *bprm, struct file *file, int ret)
{
	struct who w;

	if (ret)
		return ret;
	return PATH_HOOK(&w, check_gain(&w, bprm, file));
}

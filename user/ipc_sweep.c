// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/bpf.h>
#include <stddef.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "ipc_sweep.h"

#include <linux/types.h>

#include "../bpf/egressctl.h"

static void remove_object(const struct eg_ipc_object *o)
{
	switch (o->kind) {
	case EG_IPC_SEM:
		(void)semctl(o->id, 0, IPC_RMID);
		break;
	case EG_IPC_MSG:
		(void)msgctl(o->id, IPC_RMID, NULL);
		break;
	case EG_IPC_SHM:
		(void)shmctl(o->id, IPC_RMID, NULL);
		break;
	default:
		break;
	}
}

void ipc_sweep(int map, uint64_t sandbox)
{
	struct eg_ipc_object o;
	__u64 key, next;
	struct stat ns;
	int more;

	if (stat("/proc/self/ns/ipc", &ns))
		return;
	more = !bpf_map_get_next_key(map, NULL, &next);
	/* bounded: somebody else may add entries as fast as we read them */
	for (__u32 i = 0; more && i < 2 * EG_MAX_IPC; i++) {
		key = next;
		/* before the entry goes with the object */
		more = !bpf_map_get_next_key(map, &key, &next);
		if (!bpf_map_lookup_elem(map, &key, &o) && o.sandbox == sandbox &&
		    o.ns == (__u32)ns.st_ino)
			remove_object(&o);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef EGRESSCTL_IPC_SWEEP_H
#define EGRESSCTL_IPC_SWEEP_H

#include <stdint.h>

/*
 * SysV objects outlive the tasks that made them. Removes those of one sandbox that is
 * over, in the caller's IPC namespace: others go with their namespaces. `map`:
 * ipc_objects. Best effort: what stays is refused to every other sandbox.
 */
void ipc_sweep(int map, uint64_t sandbox);

#endif

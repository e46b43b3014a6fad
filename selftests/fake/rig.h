/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The server of egressd over the kernel of fake.h, and clients of it. One at a time. */
#ifndef RIG_H
#define RIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox;
struct server;

/* The user who is not root, and whose process rig_child() is. */
uid_t rig_user(void);
/* A process that blocks, with a directory of its own to work in: a pidfd, which stays. */
int rig_child(void);

/* `listens`: at a socket, for real connections. Negative errno. */
int rig_begin(bool listens);
/* Close what clients hold, end every sandbox, then the server. */
void rig_end(void);
/* What rig_end() does but for the server. */
void rig_end_all(void);
/* NULL, or what is left of sandboxes that are gone: static. Caches are not. */
const char *rig_left(void);

struct server *rig_server(void);
const char *rig_socket(void);
/* Let the server do all that there is to do. */
void rig_run(void);
/* A connection that the server has for a peer of this uid. -1: it did not take it. */
int rig_connect(uid_t uid);
void rig_hang_up(int fd);
/* Send a text; its answer, events left out. NULL: none came. */
json_t *rig_ask(int fd, const char *text, const int *fds, size_t nfds);
/* The next message that waits, or NULL. */
json_t *rig_next(int fd);

/* Does a process that the server forked still run? Its descriptors are open until then. */
bool rig_children(void);
/* Has a process that the server forked ended by a sanitizer? */
bool rig_child_died(void);
/* Is all of the version that each live sandbox points at there? NULL, or what is not. */
const char *rig_half(void);
/* Something was refused in it, as the kernel says so. */
void rig_refuse(struct sandbox *b, const char *name);
/* The newest live one, or NULL. */
struct sandbox *rig_newest(void);

#endif

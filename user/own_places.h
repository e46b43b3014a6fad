/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where egressctl is: its programs, settings and state. Who may write there from inside of a
 * sandbox is outside of every next one. So a policy with rules for paths that lets more be
 * written than these places has a rule of ours for each (compile_paths.c), which takes writing
 * and creating away and nothing else. A policy that names such a place means it.
 */
#ifndef OWN_PLACES_H
#define OWN_PLACES_H

/* Absolute paths, files and directories, whether they exist or not; NULL-terminated. */
extern const char *const own_places[];

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tree of a text as bytes, from one process of a program to another of the same: each
 * node before its entries, the key of an entry of a map behind it. Who unpacks trusts nothing.
 */
#ifndef EGRESSCTL_POLICY_PACK_H
#define EGRESSCTL_POLICY_PACK_H

#include "policy_yaml.h"

/* Bytes that it takes. */
size_t ydoc_packed_size(const struct ydoc *doc);

/* Into ydoc_packed_size() bytes at `out`. */
void ydoc_pack(const struct ydoc *doc, char *out);

/*
 * Of a text of `text_len` bytes. -ENOMEM; -EPROTO: not what ydoc_parse() makes of any text, then
 * nothing is left to be freed.
 */
int ydoc_unpack(const char *bytes, size_t n, size_t text_len, struct ydoc *doc);

#endif

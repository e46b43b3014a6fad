/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a sandbox touched, for people and for programs. Pure. Whatever a program
 * chose is escaped: the text has no byte a terminal would act on, the JSON is valid.
 */
#ifndef REPORT_H
#define REPORT_H

struct text;
struct trace;

/* Each 0 or -ENOMEM; `out` is replaced. */
int report_text(const struct trace *t, struct text *out);
int report_json(const struct trace *t, struct text *out);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The commands of egressctl: one file cmd_NAME.c each, listed in egressctl.c.
 * argv[0] is the command's name. Return the exit status: 0 done, 1 the answer is
 * no, 2 bad usage or a bad policy, 125 could not do it.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdint.h>

struct launch;

int cmd_run(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_allow(int argc, char **argv);
int cmd_deny(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_grants(int argc, char **argv);
int cmd_switch(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_enter(int argc, char **argv);
int cmd_setup(int argc, char **argv);
int cmd_uninstall(int argc, char **argv);

/* cmd_run.c: launch through egressd, or with an agent of its own; the exit status. */
int cmd_launch(struct launch *l);
/* cmd_report.c: launch.after of `run --report`; the context is the launch. */
void report_after_run(void *ctx, int control, uint64_t sandbox, int status);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The commands of egressctl: one file cmd_NAME.c each, listed in egressctl.c.
 * argv[0] is the command's name. Return the exit status: 0 done, 1 the answer is
 * no, 2 bad usage or a bad policy, 125 could not do it.
 */
#ifndef COMMANDS_H
#define COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_kill(int argc, char **argv);

#endif

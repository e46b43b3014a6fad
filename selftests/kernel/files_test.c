/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Path rules, in one program: loading the agent takes longer than most of its tests. */
#include "files_common.h"

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	files_open();
	files_change();
	files_exec();
	files_move();
	files_object();
	files_memo();
	files_guard();
	files_mounts();
	files_attack();
	files_attack_fs();
	files_received();
	return harness_done();
}

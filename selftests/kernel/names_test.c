/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Destinations that are open by name, in one program because loading the agent is dear. */
#include "harness.h"
#include "names_parts.h"
#include "net_hosts.h"

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	net_up();
	test_bindings();
	test_hellos();
	test_requests();
	return harness_done();
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Names through egressd, with real servers and clients and a sniffer between them: what DNS
# says (names_dns.sh), and what is said to the addresses that it gave (names_sites.sh).
# shellcheck source=selftests/kernel/names_lib.sh
. "$(dirname "$(readlink -f "$0")")/names_lib.sh"
# shellcheck source=selftests/kernel/names_dns.sh
. "$here/names_dns.sh"
# shellcheck source=selftests/kernel/names_sites.sh
. "$here/names_sites.sh"

prepare
trap names_end EXIT
names_end
link_site && link_other && start_dnsmasq && start_nginx && start_sniffer && start_proxy ||
	bail "no site"
cp $w/cert.pem "$here/work/names_dns.py" "$here/work/names_sites.py" $w/work
cp "$egressctl" $w && cp -r "$EGRESSCTL_POLICY_DIR" $w/policies && chmod -R a+rX $w/policies
start_service || bail "egressd does not start"

dns_policies
dns_control
whole_sandbox
egress_only
other_namespace
dns_clients
rebinding

sites_policies
web
clients
services
restart
stop_service
finish

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every attack of selftests/attacks, outside of a sandbox and inside: see suite.py.
exec /usr/bin/python3 "$(dirname "$(readlink -f "$0")")/suite.py" --table

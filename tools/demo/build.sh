#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the CI job does. It knows nothing of sandboxes.
set -e
git clone git://198.51.100.10/shop
cd shop
npm ci
npm test

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the CI job does. It knows nothing of sandboxes.
set -e
git clone https://git.corp.example/shop
cd shop
npm ci
npm test

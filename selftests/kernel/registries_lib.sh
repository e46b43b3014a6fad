# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Sourced after hosts_lib.sh and launch_lib.sh: what registries serve, made of files below $hosts/www,
# and the projects in $w/wt that ask for it. One tiny package everywhere.

registries_pip() {
	local files=$hosts/www/files.pythonhosted.org index=$hosts/www/pypi.org/simple/tiny-package
	mkdir -p "$files" "$index"
	/usr/bin/python3 - "$files/tiny_package-1.0-py3-none-any.whl" <<-END
		import sys, zipfile
		info = "tiny_package-1.0.dist-info/"
		with zipfile.ZipFile(sys.argv[1], "w") as wheel:
		    wheel.writestr("tiny_package.py", "version = 1\n")
		    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n")
		    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
		    wheel.writestr(info + "RECORD", "".join(
		        f"{n},,\n" for n in wheel.namelist() + [info + "RECORD"]))
	END
	local wheel=tiny_package-1.0-py3-none-any.whl
	echo "<a href=\"https://files.pythonhosted.org/$wheel\">$wheel</a>" >"$index/index.html"
}

registries_git() {
	local top=$hosts/www/github.com/tiny
	mkdir -p "$top"
	(
		export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
		git init -q "$hosts/git" && cd "$hosts/git" && echo tiny >README && git add README &&
			git -c user.name=a -c user.email=a@example.org commit -qm tiny &&
			git clone -q --bare . "$top/package.git" &&
			git -C "$top/package.git" update-server-info
	)
}

registries_apt() {
	local top=$hosts/www/deb.debian.org/debian etc=$w/wt/apt
	mkdir -p "$top" "$hosts/deb/DEBIAN" "$etc/etc" "$etc/state" "$etc/cache"
	printf '%s\n' "Package: tiny-package" "Version: 1.0" "Architecture: all" \
		"Maintainer: a <a@example.org>" "Description: tiny" >"$hosts/deb/DEBIAN/control"
	dpkg-deb -b "$hosts/deb" "$top/tiny-package_1.0_all.deb" >/dev/null
	{
		cat "$hosts/deb/DEBIAN/control"
		echo "Filename: ./tiny-package_1.0_all.deb"
		echo "Size: $(stat -c %s "$top/tiny-package_1.0_all.deb")"
		echo "SHA256: $(sha256sum <"$top/tiny-package_1.0_all.deb" | cut -d' ' -f1)"
	} >"$top/Packages"
	echo "deb [trusted=yes] http://deb.debian.org/debian ./" >"$etc/etc/sources.list"
	: >"$etc/status"
	cat >"$etc/config" <<-END
		Dir::Etc "$w/home/wt/apt/etc";
		Dir::State "$w/home/wt/apt/state";
		Dir::State::status "$w/home/wt/apt/status";
		Dir::Cache "$w/home/wt/apt/cache";
	END
}

registries_crates() {
	local index=$hosts/www/index.crates.io crate=$hosts/www/static.crates.io/crates/tiny-package/1.0.0
	mkdir -p "$index/ti/ny" "$crate" "$hosts/tiny-package-1.0.0/src" "$w/wt/src"
	printf '[package]\nname = "tiny-package"\nversion = "1.0.0"\n' \
		>"$hosts/tiny-package-1.0.0/Cargo.toml"
	: >"$hosts/tiny-package-1.0.0/src/lib.rs"
	tar -C "$hosts" -czf "$crate/download" tiny-package-1.0.0
	echo '{"dl": "https://static.crates.io/crates", "api": "https://crates.io"}' >"$index/config.json"
	printf '{"name":"tiny-package","vers":"1.0.0","deps":[],"cksum":"%s","features":{},"yanked":false}\n' \
		"$(sha256sum <"$crate/download" | cut -d' ' -f1)" >"$index/ti/ny/tiny-package"
	printf '[package]\nname = "app"\nversion = "1.0.0"\n[dependencies]\ntiny-package = "1"\n' \
		>"$w/wt/Cargo.toml"
	echo 'fn main() {}' >"$w/wt/src/main.rs"
}

registries_maven() {
	local top=$hosts/www/repo.maven.apache.org/maven2/tiny/parent/1 pom
	mkdir -p "$top"
	pom="<project><modelVersion>4.0.0</modelVersion>"
	echo "$pom<groupId>tiny</groupId><artifactId>parent</artifactId><version>1</version>" \
		"<packaging>pom</packaging></project>" >"$top/parent-1.pom"
	sha1sum <"$top/parent-1.pom" | cut -d' ' -f1 >"$top/parent-1.pom.sha1"
	echo "$pom<parent><groupId>tiny</groupId><artifactId>parent</artifactId><version>1</version>" \
		"<relativePath/></parent><artifactId>app</artifactId><packaging>pom</packaging></project>" \
		>"$w/wt/pom.xml"
}

# Java has its own list of authorities; after hosts_begin
registries_java() {
	keytool -importcert -noprompt -alias tests -file "$hosts/ca.pem" -keystore "$w/wt/trust" \
		-storepass changeit >/dev/null 2>&1
}

# registries_toolchain DIRECTORY: this machine's Rust toolchain there, if it has one
registries_toolchain() {
	local sysroot
	sysroot=$(rustc --print sysroot 2>/dev/null) && [ -x "$sysroot/bin/cargo" ] || return
	mkdir -p "$1"
	mount --bind "$sysroot" "$1"
}

# For clients that are not at hand: something to fetch.
registries_pages() { # NAME/PATH…
	local page
	for page; do
		mkdir -p "$(dirname "$hosts/www/$page")"
		echo "$page" >"$hosts/www/$page"
	done
}

registries() {
	echo '{"name":"app","version":"1.0.0"}' >"$w/wt/package.json"
	hosts_npm tiny-package 1.0.0
	registries_pip
	registries_git
	registries_apt
	registries_crates
	registries_maven
	registries_pages tracker.example/index.html github.com/index.html gitlab.com/index.html \
		codeload.github.com/index.html raw.githubusercontent.com/index.html \
		proxy.golang.org/tiny/@v/list sum.golang.org/index.html go.dev/index.html \
		repo.maven.apache.org/maven2/index.html repo1.maven.org/maven2/index.html \
		plugins.gradle.org/index.html registry-1.docker.io/v2/index.html auth.docker.io/index.html \
		production.cloudflare.docker.com/index.html ghcr.io/index.html quay.io/index.html \
		registry.k8s.io/index.html
}

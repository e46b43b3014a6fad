// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is known of ecosystems: the files that tell one, where its files name hosts, what
 * its tools write outside of the workspace. Rows; init_find.c goes through them.
 */
#include <string.h>

#include "init.h"
#include "util.h"

#define PROJECT(path_, how_, keys_) { .path = (path_), .how = (how_), .keys = (keys_) }
#define TELLS(path_, how_, keys_, build_) \
	{ .path = (path_), .how = (how_), .keys = (keys_), .tells = true, .build = (build_) }
#define HOME(path_, how_, keys_) \
	{ .path = (path_), .where = INIT_IN_HOME, .how = (how_), .keys = (keys_) }

static const struct init_file git_files[] = {
	{ .path = "config", .where = INIT_IN_GIT, .how = INIT_SCAN_GIT, .keys = "url pushurl" },
	PROJECT(".gitmodules", INIT_SCAN_GIT, "url"),
	{}
};

#define NPMRC "registry proxy https-proxy http-proxy disturl"

static const struct init_file npm_files[] = {
	TELLS("pnpm-lock.yaml", INIT_SCAN_KEYS, "tarball registry repo",
	      "pnpm install --frozen-lockfile"),
	TELLS("yarn.lock", INIT_SCAN_KEYS, "resolved resolution", "yarn install --frozen-lockfile"),
	TELLS("package-lock.json", INIT_SCAN_KEYS, "resolved", "npm ci"),
	TELLS("npm-shrinkwrap.json", INIT_SCAN_KEYS, "resolved", "npm ci"),
	TELLS("package.json", INIT_SCAN_JSON, "dependencies", "npm install"),
	PROJECT(".npmrc", INIT_SCAN_KEYS, NPMRC),
	PROJECT(".yarnrc", INIT_SCAN_KEYS, NPMRC),
	PROJECT(".yarnrc.yml", INIT_SCAN_KEYS, "npmRegistryServer httpProxy httpsProxy"),
	PROJECT("bunfig.toml", INIT_SCAN_KEYS, "registry url"),
	HOME(".npmrc", INIT_SCAN_KEYS, NPMRC),
	HOME(".yarnrc.yml", INIT_SCAN_KEYS, "npmRegistryServer httpProxy httpsProxy"),
	{}
};

static const struct init_cache npm_caches[] = {
	{ "~/.cache/yarn", "rwc", "packages that yarn has unpacked", "yarn.lock" },
	{ "~/.yarn/berry", "rwc", "the same of newer ones", "yarn.lock" },
	{ "~/.local/share/pnpm/store", "rwc", "the store of pnpm", "pnpm-lock.yaml" },
	{ "~/.cache/pnpm", "rwc", "what pnpm knows of packages", "pnpm-lock.yaml" },
	{ "~/.local/state/pnpm", "rwc", "when pnpm last looked for a new one", "pnpm-lock.yaml" },
	{}
};

#define PIP_KEYS "index-url extra-index-url find-links proxy index url PIP_INDEX_URL"
#define VENV "sh -c 'python3 -m venv .venv && .venv/bin/pip install "

static const struct init_file pip_files[] = {
	TELLS("uv.lock", INIT_SCAN_KEYS, "registry url git", "uv sync"),
	TELLS("poetry.lock", INIT_SCAN_KEYS, "url", "poetry install"),
	TELLS("Pipfile", INIT_SCAN_KEYS, "url git", "pipenv install"),
	TELLS("requirements.txt", INIT_SCAN_KEYS, "*", VENV "-r requirements.txt'"),
	TELLS("pyproject.toml", INIT_SCAN_KEYS, PIP_KEYS " git", VENV ".'"),
	TELLS("setup.py", INIT_SCAN_KEYS, "dependency_links", VENV ".'"),
	TELLS("setup.cfg", INIT_SCAN_KEYS, "dependency_links", VENV ".'"),
	PROJECT("requirements?*.txt", INIT_SCAN_KEYS, "*"),
	PROJECT("constraints*.txt", INIT_SCAN_KEYS, "*"),
	PROJECT("requirements/*.txt", INIT_SCAN_KEYS, "*"),
	PROJECT("Pipfile.lock", INIT_SCAN_KEYS, "url git"),
	PROJECT("pip.conf", INIT_SCAN_KEYS, PIP_KEYS),
	PROJECT("uv.toml", INIT_SCAN_KEYS, PIP_KEYS),
	HOME(".config/pip/pip.conf", INIT_SCAN_KEYS, PIP_KEYS),
	HOME(".pip/pip.conf", INIT_SCAN_KEYS, PIP_KEYS),
	HOME(".config/uv/uv.toml", INIT_SCAN_KEYS, PIP_KEYS),
	{ .path = "/etc/pip.conf", .where = INIT_IN_ROOT, .how = INIT_SCAN_KEYS, .keys = PIP_KEYS },
	{}
};

static const struct init_cache pip_caches[] = {
	{ "~/.cache/pypoetry", "rwxc", "packages, and environments that poetry makes",
	  "poetry.lock" },
	{ "~/.local/share/virtualenvs", "rwxc", "environments that pipenv makes", "Pipfile" },
	{}
};

#define CARGO_KEYS "index registry git proxy registry-index"

static const struct init_file cargo_files[] = {
	TELLS("Cargo.toml", INIT_SCAN_KEYS, CARGO_KEYS, "cargo build"),
	PROJECT("Cargo.lock", INIT_SCAN_KEYS, "source"),
	PROJECT(".cargo/config.toml", INIT_SCAN_KEYS, CARGO_KEYS),
	PROJECT(".cargo/config", INIT_SCAN_KEYS, CARGO_KEYS),
	HOME(".cargo/config.toml", INIT_SCAN_KEYS, CARGO_KEYS),
	HOME(".cargo/config", INIT_SCAN_KEYS, CARGO_KEYS),
	{}
};

static const struct init_cache cargo_caches[] = {
	{ "~/.cargo", "r", "cargo looks at it itself; `secrets` keeps its token closed", NULL },
	{ "~/.cargo/registry", "rwc", "crates, packed and unpacked", NULL },
	{ "~/.cargo/git", "rwc", "repositories of dependencies", NULL },
	{ "~/.cargo/.package-cache*", "rwc", "locks of these", NULL },
	{ "~/.cargo/.global-cache*", "rwc", "when each was last used", NULL },
	{}
};

static const struct init_file go_files[] = {
	TELLS("go.mod", INIT_SCAN_GOMOD, "require", "go build ./..."),
	TELLS("go.work", INIT_SCAN_GOMOD, "require", "go build ./..."),
	HOME(".config/go/env", INIT_SCAN_KEYS, "GOPROXY GOSUMDB"),
	{}
};

static const struct init_cache go_caches[] = {
	{ "~/.cache/go-build", "rwxc", "what was compiled; go does not build without it", NULL },
	{ "~/go/pkg", "rwxc", "modules and toolchains", NULL },
	{ "~/.config/go", "r", "settings of `go env -w`", NULL },
	{ "~/.config/go/telemetry", "rwc", "counters of the go command", NULL },
	{}
};

#define GRADLE_KEYS "url uri setUrl"

static const struct init_file maven_files[] = {
	TELLS("mvnw", INIT_SCAN_KEYS, "", "./mvnw -B verify"),
	TELLS("gradlew", INIT_SCAN_KEYS, "", "./gradlew build"),
	TELLS("pom.xml", INIT_SCAN_XML, "repository", "mvn -B verify"),
	TELLS("build.gradle", INIT_SCAN_KEYS, GRADLE_KEYS, "gradle build"),
	TELLS("build.gradle.kts", INIT_SCAN_KEYS, GRADLE_KEYS, "gradle build"),
	TELLS("build.sbt", INIT_SCAN_KEYS, "at", "sbt compile"),
	PROJECT("settings.gradle", INIT_SCAN_KEYS, GRADLE_KEYS),
	PROJECT("settings.gradle.kts", INIT_SCAN_KEYS, GRADLE_KEYS),
	PROJECT("gradle/wrapper/gradle-wrapper.properties", INIT_SCAN_KEYS, "distributionUrl"),
	PROJECT(".mvn/wrapper/maven-wrapper.properties", INIT_SCAN_KEYS,
		"distributionUrl wrapperUrl"),
	PROJECT(".mvn/settings.xml", INIT_SCAN_XML, "repository"),
	HOME(".m2/settings.xml", INIT_SCAN_XML, "repository"),
	{}
};

static const struct init_cache maven_caches[] = {
	{ "~/.m2/repository", "rwc", "artifacts", "pom.xml" },
	{ "~/.m2/wrapper", "rwxc", "the Maven that mvnw fetches, and runs", ".mvn/wrapper" },
	{ "~/.gradle/caches", "rwxc", "artifacts, and what was compiled", "build.gradle*" },
	{ "~/.gradle/daemon", "rwc", "its daemon's logs", "build.gradle*" },
	{ "~/.gradle/native", "rwxc", "libraries that Gradle unpacks", "build.gradle*" },
	{ "~/.gradle/wrapper", "rwxc", "the Gradle that gradlew fetches, and runs",
	  "build.gradle*" },
	{}
};

static const struct init_file c_files[] = {
	TELLS("CMakeLists.txt", INIT_SCAN_KEYS, "GIT_REPOSITORY URL",
	      "sh -c 'cmake -B build && cmake --build build'"),
	TELLS("meson.build", INIT_SCAN_KEYS, "", "sh -c 'meson setup build && ninja -C build'"),
	TELLS("configure", INIT_SCAN_KEYS, "", "sh -c './configure && make'"),
	TELLS("configure.ac", INIT_SCAN_KEYS, "", "make"),
	TELLS("GNUmakefile", INIT_SCAN_KEYS, "GOPROXY PIP_INDEX_URL clone curl wget", "make"),
	TELLS("makefile", INIT_SCAN_KEYS, "GOPROXY PIP_INDEX_URL clone curl wget", "make"),
	TELLS("Makefile", INIT_SCAN_KEYS, "GOPROXY PIP_INDEX_URL clone curl wget", "make"),
	{}
};

static const struct init_file no_files[] = { {} };

/* In the order in which a project's own command is taken: make may be beside all others. */
const struct init_eco init_ecos[INIT_ECOS] = {
	{ "git", "git", NULL, NULL, git_files, NULL },
	{ "npm node yarn pnpm", "npm", "npm", "the registries of npm and yarn, and nodejs.org",
	  npm_files, npm_caches },
	{ "pip python uv poetry", "Python", "pip", "the Python Package Index", pip_files,
	  pip_caches },
	{ "cargo rust", "Rust", "cargo", "crates.io and rust-lang.org", cargo_files, cargo_caches },
	{ "go golang", "Go", "go", "the module proxy, checksums and toolchains", go_files,
	  go_caches },
	{ "maven java gradle sbt", "Java", "maven",
	  "the central repository, and what Maven, Gradle and sbt are fetched from", maven_files,
	  maven_caches },
	{ "c make cmake", "C", NULL, NULL, c_files, NULL },
	{ "git-hosting", "git hosting", "git-hosting",
	  "public git hosting, where anybody can have a repository", no_files, NULL },
	{ "apt", "apt", "apt", "packages of Debian and Ubuntu", no_files, NULL },
	{ "container-registries", "container registries", "container-registries",
	  "public registries of images", no_files, NULL },
	{ "common-dependencies", "all package managers", "common-dependencies",
	  "what the usual package managers fetch, all of it", no_files, NULL },
};

size_t init_eco_find(const char *word)
{
	size_t i, n = strlen(word);

	for (i = 0; i < INIT_ECOS; i++)
		for (const char *s = init_ecos[i].names; *s;
		     s += strcspn(s, " ") + !!strchr(s, ' '))
			if (strcspn(s, " ") == n && !strncmp(s, word, n))
				return i;
	return i;
}

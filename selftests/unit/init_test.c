// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Policies for made-up projects: each is one that the parser takes, with every question
 * answered as well as with none, opens what it must and nothing that only the project asks
 * for.
 */
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "event_text.h"
#include "init.h"
#include "learn_file.h"
#include "policy_help.h"
#include "put_file.h"
#include "verdict.h"

struct file {
	const char *path; /* of the project; of the home when it begins with ~/ */
	const char *text;
};

static char top[64], work[80], home[80];
static struct init_found found;
static struct text text;

/* ---- projects -------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(top, "/tmp/init_test.XXXXXX");
	if (!mkdtemp(top) || setenv("EGRESSCTL_POLICY_DIR", "policies", 1) || unsetenv("GOPROXY"))
		return -1;
	(void)snprintf(work, sizeof(work), "%s/work", top);
	(void)snprintf(home, sizeof(home), "%s/home", top);
	return mkdir(work, 0755) || mkdir(home, 0755);
}

static int tear_down(void **state)
{
	(void)state;
	init_found_clear(&found);
	text_free(&text);
	memset(&text, 0, sizeof(text));
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *content)
{
	char full[512];
	FILE *f;

	(void)snprintf(full, sizeof(full), "%s/%s", str_starts(path, "~/") ? home : work,
		       str_starts(path, "~/") ? path + 2 : path);
	for (char *slash = full + strlen(top) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct policy_vars vars(void)
{
	static char gitdir[96];
	struct policy_vars v = { .workdir = work, .home = home, .tmpdir = (char *)"/tmp",
				 .uid = (char *)"1000" };

	(void)snprintf(gitdir, sizeof(gitdir), "%s/.git", work);
	v.gitdir = access(gitdir, F_OK) ? NULL : gitdir;
	return v;
}

static struct compiled *compile(const char *policy)
{
	const struct policy_vars v = vars();
	struct compiled *c = NULL;
	struct diag d = {};

	if (learn_file_compile(policy, &v, &c, &d))
		fail_msg("%s\n%s", d.msg, policy);
	return c;
}

/* With all that is asked answered by yes. */
static struct compiled *compile_yes(void)
{
	_cleanup_free_ char *all = strdup(text.p);
	struct compiled *c;
	char *p = all;

	assert_non_null(all);
	while ((p = strstr(p, "#? "))) {
		if (p == all || p[-1] == '\n')
			memmove(p, p + 3, strlen(p + 3) + 1);
		else
			p++;
	}
	c = compile(all);
	return c;
}

/* What `egressctl init` writes about the files that were put. */
static struct compiled *init(struct init_wish w)
{
	const struct policy_vars v = vars();
	const char *extends[INIT_ECOS + 1];
	struct compiled *base = NULL;
	struct diag d = {};
	size_t n;

	w.output = "egressctl.yaml";
	w.shown = "./egressctl.yaml";
	init_found_clear(&found);
	assert_int_equal(init_find(&v, &w, &found, &d), 0);
	n = init_extends(&found, &w, extends);
	if (learn_file_base(extends, n, &v, &base, &d))
		fail_msg("%s", d.msg);
	assert_int_equal(init_cover(&found, base, &v), 0);
	compiled_free(base);
	assert_int_equal(init_text(&found, &w, &text), 0);
	compiled_free(compile_yes());
	return compile(text.p);
}

static struct compiled *init_of(const struct file *files, struct init_wish w)
{
	for (; files->path; files++)
		put(files->path, files->text);
	return init(w);
}

static bool is_open(const struct compiled *c, const char *name, uint16_t port)
{
	uint8_t verdict;
	uint32_t rule;

	assert_int_equal(verdict_name(c, name, port, IPPROTO_TCP, &verdict, &rule), 0);
	return verdict == EG_V_ALLOW;
}

static const char *perm(const struct compiled *c, const char *path)
{
	char full[512];

	(void)snprintf(full, sizeof(full), "%s/%s", str_starts(path, "~/") ? home : work,
		       str_starts(path, "~/") ? path + 2 : path);
	return help_perm(c, full);
}

#define SAYS(s) assert_non_null(strstr(text.p, (s)))
#define SAYS_NOT(s) assert_null(strstr(text.p, (s)))

/* ---- kinds ------------------------------------------------------------------------------ */

static const struct kind {
	const char *title;
	struct file files[8];
	const char *open[4]; /* at 443 */
	const char *asked[6]; /* closed, and open when the questions are answered */
	uint16_t port; /* of these; 0: 443 */
	const char *closed[3]; /* always */
	const char *build;
	const char *cache; /* that may be written */
} kinds[] = {
	{ "npm",
	  { { "package.json",
	      "{\"homepage\": \"https://home.example\", \"dependencies\": {\"a\": "
	      "\"git+https://git.example/a.git\", \"b\": \"user/repo\"}}" },
	    { "package-lock.json",
	      "{\"packages\": {\"x\": {\"resolved\": \"https://npm.corp.example/x.tgz\", "
	      "\"funding\": \"https://fund.example\"}, \"y\": {\"resolved\":\n"
	      "\"https://registry.npmjs.org/y.tgz\"}}}" },
	    { ".npmrc", "# registry=https://old.example\n@corp:registry=https://two.example/\n" } },
	  { "registry.npmjs.org" },
	  { "npm.corp.example", "git.example", "github.com", "two.example" },
	  0,
	  { "home.example", "fund.example", "old.example" },
	  "npm ci", NULL },
	{ "npm, of yarn",
	  { { "package.json", "{}" },
	    { "yarn.lock", "a@^1:\n  resolved \"https://yarn.corp.example/a.tgz#1\"\n" },
	    { ".yarnrc.yml", "npmRegistryServer: \"https://two.example\"\n" } },
	  { "registry.yarnpkg.com" },
	  { "yarn.corp.example", "two.example" },
	  0,
	  { "pypi.org" },
	  "yarn install --frozen-lockfile", "~/.cache/yarn/x" },
	{ "Python",
	  { { "requirements.txt",
	      "--index-url https://me:secret@pip.corp.example/simple\n"
	      "a @ git+ssh://git@git.example/a.git\n-i https://two.example/simple\n" },
	    { "pip.conf", "[global]\nextra-index-url =\n    https://three.example/simple\n"
			  "    https://four.example/simple\n" },
	    { "pyproject.toml", "[project.urls]\nHomepage = \"https://home.example\"\n"
				"[[tool.uv.index]]\nurl = \"https://five.example\"\n" } },
	  { "pypi.org", "files.pythonhosted.org" },
	  { "pip.corp.example", "two.example", "three.example", "four.example",
	    "five.example" },
	  0,
	  { "home.example", "secret", "npmjs.org" },
	  NULL, NULL },
	{ "Rust",
	  { { "Cargo.toml", "[package]\nrepository = \"https://home.example\"\n[dependencies]\n"
			    "a = { git = \"https://git.example/a\" }\n" },
	    { "Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
			    "source = \"git+https://lock.example/b?rev=1#2\"\n" },
	    { ".cargo/config.toml",
	      "[registries.corp]\nindex = \"sparse+https://crates.corp.example/\"\n" } },
	  { "index.crates.io", "static.crates.io" },
	  { "git.example", "crates.corp.example", "lock.example" },
	  0,
	  { "home.example", "github.com" },
	  "cargo build", "~/.cargo/registry/x" },
	{ "Go",
	  { { "go.mod", "module example.com/me\n\ngo 1.22\n\nrequire (\n"
			"\tgit.example/a v1.0.0\n\tgolang.org/x/sys v0.1.0\n"
			"\tindirect.example/b v1 // indirect\n)\n"
			"require one.example/c v1.2.3\n"
			"replace old.example/d => two.example/d v1.0.0\n"
			"replace git.example/a => ../a\n" } },
	  { "proxy.golang.org", "sum.golang.org" },
	  { "git.example", "one.example", "two.example" },
	  0,
	  { "example.com", "old.example", "indirect.example" },
	  "go build ./...", "~/.cache/go-build/x" },
	{ "Java",
	  { { "pom.xml",
	      "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><url>https://home.example</url>"
	      "<!-- <repository><url>https://old.example</url></repository> -->"
	      "<repositories><repository><id>a</id>\n<url>https://nexus.corp.example/m2</url>"
	      "</repository></repositories><scm><url>https://scm.example</url></scm>"
	      "<pluginRepositories><pluginRepository><url>https://two.example</url>"
	      "</pluginRepository></pluginRepositories></project>" },
	    { "gradle/wrapper/gradle-wrapper.properties",
	      "distributionUrl=https\\://gradle.corp.example/g.zip\n" },
	    { "settings.gradle", "maven { url \"https://three.example\" }\n"
				 "maven { url = uri('https://four.example') }\n" } },
	  { "repo.maven.apache.org", "repo1.maven.org" },
	  { "nexus.corp.example", "two.example", "gradle.corp.example", "three.example",
	    "four.example" },
	  0,
	  { "home.example", "old.example", "scm.example" },
	  "mvn -B verify", "~/.m2/repository/x" },
	{ "C",
	  { { "CMakeLists.txt", "FetchContent_Declare(a GIT_REPOSITORY https://git.example/a.git)\n"
				"  URL https://two.example/b.tar.gz\n"
				"message(\"https://home.example\")\n" },
	    { "Makefile", "all:\n\tcurl -fsSL https://three.example/x\n" } },
	  {},
	  { "git.example", "two.example", "three.example" },
	  0,
	  { "home.example", "github.com" },
	  "sh -c 'cmake -B build && cmake --build build'", NULL },
	{ "remotes",
	  { { ".git/config",
	      "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = git@git.corp.example:a/b.git\n"
	      "\tfetch = +refs/heads/*:refs/remotes/origin/*\n[remote \"b\"]\n"
	      "\turl = ssh://git@two.example/a.git\n\tpushurl = three.example:x\n" } },
	  {},
	  { "git.corp.example", "two.example", "three.example" },
	  22,
	  { "heads", "origin" },
	  NULL, NULL },
};

static void each_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];
		uint16_t port = k->port ? k->port : 443;
		struct compiled *c, *yes, *trusted;

		c = init_of(k->files, (struct init_wish){ 0 });
		yes = compile_yes();
		for (size_t n = 0; n < ARRAY_SIZE(k->open) && k->open[n]; n++)
			if (!is_open(c, k->open[n], 443))
				fail_msg("%s: %s is closed\n%s", k->title, k->open[n], text.p);
		for (size_t n = 0; n < ARRAY_SIZE(k->asked) && k->asked[n]; n++)
			if (is_open(c, k->asked[n], port) || !is_open(yes, k->asked[n], port))
				fail_msg("%s: %s is no question\n%s", k->title, k->asked[n],
					 text.p);
		for (size_t n = 0; n < ARRAY_SIZE(k->closed) && k->closed[n]; n++)
			if (is_open(yes, k->closed[n], 443) || is_open(yes, k->closed[n], 22))
				fail_msg("%s: %s is open\n%s", k->title, k->closed[n], text.p);
		if (k->build)
			assert_string_equal(found.build, k->build);
		if (k->cache && !strchr(perm(c, k->cache), 'w'))
			fail_msg("%s: %s may not be written\n%s", k->title, k->cache, text.p);
		assert_string_equal(perm(c, "src/x"), "rwxc");
		assert_string_equal(perm(c, "egressctl.yaml"), "r");
		trusted = init((struct init_wish){ .trust = true });
		for (size_t n = 0; n < ARRAY_SIZE(k->asked) && k->asked[n]; n++)
			assert_true(is_open(trusted, k->asked[n], port));
		SAYS_NOT("#? ");
		compiled_free(c);
		compiled_free(yes);
		compiled_free(trusted);
		assert_int_equal(tear_down(NULL), 0);
		assert_int_equal(set_up(NULL), 0);
	}
}

static void several_at_once(void **state)
{
	static const struct file files[] = {
		{ "package.json", "{}" }, { "pyproject.toml", "" }, { "Makefile", "" }, {}
	};
	struct compiled *c = init_of(files, (struct init_wish){ 0 });

	(void)state;
	assert_true(is_open(c, "registry.npmjs.org", 443) && is_open(c, "pypi.org", 443));
	assert_false(is_open(c, "index.crates.io", 443));
	SAYS("# npm (package.json), Python (pyproject.toml), C (Makefile).");
	compiled_free(c);
	/* what is asked for is all there is */
	c = init((struct init_wish){ .any = true, .eco[3] = true });
	assert_true(is_open(c, "index.crates.io", 443));
	assert_false(is_open(c, "pypi.org", 443));
	assert_string_equal(perm(c, "~/.cargo"), "r");
	assert_string_equal(perm(c, "~/.cargo/credentials.toml"), "none");
	compiled_free(c);
}

static void nothing_known(void **state)
{
	struct compiled *c = init((struct init_wish){ .agent = true });

	(void)state;
	SAYS("no kind of project that is known: the general policy");
	SAYS("A coding agent needs the host of its model");
	assert_int_equal(c->nnames, 0);
	assert_string_equal(perm(c, "x"), "rwxc");
	assert_string_equal(perm(c, "~/.ssh/id"), "none");
	compiled_free(c);
	c = init((struct init_wish){ .ci = true });
	assert_string_equal(perm(c, "~/.cargo/registry/x"), "rwxc");
	compiled_free(c);
}

static void every_word(void **state)
{
	static const char *const shipped[] = { "npm", "pip", "cargo", "go", "maven", "apt",
					       "git-hosting", "container-registries",
					       "common-dependencies" };

	(void)state;
	assert_int_equal(init_eco_find("node"), init_eco_find("npm"));
	assert_int_equal(init_eco_find("gradle"), init_eco_find("maven"));
	assert_int_equal(init_eco_find("mave"), INIT_ECOS);
	assert_int_equal(init_eco_find(""), INIT_ECOS);
	for (size_t i = 0; i < ARRAY_SIZE(shipped); i++) {
		size_t eco = init_eco_find(shipped[i]);
		struct init_wish w = { .any = true, .ci = i % 2 };

		assert_true(eco < INIT_ECOS);
		assert_string_equal(init_ecos[eco].policy, shipped[i]);
		w.eco[eco] = true;
		compiled_free(init(w));
	}
}

/* ---- whose word it is --------------------------------------------------------------------- */

static void own_settings(void **state)
{
	static const struct file files[] = { { "package.json", "{}" },
					     { "go.mod", "module a.example/a\n" },
					     { "pom.xml", "<project/>" },
					     { ".npmrc", "registry=https://npm.corp.example/"
							 "\nx:registry=https://two.example\n" },
					     { "~/.npmrc", "registry=https://npm.corp.example/\n" },
					     { "~/.config/go/env", "GOPROXY=https://"
								   "old.example\n" },
					     { "~/.m2/settings.xml", "<mirror><url>http://"
								     "nexus.corp:8081/m2</url></"
								     "mirror>" },
					     {} };
	struct compiled *c;

	(void)state;
	assert_int_equal(
		setenv("GOPROXY", "https://a.corp.example|http://b.corp.example,direct", 1), 0);
	c = init_of(files, (struct init_wish){ 0 });
	assert_true(is_open(c, "npm.corp.example", 443));
	assert_false(is_open(c, "two.example", 443));
	assert_true(is_open(c, "a.corp.example", 443));
	assert_true(is_open(c, "b.corp.example", 80));
	assert_true(is_open(c, "nexus.corp", 8081));
	SAYS("\n    - npm.corp.example  ");
	SAYS("  # ~/.npmrc:1 registry\n");
	SAYS_NOT("#?     - npm.corp.example");
	SAYS("\n    - {host: \"nexus.corp\", ports: [8081], private: true}");
	compiled_free(c);
}

static void proxies_and_loopback(void **state)
{
	static const struct file files[] = {
		{ "package.json", "{}" },
		{ ".npmrc", "registry=http://localhost:4873/\nhttps-proxy=http://proxy.corp:3128\n"
			    "@a:registry=http://127.0.0.1:4873/\n@b:registry=http://[::1]:99/\n"
			    "@c:registry=http://10.0.0.5:8080\n@d:registry=https://[2001:db8::1]/\n"
			    "proxy=http://10.0.0.6:8080\nregistry=http://x.example:3128\n"
			    "registry=http://10.0.0.7:2375\n" },
		{}
	};
	struct compiled *c = init_of(files, (struct init_wish){ 0 }), *yes = compile_yes();

	(void)state;
	SAYS("#?     - {host: \"proxy.corp\", ports: [3128], private: true, proxy: true}");
	SAYS("#   .npmrc:7 proxy: left out: 10.0.0.6:8080: a proxy reaches everything");
	SAYS("left out: x.example:3128: the proxy behind it reaches everything");
	SAYS("left out: 10.0.0.7:2375: the container daemon behind it runs anything as root");
	assert_string_equal(help_egress(c, "10.0.0.5:8080"), "none");
	assert_string_equal(help_egress(yes, "10.0.0.5:8080"), "allow");
	assert_string_equal(help_egress(yes, "[2001:db8::1]:443"), "allow");
	assert_string_equal(help_egress(yes, "127.0.0.1:4873"), "allow");
	assert_string_equal(help_egress(yes, "127.0.0.1:4874"), "none");
	compiled_free(c);
	compiled_free(yes);
}

/* ---- what is hostile ---------------------------------------------------------------------- */

static void hostile_hosts(void **state)
{
	static const char *const urls[] = {
		"https://*.com/",
		"https://.com/",
		"https://*/",
		"https://com/../",
		"https://a b/",
		"https://a.example\\n- evil.example",
		"https://x\x1b[2J.example/",
		"https://:443/",
		"https://a.example:0/",
		"https://a.example:99999/",
		"https://[::1/",
		"https://2130706433/",
		"https://169.254.169.254/latest",
		"https://${HOST}/",
		"https://a_.-/",
		"file:///etc/passwd",
		"https://user:pass@/",
		"https://x.example:443:443/",
		"https://10.0.0.0/8",
		"https://xn--a/",
		"https://a..b/",
		"https://\xe2\x80\xae.example/",
		"https://-a.example/",
	};
	struct text t = { 0 };
	struct compiled *c, *yes;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		text_addf(&t, "registry=%s\n", urls[i]);
	put(".npmrc", t.p);
	text_free(&t);
	put("package.json", "{");
	c = init((struct init_wish){ .trust = true });
	yes = compile_yes();
	/* of all that one could take for a rule: com, a, a.example, 10.0.0.0 */
	assert_false(is_open(yes, "x.com", 443));
	assert_false(is_open(yes, "evil.example", 443));
	assert_false(is_open(yes, "pass", 443));
	assert_string_equal(help_egress(yes, "169.254.169.254:443"), "hard");
	assert_string_equal(help_egress(yes, "10.0.0.1:443"), "none");
	SAYS("169.254.169.254 is where clouds hand out credentials");
	SAYS_NOT("pass");
	SAYS_NOT("\x1b");
	SAYS_NOT("\xe2\x80\xae");
	for (size_t i = 0; i < found.nhosts; i++)
		assert_true(str_eq(found.hosts[i].text, "a") ||
			    str_eq(found.hosts[i].text, "com") ||
			    str_eq(found.hosts[i].text, "a.example") ||
			    str_eq(found.hosts[i].text, "10.0.0.0") || found.hosts[i].loopback);
	compiled_free(c);
	compiled_free(yes);
}

static void too_many(void **state)
{
	struct text t = { 0 };
	struct compiled *c;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		text_addf(&t, "a @ https://h%u.example:%u/\nb @ https://*.h%u.example/\n", i,
			  443 + i % 100, i);
	put("requirements.txt", t.p);
	text_free(&t);
	c = init((struct init_wish){ .trust = true });
	assert_true(found.hosts_left && found.notes_left);
	SAYS("more hosts or ports: too many for one policy");
	compiled_free(c);
}

static void hostile_files(void **state)
{
	char path[512];
	struct compiled *c;

	(void)state;
	put("~/secret", "registry=https://linked.example/\n");
	(void)snprintf(path, sizeof(path), "%s/.npmrc", work);
	assert_int_equal(symlink("../home/secret", path), 0);
	(void)snprintf(path, sizeof(path), "%s/package.json", work);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/yarn.lock", work);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/package-lock.json", work);
	assert_int_equal(symlink("/dev/zero", path), 0);
	c = init((struct init_wish){ 0 });
	SAYS(".npmrc: not looked at: a link that leads out of the project");
	SAYS("package.json: not looked at: not a regular file");
	SAYS("package-lock.json: not looked at: a link that leads out of the project");
	SAYS_NOT("linked.example");
	compiled_free(c);
}

/* ---- credentials ---------------------------------------------------------------------------- */

static void secrets(void **state)
{
	static const char key[] = "-----BEGIN RSA PRIVATE KEY-----\n";
	static const struct file files[] = {
		{ ".env", "A=1" }, { "a/.env.example", "A=" }, { "a/id_rsa", key },
		{ "certs/server.pem", key }, { "certs/ca.pem", "-----BEGIN CERTIFICATE-----\n" },
		{ "a\n- evil: rwxc/x\x1b.key", key }, { "${HOME}/*.key", key },
		{ "node_modules/a/b.pem", key }, { "b/c/d/e/f/deep.pem", key },
		{ ".npmrc", "//npm.example/:_authToken=abc\n" },
		{ "prod.tfvars", "" }, { "x.p12", "" }, { ".env.test", "" }, {}
	};
	struct compiled *c = init_of(files, (struct init_wish){ 0 }), *yes = compile_yes();

	(void)state;
	SAYS("#   .env: variables");
	SAYS("#   a/id_rsa: a key");
	assert_string_equal(perm(c, "certs/server.pem"), "none");
	assert_string_equal(perm(c, "certs/ca.pem"), "rwxc");
	assert_string_equal(perm(c, "a\n- evil: rwxc/x\x1b.key"), "none");
	assert_string_equal(perm(c, "${HOME}/*.key"), "none");
	assert_string_equal(perm(c, "${HOME}/b.key"), "rwxc");
	assert_string_equal(perm(c, "a/.env.example"), "rwxc");
	assert_string_equal(perm(c, ".env.test"), "rwxc");
	assert_string_equal(perm(c, "node_modules/a/b.pem"), "rwxc");
	/* npm needs it: asked, and no answer is "no" */
	assert_string_equal(perm(c, ".npmrc"), "rwxc");
	assert_string_equal(perm(yes, ".npmrc"), "none");
	assert_string_equal(perm(yes, "prod.tfvars"), "none");
	SAYS_NOT("abc");
	SAYS_NOT("\x1b");
	compiled_free(c);
	compiled_free(yes);
}

static void many_secrets(void **state)
{
	char name[64];
	struct compiled *c;

	(void)state;
	/* none of them is a name that a policy can say */
	for (unsigned int i = 0; i < INIT_MAX_SECRETS + 10; i++) {
		(void)snprintf(name, sizeof(name), "%c%c.p12", 1 + i % 9, 1 + i / 9);
		put(name, "");
	}
	c = init((struct init_wish){ 0 });
	assert_int_equal(found.nsecrets, INIT_MAX_SECRETS);
	SAYS("and 10 more that are neither listed nor closed");
	compiled_free(c);
}

/* ---- the file ------------------------------------------------------------------------ */

static void written_whole(void **state)
{
	char path[128], link_to[128], got[16] = "";
	struct stat st;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/x.yaml", work);
	(void)snprintf(link_to, sizeof(link_to), "%s/link.yaml", work);
	assert_int_equal(put_file(path, "one", 3, true), 0);
	assert_int_equal(put_file(path, "two", 3, true), -EEXIST);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(symlink("x.yaml", link_to), 0);
	assert_int_equal(put_file(link_to, "new", 3, true), -EEXIST);
	assert_int_equal(put_file(link_to, "three", 5, false), 0);
	assert_int_equal(lstat(link_to, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof(got) - 1, f), 5);
	fclose(f);
	assert_string_equal(got, "three");
	(void)snprintf(path, sizeof(path), "%s/none/x.yaml", work);
	assert_int_equal(put_file(path, "", 0, false), -ENOENT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_kind), CASE(several_at_once), CASE(nothing_known), CASE(every_word),
		CASE(own_settings), CASE(proxies_and_loopback), CASE(hostile_hosts), CASE(too_many),
		CASE(hostile_files), CASE(secrets), CASE(many_secrets), CASE(written_whole),
	};

	return cmocka_run_group_tests_name("init", tests, NULL, NULL);
}

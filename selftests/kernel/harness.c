/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The test program itself: cases, results, strings and files. */
#include "harness_int.h"

#include <ftw.h>
#include <stdarg.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "util.h"

static struct {
	const char *filter;
	unsigned int n, nfailed;
	bool open, failed, skipped;
	char name[256];
	char why[512]; /* of the skip */
	pid_t pid; /* of the test program: children do not clean up */
} run;

void harness_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stdout, "# cannot go on: ");
	va_start(ap, fmt);
	vfprintf(stdout, fmt, ap);
	va_end(ap);
	fprintf(stdout, "\n");
	fflush(stdout);
	if (getpid() != run.pid)
		_exit(99);
	/* No plan is printed: that alone makes the runner count a failure. */
	boxes_end();
	exit(99);
}

static void on_signal(int sig)
{
	/* Pins and sandboxes of a stopped test must not disturb the next one. */
	if (getpid() == run.pid)
		boxes_end();
	_exit(128 + sig);
}

void harness_init(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	run.pid = getpid();
	if (argc > 1)
		run.filter = argv[1];
	if (!getenv("EGRESSCTL_VM") || geteuid())
		harness_die("kernel tests run as root in the VM: tools/vm -- %s", argv[0]);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	umask(0);
	remove_tree(HARNESS_DIR);
	make_dir(HARNESS_DIR);
	must(chdir(HARNESS_DIR));
}

int harness_done(void)
{
	boxes_end();
	remove_tree(HARNESS_DIR);
	if (run.n == 0 && run.filter)
		printf("# no case matches '%s'\n", run.filter);
	printf("1..%u\n", run.n);
	return run.nfailed ? 1 : 0;
}

/* ---- cases ----------------------------------------------------------------------- */

bool case_begin(const char *fmt, ...)
{
	va_list ap;

	if (run.open)
		harness_die("case '%s' was not ended", run.name);
	va_start(ap, fmt);
	vsnprintf(run.name, sizeof(run.name), fmt, ap);
	va_end(ap);
	if (run.filter && !strstr(run.name, run.filter))
		return false;
	run.open = true;
	run.failed = false;
	run.skipped = false;
	return true;
}

void case_end(void)
{
	if (!run.open)
		harness_die("a case was ended twice");
	run.open = false;
	run.n++;
	if (run.failed) {
		run.nfailed++;
		printf("not ok %u - %s\n", run.n, run.name);
	} else if (run.skipped) {
		printf("ok %u - %s # SKIP %s\n", run.n, run.name, run.why);
	} else {
		printf("ok %u - %s\n", run.n, run.name);
	}
}

void case_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;

	run.failed = true;
	printf("# %s:%d: ", base ? base + 1 : file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void case_skip(const char *fmt, ...)
{
	va_list ap;

	run.skipped = true;
	va_start(ap, fmt);
	vsnprintf(run.why, sizeof(run.why), fmt, ap);
	va_end(ap);
}

bool case_failed(void)
{
	return run.failed;
}

bool kernel_at_least(unsigned int major, unsigned int minor)
{
	unsigned int a, b;
	struct utsname u;

	must(uname(&u));
	if (sscanf(u.release, "%u.%u", &a, &b) != 2)
		harness_die("kernel release '%s'", u.release);
	return a > major || (a == major && b >= minor);
}

/* ---- strings and files -------------------------------------------------------------- */

/* Policies and names live as long as the program: cases point at them. */
static char *keep(char *s)
{
	static char **kept;
	static size_t n, cap;

	if (!s || array_reserve(&kept, &cap, n))
		harness_die("no memory");
	kept[n++] = s;
	return s;
}

const char *str(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return keep(s);
}

const char *harness_policy(const char *section, const char *const *lines)
{
	const char *text = str("version: 1\n%s:\n", section);

	for (; *lines; lines++)
		text = str("%s  %s\n", text, *lines);
	return text;
}

const char *result_text(int result)
{
	static char text[4][48];
	static unsigned int next;
	char *s = text[next++ % 4];

	if (result < INT32_MIN + 128)
		snprintf(s, sizeof(text[0]), "killed by signal %d", result - INT32_MIN);
	else if (result < 0 && strerrorname_np(-result))
		snprintf(s, sizeof(text[0]), "%s", strerrorname_np(-result));
	else
		snprintf(s, sizeof(text[0]), "%d", result);
	return s;
}

void write_file(const char *path, const char *content)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(content, f) < 0 || fclose(f))
		harness_die("cannot write %s: %m", path);
}

char *read_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	size_t len = 0, got;
	char *text;

	if (!f)
		return NULL;
	text = malloc(65537);
	if (!text)
		harness_die("no memory");
	while ((got = fread(text + len, 1, 65536 - len, f)) > 0)
		len += got;
	text[len] = '\0';
	return text;
}

void make_dir(const char *path)
{
	char part[4096];
	size_t i;

	snprintf(part, sizeof(part), "%s", path);
	for (i = 1; part[i]; i++) {
		if (part[i] != '/')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0777) && errno != EEXIST)
			harness_die("mkdir %s: %m", part);
		part[i] = '/';
	}
	if (mkdir(part, 0777) && errno != EEXIST)
		harness_die("mkdir %s: %m", part);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void remove_tree(const char *path)
{
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) && errno != ENOENT)
		harness_die("cannot remove %s: %m", path);
}

void shell(const char *fmt, ...)
{
	_cleanup_free_ char *command = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		command = NULL;
	va_end(ap);
	if (!command)
		harness_die("no memory");
	fflush(stdout);
	status = system(command);
	if (status)
		harness_die("status %d of: %s", status, command);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Execution: the file, its interpreter, executable mappings, and `exec: strict`. */
#include "files_common.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PROG D "/prog" /* a copy of true */
#define SCRIPT D "/script" /* by D/interp */
#define INTERP D "/interp" /* a copy of sh */
#define LIBRARY D "/library" /* what is mapped */
#define OVER D "/over" /* an overlay; OVER/prog and OVER/library in it */

/* Runs argv; its exit status, or -errno of the execve. */
static int run(int fd, const char *path, char *const argv[], int flags)
{
	char *envp[] = { NULL };
	int ends[2], err = 0, status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		(void)dup2(null, 2);
		(void)syscall(SYS_execveat, fd, path, argv, envp, flags);
		err = errno;
		n = write(ends[1], &err, sizeof(err));
		_exit(n == sizeof(err) ? 127 : 126);
	}
	(void)close(ends[1]);
	n = read(ends[0], &err, sizeof(err));
	(void)close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (n == sizeof(err))
		return -err;
	/* what the loader or the interpreter was refused */
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EACCES;
}

static int act_run(const void *path)
{
	char *argv[] = { (char *)path, NULL };

	return run(AT_FDCWD, path, argv, 0);
}

static int act_run_opath(const void *path)
{
	char *argv[] = { "prog", NULL };
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : run(fd, "", argv, AT_EMPTY_PATH);
}

static int act_run_magic_link(const void *path)
{
	_cleanup_close_ int fd = open(path, O_PATH);
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return fd < 0 ? -errno : act_run(self);
}

static int act_loader(const void *path)
{
	char *argv[] = { "ld.so", (char *)path, NULL };

	return run(AT_FDCWD, "/lib64/ld-linux-x86-64.so.2", argv, 0);
}

static int act_shell(const void *path)
{
	char *argv[] = { "sh", (char *)path, NULL };

	return run(AT_FDCWD, "/bin/sh", argv, 0);
}

static int memfd_of(const char *path)
{
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("prog", MFD_CLOEXEC);
	struct stat st;

	if (from < 0 || fd < 0 || fstat(from, &st))
		return -errno;
	return sendfile(fd, from, NULL, st.st_size) == st.st_size ? fd : -EIO;
}

static int act_memfd(const void *path)
{
	char *argv[] = { "prog", NULL };
	_cleanup_close_ int fd = memfd_of(path);

	return fd < 0 ? fd : run(fd, "", argv, AT_EMPTY_PATH);
}

static int map(const char *path, int prot, int then, int flags)
{
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p;

	if (path && fd < 0)
		return -errno;
	p = mmap(NULL, 4096, prot, flags | (path ? 0 : MAP_ANONYMOUS), fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	if (prot & PROT_WRITE)
		*(char *)p = 1;
	return then && mprotect(p, 4096, then) ? -errno : 0;
}

static int act_map_exec(const void *path)
{
	return map(path, PROT_READ | PROT_EXEC, 0, MAP_PRIVATE);
}

static int act_map_exec_shared(const void *path)
{
	return map(path, PROT_READ | PROT_EXEC, 0, MAP_SHARED);
}

static int act_mprotect(const void *path)
{
	return map(path, PROT_READ, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

static int act_mprotect_shared(const void *path)
{
	return map(path, PROT_READ, PROT_READ | PROT_EXEC, MAP_SHARED);
}

static int act_map_write_exec(const void *path)
{
	return map(path, PROT_READ | PROT_WRITE | PROT_EXEC, 0, MAP_PRIVATE);
}

/* written to, then executable: the pages hold what the task put there */
static int act_dirty_mprotect(const void *path)
{
	return map(path, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

static int act_anon_exec(const void *unused)
{
	(void)unused;
	return map(NULL, PROT_READ | PROT_EXEC, 0, MAP_PRIVATE);
}

static int act_anon_mprotect(const void *unused)
{
	(void)unused;
	return map(NULL, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

static int act_anon_shared_mprotect(const void *unused)
{
	(void)unused;
	return map(NULL, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, MAP_SHARED);
}

static int act_memfd_map(const void *path)
{
	_cleanup_close_ int fd = memfd_of(path);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static const char *strict(const char *policy)
{
	return str("%sexec: strict\n", policy);
}

static void refused_files(void)
{
#define X(n, a, arg_, o, p) \
	{ .name = n, .act = a, .arg = arg_, .want = EG_X, .path = p, .op = EG_OP_##o, \
	  .err = EACCES, .allow = policy_all(), \
	  .deny = POLICY_FILES("default: rwxc", PROG ": rwc", LIBRARY ": r", INTERP ": r", \
			       OVER "/prog: rwc", OVER "/library: r") }
	struct attempt a[] = {
		X("execve", act_run, PROG, EXEC, PROG),
		X("execveat of an O_PATH descriptor", act_run_opath, PROG, EXEC, PROG),
		X("execve of a magic link", act_run_magic_link, PROG, EXEC, PROG),
		X("a script whose interpreter has no x", act_run, SCRIPT, EXEC, INTERP),
		X("ld.so", act_loader, PROG, MMAP, PROG),
		X("mmap PROT_EXEC", act_map_exec, LIBRARY, MMAP, LIBRARY),
		X("mmap PROT_EXEC, shared", act_map_exec_shared, LIBRARY, MMAP, LIBRARY),
		X("mprotect to PROT_EXEC", act_mprotect, LIBRARY, MMAP, LIBRARY),
		X("mprotect to PROT_EXEC, shared", act_mprotect_shared, LIBRARY, MMAP, LIBRARY),
		X("overlay: execve", act_run, OVER "/prog", EXEC, OVER "/prog"),
		X("overlay: ld.so", act_loader, OVER "/prog", MMAP, OVER "/prog"),
		X("overlay: mmap PROT_EXEC", act_map_exec, OVER "/library", MMAP, OVER "/library"),
		X("overlay: mprotect to PROT_EXEC", act_mprotect, OVER "/library", MMAP,
		  OVER "/library"),
	};
	struct attempt script = X("a script without x", act_run, SCRIPT, EXEC, SCRIPT);

	attempts(a, ARRAY_SIZE(a));
	script.deny = policy_rule(SCRIPT, "rw");
	attempt(&script);
}

/* x alone is enough to run; r alone for an interpreter that is told to read the file */
static void just_enough(void)
{
	struct box *b = box_new(POLICY_FILES("default: rwxc", PROG ": x", SCRIPT ": r"));
	int r;

	if (case_begin("x alone runs a program")) {
		r = box_run(b, AS_USER, act_run, PROG);
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
	if (case_begin("a shell may read a script that has no x")) {
		r = box_run(b, AS_USER, act_shell, SCRIPT);
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
	if (case_begin("a memfd runs where exec is not strict")) {
		r = box_run(b, AS_USER, act_memfd, "/bin/true");
		check(r == 0, "%s", result_text(r));
		no_event(b);
		case_end();
	}
	box_free(b);
}

static void strictly(void)
{
#define S(n, a, arg_, o) \
	{ .name = "strict: " n, .act = a, .arg = arg_, .want = EG_X, .op = EG_OP_##o, \
	  .err = EACCES, .reason = EG_WHY_GUARD, .deny = strict(policy_all()), \
	  .allow = policy_all() }
	const struct attempt a[] = {
		S("a memfd", act_memfd, "/bin/true", EXEC),
		S("a memfd mapped", act_memfd_map, LIBRARY, MMAP),
		S("an anonymous mapping", act_anon_exec, NULL, MMAP),
		S("an anonymous mapping by mprotect", act_anon_mprotect, NULL, MMAP),
		S("shared anonymous memory by mprotect", act_anon_shared_mprotect, NULL, MMAP),
		S("a mapping to write and execute", act_map_write_exec, LIBRARY, MMAP),
		S("a mapping that was written to", act_dirty_mprotect, LIBRARY, MMAP),
	};
	struct box *b = box_shared(strict(policy_all()));
	int r;

	attempts(a, ARRAY_SIZE(a));
	if (!case_begin("strict: a program and its libraries run"))
		return;
	box_events_drop(b);
	r = box_run(b, AS_USER, act_run, PROG);
	check(r == 0, "%s", result_text(r));
	r = box_run(b, AS_USER, act_mprotect, LIBRARY);
	check(r == 0, "mprotect of a clean mapping: %s", result_text(r));
	no_event(b);
	case_end();
}

void files_exec(void)
{
	shell("cp /bin/true " PROG " && cp /bin/sh " INTERP " && cp /bin/true " LIBRARY " && "
	      "printf '#!" INTERP "\\nexit 0\\n' >" SCRIPT " && chmod 755 " D "/* && "
	      "modprobe overlay; mkdir " D "/lower " D "/upper " D "/work " OVER " && "
	      "cp " PROG " " LIBRARY " " D "/lower && "
	      "mount -t overlay -o lowerdir=" D "/lower,upperdir=" D "/upper,workdir=" D "/work x "
	      OVER);
	refused_files();
	just_enough();
	strictly();
	shell("umount -l " OVER); /* boxes that live hold anchored objects open */
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "int80.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#if defined(__x86_64__)

int int80(int nr, long a, long b, long c, long d, long e, long f)
{
	long result = nr;

	/* the sixth is in %ebp, which the compiler needs itself */
	asm volatile("push %%rbp\n\t"
		     "mov %[f], %%rbp\n\t"
		     "int $0x80\n\t"
		     "pop %%rbp"
		     : "+a"(result)
		     : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "r"(f)
		     : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)result;
}

/* without the table it is a fault */
bool int80_works(void)
{
	pid_t pid = must(fork());
	int status;

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(int80(20 /* getpid */, 0, 0, 0, 0, 0, 0) != getpid());
	}
	must(waitpid(pid, &status, 0));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

#else

int int80(int nr, long a, long b, long c, long d, long e, long f)
{
	harness_die("no 32-bit system calls: %d %ld %ld %ld %ld %ld %ld", nr, a, b, c, d, e, f);
}

bool int80_works(void)
{
	return false;
}

#define MAP_32BIT 0

#endif

long int80_copy(const void *data, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		       -1, 0);

	if (p == MAP_FAILED)
		harness_die("mmap: %m");
	memcpy(p, data, len);
	return (long)p;
}

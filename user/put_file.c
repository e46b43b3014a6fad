// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "put_file.h"
#include "util.h"

static int write_all(int fd, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static int give_name(const char *tmp, const char *file, bool fresh)
{
	if (!renameat2(AT_FDCWD, tmp, AT_FDCWD, file, fresh ? RENAME_NOREPLACE : 0))
		return 0;
	/* a file system that cannot: a second name is refused where there is one as well */
	if (!fresh || errno != EINVAL || link(tmp, file))
		return -errno;
	(void)unlink(tmp); /* what is left is an extra name of the same file */
	return 0;
}

int put_file(const char *file, const char *text, size_t len, bool fresh)
{
	_cleanup_free_ char *target = fresh ? NULL : realpath(file, NULL);
	const char *name = target ? target : file;
	mode_t mask = umask(077);
	char tmp[PATH_MAX];
	struct stat st;
	int fd, err;

	(void)umask(mask);
	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, len);
	if (!err && fchmod(fd, target && !stat(target, &st) ? st.st_mode & 0777 : 0666 & ~mask))
		err = -errno;
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err)
		err = give_name(tmp, name, fresh);
	if (err)
		(void)unlink(tmp);
	return err;
}

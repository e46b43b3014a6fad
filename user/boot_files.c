/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small texts below a root directory that may be somebody else's; each is replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "diag.h"
#include "rooted.h"
#include "util.h"

#define TEXT_MAX (4u << 20) /* grub.cfg is the largest: some 10 KiB a kernel */
#define NEW_MODE 0644

/* O_PATH of the directory that `path` is in; *base is its name there. */
static int open_parent(int root, const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL;

	*base = slash + 1;
	if (slash == path)
		return rooted_at(root, "/", O_DIRECTORY);
	dir = strndup(path, (size_t)(slash - path));
	return dir ? rooted_at(root, dir, O_DIRECTORY) : -ENOMEM;
}

static int fail(const char *path, const char *what, int err, struct diag *d)
{
	return diag_set(d, err, "%s: %s: %s", path, what, strerror(-err));
}

static int read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, buf + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	} while (n && len < size);
	return (int)len;
}

static int read_text(int fd, const char *path, char **text, struct diag *d)
{
	_cleanup_free_ char *buf = malloc(TEXT_MAX + 1);
	char *fits;
	int n;

	if (!buf)
		return diag_set(d, -ENOMEM, "out of memory");
	n = read_all(fd, buf, TEXT_MAX + 1);
	if (n < 0)
		return fail(path, "cannot read", n, d);
	if (n > (int)TEXT_MAX)
		return diag_set(d, -EINVAL, "%s: larger than %u bytes", path, TEXT_MAX);
	if (memchr(buf, 0, (size_t)n))
		return diag_set(d, -EINVAL, "%s: no text: it has a byte 0", path);
	buf[n] = 0;
	fits = realloc(buf, (size_t)n + 1);
	*text = fits ?: buf;
	(void)steal_ptr(buf);
	return 0;
}

int boot_read(int root, const char *path, char **text, struct diag *d)
{
	_cleanup_close_ int dir = -1, fd = -1;
	const char *base;
	struct stat st;

	dir = open_parent(root, path, &base);
	if (dir == -ENOENT)
		return -ENOENT;
	if (dir < 0)
		return fail(path, "cannot open", dir, d);
	fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && errno == ELOOP)
		return diag_set(d, -ELOOP, "%s: a link: change the file that it leads to by hand",
				path);
	if (fd < 0 || fstat(fd, &st))
		return fail(path, "cannot open", -errno, d);
	if (!S_ISREG(st.st_mode))
		return diag_set(d, -EINVAL, "%s: not a regular file", path);
	return read_text(fd, path, text, d);
}

bool boot_exists(int root, const char *path)
{
	_cleanup_close_ int fd = rooted_at(root, path, 0);

	return fd >= 0;
}

/* ---- replacing ---------------------------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	for (; len; text += n, len -= (size_t)n) {
		n = write(fd, text, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		n = MAX(n, (ssize_t)0);
	}
	return 0;
}

/* As the old file was; a FAT has one owner and mode for all, and nothing to set. */
static int keep_mode(int fd, int dir, const char *base, bool is_new)
{
	struct stat old, now;

	if (is_new)
		return fchmod(fd, NEW_MODE) ? -errno : 0;
	if (fstatat(dir, base, &old, AT_SYMLINK_NOFOLLOW) || fstat(fd, &now))
		return -errno;
	if ((old.st_uid != now.st_uid || old.st_gid != now.st_gid) &&
	    fchown(fd, old.st_uid, old.st_gid))
		return -errno;
	if ((old.st_mode ^ now.st_mode) & 0777 && fchmod(fd, old.st_mode & 0777))
		return -errno;
	return 0;
}

static int write_new(int dir, const char *tmp, const char *base, const char *text, bool is_new)
{
	_cleanup_close_ int fd = -1;
	int err;

	/* what was left by one that was killed */
	if (unlinkat(dir, tmp, 0) && errno != ENOENT)
		return -errno;
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text);
	if (!err)
		err = keep_mode(fd, dir, base, is_new);
	if (!err && fsync(fd))
		err = -errno;
	if (!err && renameat2(dir, tmp, dir, base, is_new ? RENAME_NOREPLACE : 0)) {
		err = -errno;
		/* a FAT of older kernels has no such flag; nobody else makes the file */
		if (is_new && err == -EINVAL && !renameat(dir, tmp, dir, base))
			err = 0;
	}
	if (err)
		(void)unlinkat(dir, tmp, 0);
	return err;
}

/* -EBUSY: it is something else than `old` by now. */
static int check_old(int root, const char *path, const char *old, struct diag *d)
{
	_cleanup_free_ char *now = NULL;
	int err = boot_read(root, path, &now, d);

	if (err && err != -ENOENT)
		return err;
	if (now ? old && str_eq(now, old) : !old)
		return 0;
	return diag_set(d, -EBUSY, "%s: somebody else changed it just now: look at it, then try "
			"again", path);
}

int boot_replace(int root, const char *path, const char *old, const char *new, struct diag *d)
{
	_cleanup_close_ int dir = -1, sync = -1;
	char tmp[NAME_MAX + 1];
	const char *base;
	int err = check_old(root, path, old, d), n;

	if (err)
		return err;
	dir = open_parent(root, path, &base);
	if (dir < 0)
		return fail(path, "cannot open its directory", dir, d);
	/* no loader and no script takes such a name for one of its files */
	n = snprintf(tmp, sizeof(tmp), ".%s.egressctl", base);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return fail(path, "cannot write beside it", -ENAMETOOLONG, d);
	if (new)
		err = write_new(dir, tmp, base, new, !old);
	else if (old && unlinkat(dir, base, 0))
		err = -errno;
	if (err)
		return fail(path, new ? "cannot write" : "cannot remove", err, d);
	sync = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sync < 0 || (fsync(sync) && errno != EINVAL))
		return fail(path, "changed, but a power failure may undo it", -errno, d);
	return 0;
}

int boot_make_dir(int root, const char *path, unsigned int mode, struct diag *d)
{
	_cleanup_close_ int dir = -1;
	const char *base;

	dir = open_parent(root, path, &base);
	if (dir < 0)
		return fail(path, "cannot make it", dir, d);
	if (!mkdirat(dir, base, mode))
		return 1;
	return errno == EEXIST ? 0 : fail(path, "cannot make it", -errno, d);
}

void boot_remove_dir(int root, const char *path)
{
	_cleanup_close_ int dir = -1;
	const char *base;

	dir = open_parent(root, path, &base);
	if (dir >= 0)
		(void)unlinkat(dir, base, AT_REMOVEDIR); /* it stays when something is in it */
}

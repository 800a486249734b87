/* Calls that write below one folder fail from the n-th on: loaded by benchmarks/io_errors.py before the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[4096];
static size_t length;
static long first, last, seen;
static int code;

/* Calls number `from` to `to` below `where` fail with `error`, counted from 1; nothing fails if from is 0. */
void io_errors_set(const char *where, long from, long to, int error) {
    snprintf(folder, sizeof folder, "%s", where);
    length = strlen(folder);
    first = from, last = to, code = error, seen = 0;
}

long io_errors_seen(void) { return seen; }

static int fails(const char *path) {
    if (!length || !path || strncmp(path, folder, length)) return 0;
    long now = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (!first || now < first || now > last) return 0;
    errno = code;
    return 1;
}

static int fails_at(int at, const char *path) {
    char link[64], whole[8192];
    if (path && (path[0] == '/' || at == AT_FDCWD)) return fails(path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, whole, 4096);
    if (n < 0) return 0;
    whole[n] = 0;
    if (path) snprintf(whole + n, sizeof whole - n, "/%s", path);
    return fails(whole);
}

static int fails_fd(int fd) { return fd > 2 && fails_at(fd, NULL); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(result, name, declared, passed, check) \
    result name declared { return (check) ? -1 : REAL(name) passed; }

WRAP(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n), fails_fd(fd))
WRAP(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), fails_fd(fd))
WRAP(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), fails_fd(fd))
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), fails_fd(fd))
WRAP(int, fsync, (int fd), (fd), fails_fd(fd))
WRAP(int, fdatasync, (int fd), (fd), fails_fd(fd))
WRAP(int, ftruncate, (int fd, off_t n), (fd, n), fails_fd(fd))
WRAP(int, ftruncate64, (int fd, off64_t n), (fd, n), fails_fd(fd))
WRAP(int, rename, (const char *a, const char *b), (a, b), fails(b))
WRAP(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), fails_at(e, b))
WRAP(int, link, (const char *a, const char *b), (a, b), fails(b))
WRAP(int, linkat, (int d, const char *a, int e, const char *b, int f), (d, a, e, b, f), fails_at(e, b))
WRAP(int, symlink, (const char *a, const char *b), (a, b), fails(b))
WRAP(int, mkdir, (const char *p, mode_t m), (p, m), fails(p))
WRAP(int, mkdirat, (int d, const char *p, mode_t m), (d, p, m), fails_at(d, p))

size_t fwrite(const void *b, size_t size, size_t n, FILE *file) {
    return fails_fd(fileno(file)) ? 0 : REAL(fwrite)(b, size, n, file);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return flags & O_CREAT && fails(path) ? -1 : REAL(name)(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return flags & O_CREAT && fails_at(at, path) ? -1 : REAL(name)(at, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* A wall clock that is so many seconds away from the machine's as a file says: loaded by benchmarks/clock_jumps.py before
 * the C library. The monotonic clocks, and the times of files, which the kernel writes, stay. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *away;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("DECOCT_CLOCK_JUMPS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *away, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) away = map;
    if (fd >= 0) close(fd);
}

static long jumped(void) { return away ? *away : 0; }

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += jumped();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *copy) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    return copy ? *copy = exact.tv_sec : exact.tv_sec;
}

/* Whoever waits until a time means one of the clock above; the kernel knows only the machine's. */
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict at) {
    struct timespec until = *at;
    until.tv_sec -= jumped();
    return sem_clockwait(semaphore, CLOCK_REALTIME, &until);
}

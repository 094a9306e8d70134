/* A wall clock of its own for one process and its children: LD_PRELOAD, and a file named by WALL_CLOCK_FILE that holds
 * by how many seconds it is off. It is read again whenever the time is asked for. The monotonic clock is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* Times since the boot are smaller than this, times since the epoch are larger. */
#define EPOCH 1000000000L

static time_t offset(void) {
    char text[32] = "0";
    const char *path = getenv("WALL_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        ssize_t length = read(file, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        close(file);
    }
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

typedef int (*Wait)(void *, void *, const struct timespec *);

static int is_before(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec : one->tv_nsec < other->tv_nsec;
}

/* As the kernel waits for a deadline by the wall clock: a step of the clock while it waits moves the end. */
static int wait_in_slices(Wait wait, int timed_out, void *condition, void *mutex, const struct timespec *until) {
    struct timespec now, slice;
    int done;
    if (until->tv_sec < EPOCH) return wait(condition, mutex, until);
    do {
        clock_gettime(CLOCK_REALTIME, &now);
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &slice);
        if (is_before(&now, until)) {
            long left = (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000 + 1;
            slice.tv_nsec += (left < 200 ? left : 200) * 1000000;
            slice.tv_sec += slice.tv_nsec / 1000000000;
            slice.tv_nsec %= 1000000000;
        }
        done = wait(condition, mutex, &slice);
        clock_gettime(CLOCK_REALTIME, &now);
    } while (done == timed_out && is_before(&now, until));
    return done;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    static Wait wait;
    if (!wait) wait = (Wait)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    return wait_in_slices(wait, ETIMEDOUT, condition, mutex, until);
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    static Wait wait;
    if (!wait) wait = (Wait)dlsym(RTLD_NEXT, "cnd_timedwait");
    return wait_in_slices(wait, thrd_timedout, condition, mutex, until);
}

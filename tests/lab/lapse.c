/* Time that goes faster or slower, for the machine emulator into which it is preloaded: its whole guest, timers and
   clocks alike, then lives hours in minutes, and is only slow for its clock; or it has more processor for each of its
   milliseconds. The speed is the byte in a file, and may change while it runs: times as fast, or if negative so many
   times slower. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;
static const int8_t USUAL = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const volatile int8_t *factor;
static int64_t real, shown;

static int8_t speed(void) {
    if (!factor) {
        const char *path = getenv("FARMWATCH_LAB_SPEED");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *byte = file < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        factor = byte == MAP_FAILED ? &USUAL : byte;
    }
    return *factor != 0 ? *factor : USUAL;
}

static int64_t lapsed(int64_t nanoseconds) {
    int8_t now = speed();
    return now > 0 ? nanoseconds * now : nanoseconds / -now;
}

static int64_t to_wait(int64_t nanoseconds) {
    int8_t now = speed();
    return now > 0 ? nanoseconds / now : nanoseconds * -now;
}

/* The C library's own, which asks the kernel without a call into it: the emulator asks all the time. */
static int usual_clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*volatile usual)(clockid_t, struct timespec *);
    if (!usual) usual = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return usual ? usual(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = usual_clock_gettime(clock, time);
    if (result != 0 || clock != CLOCK_MONOTONIC) return result;
    int64_t now = time->tv_sec * SECOND + time->tv_nsec;
    pthread_mutex_lock(&lock);
    if (real == 0) real = shown = now;
    if (now > real) {
        shown += lapsed(now - real);
        real = now;
    }
    now = shown;
    pthread_mutex_unlock(&lock);
    time->tv_sec = now / SECOND;
    time->tv_nsec = now % SECOND;
    return 0;
}

/* The emulator's main loop waits here for its next timer. */
int ppoll(struct pollfd *files, nfds_t count, const struct timespec *wait, const sigset_t *mask) {
    struct timespec less = {0};
    if (wait) {
        int64_t nanoseconds = to_wait(wait->tv_sec * SECOND + wait->tv_nsec);
        less.tv_sec = nanoseconds / SECOND;
        less.tv_nsec = nanoseconds % SECOND;
    }
    return syscall(SYS_ppoll, files, count, wait ? &less : NULL, mask, _NSIG / 8);
}

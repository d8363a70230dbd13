/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded into a program with LD_PRELOAD: counts its allocations in a file that others can see. */
#include "bench-count-page.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own names for what is replaced here: no look-up, so nothing is needed before main() */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static BenchCountPage *page;

__attribute__((constructor)) static void
find_page(void)
{
    const char *path = getenv(BENCH_COUNT_VARIABLE);
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *found;

    if (fd < 0) {
        return;
    }
    found = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED) {
        page = found;
        atomic_fetch_add(&page->n_loaded, 1);
    }
}

static void
count(void)
{
    if (page != NULL) {
        atomic_fetch_add_explicit(&page->n_allocations, 1, memory_order_relaxed);
    }
}

__attribute__((visibility("default"))) void *
malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *
calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *
realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

__attribute__((visibility("default"))) void *
aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

__attribute__((visibility("default"))) int
posix_memalign(void **out, size_t alignment, size_t size)
{
    void *found;

    count();
    found = __libc_memalign(alignment, size);
    if (found == NULL) {
        return ENOMEM;
    }
    *out = found;
    return 0;
}

/* Counts what Python's allocators are asked for: for bench/trees/scripted_call.py.
 *
 * Loaded by ctypes.PyDLL, so without Python's headers: the struct is as `PyMemAllocatorEx` has been
 * since Python 3.5.  A block that grows or shrinks counts with its new size. */

#include <stddef.h>
#include <stdint.h>

typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *block, size_t size);
    void (*free)(void *ctx, void *block);
} Allocator;

extern void PyMem_GetAllocator(int domain, Allocator *allocator);
extern void PyMem_SetAllocator(int domain, Allocator *allocator);

enum { DOMAINS = 3 };  /* raw, mem, object */

uint64_t counts[2];  /* octets, allocations */
static Allocator originals[DOMAINS];

static void count(size_t size)
{
    __atomic_fetch_add(&counts[0], size, __ATOMIC_RELAXED);
    __atomic_fetch_add(&counts[1], 1, __ATOMIC_RELAXED);
}

static void *counted_malloc(void *ctx, size_t size)
{
    Allocator *original = ctx;
    count(size);
    return original->malloc(original->ctx, size);
}

static void *counted_calloc(void *ctx, size_t number, size_t size)
{
    Allocator *original = ctx;
    count(number * size);
    return original->calloc(original->ctx, number, size);
}

static void *counted_realloc(void *ctx, void *block, size_t size)
{
    Allocator *original = ctx;
    count(size);
    return original->realloc(original->ctx, block, size);
}

static void counted_free(void *ctx, void *block)
{
    Allocator *original = ctx;
    original->free(original->ctx, block);
}

void install(void)
{
    for (int domain = 0; domain < DOMAINS; domain++) {
        Allocator counted = {&originals[domain], counted_malloc, counted_calloc, counted_realloc,
                             counted_free};
        PyMem_GetAllocator(domain, &originals[domain]);
        PyMem_SetAllocator(domain, &counted);
    }
}

/* The floor of a media tick: what a C program pays for the same packets.

   Two-way G.711-sized SRTP on a pair of sockets a call, epoll, one protect and one sendto, one
   recv and one unprotect a packet: no codec, no jitter buffer, no statistics, no RTCP.  The SRTP
   functions and contexts are handed in by the benchmark, so that both use the same library. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

typedef int (*transform)(void *context, void *packet, int *length);

enum { PAYLOAD = 160, HEADER = 12, FRAME_NS = 20000000, BIN_NS = 100000, BINS = 250 };

static int64_t monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void write_header(uint8_t *packet, uint32_t frame, uint32_t ssrc) {
    uint32_t stamp = htonl(frame * PAYLOAD);
    uint16_t sequence = htons((uint16_t)frame);
    packet[0] = 0x80;
    packet[1] = 0;
    memcpy(packet + 2, &sequence, 2);
    memcpy(packet + 4, &stamp, 4);
    ssrc = htonl(ssrc);
    memcpy(packet + 8, &ssrc, 4);
}

static int64_t receive_all(int poll, int rows, struct epoll_event *events, void **contexts,
                           transform unprotect) {
    static uint8_t packet[2048] __attribute__((aligned(8)));
    int64_t good = 0;
    int ready = epoll_wait(poll, events, rows, 0);
    for (int i = 0; i < ready; i++) {
        int fd = (int)(events[i].data.u64 >> 32), row = (int)(uint32_t)events[i].data.u64;
        struct sockaddr_in source;
        socklen_t size = sizeof source;
        int length = (int)recvfrom(fd, packet, sizeof packet, MSG_DONTWAIT,
                                   (struct sockaddr *)&source, &size);
        if (length > 0 && unprotect(contexts[row], packet, &length) == 0) good++;
    }
    return good;
}

/* Row i sends to row i ^ 1.  Returns packets received and authenticated; counts[BINS + 1] is the
   histogram of lateness in bins of 0.1 ms. */
int64_t media_floor(int rows, int phases, int frames, const int *fds,
                    const struct sockaddr_in *remote, void **sending, void **receiving,
                    transform protect, transform unprotect, int64_t *counts) {
    static uint8_t packet[2048] __attribute__((aligned(8)));
    static struct epoll_event events[16384];
    int poll = epoll_create1(0);
    for (int i = 0; i < rows; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        event.data.u64 = (uint64_t)fds[i] << 32 | (uint32_t)i;
        epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &event);
    }
    int64_t epoch = monotonic() + FRAME_NS, received = 0;
    for (int64_t tick = 0; tick < (int64_t)frames * phases; tick++) {
        int64_t deadline = epoch + tick * FRAME_NS / phases;
        struct timespec until = {deadline / 1000000000, deadline % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
        received += receive_all(poll, rows, events, receiving, unprotect);
        int phase = (int)(tick % phases);
        uint32_t frame = (uint32_t)(tick / phases);
        for (int i = phase * rows / phases; i < (phase + 1) * rows / phases; i++) {
            int length = HEADER + PAYLOAD;
            write_header(packet, frame, (uint32_t)i + 1);
            memset(packet + HEADER, 0xFF, PAYLOAD);
            if (protect(sending[i], packet, &length) != 0) continue;
            sendto(fds[i], packet, length, 0, (const struct sockaddr *)&remote[i],
                   sizeof remote[i]);
            int64_t late = (monotonic() - deadline) / BIN_NS;
            counts[late < BINS ? (late < 0 ? 0 : late) : BINS]++;
        }
    }
    return received;
}

/* The floor of a media tick: what a C program pays for the same packets.

   Two-way G.711-sized SRTP on a pair of sockets a call, epoll, one protect and one sendto, one
   recv and one unprotect a packet: no codec, no jitter buffer, no statistics, no RTCP.  The SRTP
   functions and contexts are handed in by the benchmark, so that both use the same library.
   `shared_floor` is the same on sockets that many calls share, with sendmmsg and recvmmsg. */
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

/* Shared sockets ------------------------------------------------------------------------------ */

enum { ROOM = 2048, BATCH = 64 };

/* What `shared_floor` works on.  Row i sends to row i ^ 1 by socket `of[i]`; `order` has the rows
   of each phase, neighbors by socket.  A source port is that of socket `by_port[port]`, and
   `owner[to * sockets + from]` the row whose packets come in that way. */
struct shared {
    int rows, phases, frames, sockets;
    const int *fds, *of, *order, *owner;
    const uint16_t *by_port;
    const struct sockaddr_in *remote;
    void **sending, **receiving;
    transform protect, unprotect;
};

struct burst {
    uint8_t data[BATCH][ROOM] __attribute__((aligned(8)));
    struct sockaddr_in name[BATCH];
    struct iovec part[BATCH];
    struct mmsghdr head[BATCH];
};

static void prepare(struct burst *b) {
    for (int i = 0; i < BATCH; i++) {
        b->part[i] = (struct iovec){b->data[i], ROOM};
        b->head[i].msg_hdr = (struct msghdr){.msg_name = &b->name[i],
                                             .msg_namelen = sizeof b->name[i],
                                             .msg_iov = &b->part[i],
                                             .msg_iovlen = 1};
    }
}

static int64_t receive_shared(const struct shared *s, int poll, struct epoll_event *events) {
    static struct burst b;
    int64_t good = 0;
    int ready = epoll_wait(poll, events, s->sockets, 0);
    for (int i = 0; i < ready; i++) {
        int to = (int)events[i].data.u32, count;
        do {
            prepare(&b);
            count = recvmmsg(s->fds[to], b.head, BATCH, MSG_DONTWAIT, 0);
            for (int k = 0; k < count; k++) {
                int length = (int)b.head[k].msg_len;
                int from = s->by_port[ntohs(b.name[k].sin_port)];
                void *context = s->receiving[s->owner[to * s->sockets + from]];
                if (s->unprotect(context, b.data[k], &length) == 0) good++;
            }
        } while (count == BATCH);
    }
    return good;
}

static void note(int64_t *counts, int64_t deadline, int packets) {
    int64_t late = (monotonic() - deadline) / BIN_NS;
    counts[late < BINS ? (late < 0 ? 0 : late) : BINS] += packets;
}

static void send_shared(const struct shared *s, int64_t tick, int64_t deadline, int64_t *counts) {
    static struct burst b;
    int phase = (int)(tick % s->phases), used = 0;
    uint32_t frame = (uint32_t)(tick / s->phases);
    int begin = phase * s->rows / s->phases, end = (phase + 1) * s->rows / s->phases;
    prepare(&b);
    for (int at = begin; at < end; at++) {
        int row = s->order[at], length = HEADER + PAYLOAD;
        write_header(b.data[used], frame, (uint32_t)row + 1);
        memset(b.data[used] + HEADER, 0xFF, PAYLOAD);
        if (s->protect(s->sending[row], b.data[used], &length) == 0) {
            b.name[used] = s->remote[row];
            b.part[used++].iov_len = (size_t)length;
        }
        if (used && (used == BATCH || at + 1 == end || s->of[s->order[at + 1]] != s->of[row])) {
            sendmmsg(s->fds[s->of[row]], b.head, (unsigned)used, 0);
            note(counts, deadline, used);
            used = 0;
        }
    }
}

int64_t shared_floor(const struct shared *s, int64_t *counts) {
    static struct epoll_event events[4096];
    int poll = epoll_create1(0);
    for (int i = 0; i < s->sockets; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        event.data.u32 = (uint32_t)i;
        epoll_ctl(poll, EPOLL_CTL_ADD, s->fds[i], &event);
    }
    int64_t epoch = monotonic() + FRAME_NS, received = 0;
    for (int64_t tick = 0; tick < (int64_t)s->frames * s->phases; tick++) {
        int64_t deadline = epoch + tick * FRAME_NS / s->phases;
        struct timespec until = {deadline / 1000000000, deadline % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
        received += receive_shared(s, poll, events);
        send_shared(s, tick, deadline, counts);
    }
    return received;
}

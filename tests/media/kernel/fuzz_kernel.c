/* Fuzzes the kernel under AddressSanitizer and UndefinedBehaviorSanitizer, led by coverage.

   Each input is a script: the state of four rows, then packets, frames and commands, all read from
   its octets.  Every array has exactly the size that the interface promises and lies on its own in
   the heap, so that one octet beyond is seen.  kernel.c is compiled with -fsanitize-coverage=
   trace-pc; an input that reaches a new edge is kept and changed further.

   The system calls are replaced by ones that read the script: datagrams, their lengths, sources and
   ancillary data, errors, and how many of a run are sent.

   Usage: fuzz_kernel SECONDS SEED.  Prints executions, edges and kept inputs; a fault aborts. */

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static int scripted_recvmmsg(int, struct mmsghdr *, unsigned, int, struct timespec *);
static int scripted_sendmmsg(int, struct mmsghdr *, unsigned, int);
static ssize_t scripted_sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);

#define recvmmsg scripted_recvmmsg
#define sendmmsg scripted_sendmmsg
#define sendto scripted_sendto
#include "kernel.c"

enum { ROWS = 4, SLOTS = 8, NEAR = 160, BINS = 41, PORTS = 16, NAMES = 2, BATCH = 8, WIDTH = 256,
       FEEDS = 3, AHEAD = 2, WAITING = 150, SOCKETS = 4,
       MOST = 2048, KEPT = 4096, EDGES = 1 << 16 };

/* Coverage -------------------------------------------------------------------------------------- */

static uint8_t reached[EDGES], ever[EDGES];
static int watching;

__attribute__((no_sanitize_coverage, no_sanitize("address"))) void __sanitizer_cov_trace_pc(void)
{
    static uintptr_t before;
    uintptr_t here = (uintptr_t)__builtin_return_address(0);

    if (!watching)
        return;
    reached[(here ^ before) % EDGES] = 1;
    before = here >> 1;
}

/* Scripts --------------------------------------------------------------------------------------- */

static const uint8_t *script;
static size_t left;

static uint8_t octet(void)
{
    return left ? left--, *script++ : 0;
}

static int64_t number(void)
{
    uint8_t kind = octet();
    int64_t value = 0;
    if (kind < 200)
        return kind % 24;
    if (kind < 215)
        return -(int64_t)(kind % 8);
    for (int each = 0; each < 5; each++)
        value = value << 8 | octet();
    return kind & 1 ? value : -value;
}

static double seconds(void)
{
    static const double odd[] = {0.0, -0.0, 1e300, -1e300, 0.02, 1.0};
    uint8_t kind = octet();
    if (kind < 6)
        return odd[kind];
    if (kind == 6)
        return INFINITY;
    if (kind == 7)
        return NAN;
    return (double)kind / 100.0;
}

/* Columns, each of its own size. ----------------------------------------------------------------- */

#define WIDTH_slots SLOTS
#define WIDTH_near NEAR
#define WIDTH_far 16
#define WIDTH_bins BINS

static struct bank bank;

static void allocate(void)
{
#define ALLOCATE(group, column, width) \
    bank.group.column = calloc(ROWS * (size_t)(width), sizeof *bank.group.column);
    COLUMNS(ALLOCATE)
}

static int transforms(void *session, void *packet, int *length)
{
    uint8_t *data = packet;
    (void)session;
    if (*length < HEADER + 1 || data[HEADER] == 0xEE)
        return 7;
    data[*length - 1] ^= 1; /* as libsrtp, which works up to the end */
    *length += data[HEADER] == 0xDD ? 3 : data[1] == 0x7E ? -10 : 10;
    return 0;
}

static int unprotects(void *session, void *packet, int *length)
{
    int status = transforms(session, packet, length);
    *length -= 20;
    return status;
}

static void state(int64_t row)
{
    bank.receiver.active[row] = octet() != 1;
    bank.receiver.secure[row] = octet() & 1;
    bank.receiver.receives[row] = octet() != 1;
    bank.receiver.heard[row] = octet() != 1;
    bank.receiver.receive_type[row] = octet() % 3;
    bank.receiver.receive_event[row] = 101;
    bank.receiver.remote_ssrc[row] = bank.reception.ssrc[row] = bank.line.ssrc[row] = octet() % 3;
    bank.newest.ssrc[row] = bank.line.ssrc[row];
    bank.sender.ssrc[row] = octet() % 8;
    bank.newest.sequence[row] = (uint16_t)(bank.line.top_sequence[row] = number());
    bank.reception.highest[row] = bank.line.top_sequence[row];
    bank.reception.counted[row] = octet() != 1;
    bank.reception.rate[row] = seconds();
    bank.srtp.receive[row] = bank.srtp.send[row] = octet() != 1;
    bank.srtp.receive_trailer[row] = 10;
    bank.line.opened[row] = bank.line.heard[row] = octet() != 1;
    bank.line.frame_ticks[row] = octet() == 1 ? number() % 48000 : 160;
    bank.line.frame_octets[row] = octet() == 1 ? 161 : octet() == 1 ? number() : 160;
    bank.line.octets_per_tick[row] = octet() != 1;
    bank.line.frame_time[row] = 0.02;
    bank.line.rate[row] = octet() == 1 ? seconds() : 8000.0;
    bank.line.top_timestamp[row] = number();
    bank.line.clock_origin[row] = bank.line.frame_origin[row] = number();
    bank.delay.baseline[row] = seconds();
    bank.delay.current[row] = seconds();
    bank.delay.previous[row] = seconds();
    bank.delay.window_end[row] = seconds();
    bank.delay.weight[row] = octet() == 1 ? 999999.0 : 1.0;
    bank.delay.count[row] = octet();
    bank.delay.target[row] = seconds();
    bank.buffer.head[row] = number();
    bank.buffer.newest[row] = number();
    bank.buffer.pending[row] = octet() == 1;
    bank.buffer.missing[row] = octet() % 7;
    bank.buffer.unsure[row] = octet() == 1;
    bank.buffer.floor[row] = octet() == 1 ? number() : bank.buffer.newest[row] - octet() % 3;
    bank.buffer.last_sequence[row] = number();
    if (!bank.receiver.heard[row] && octet() & 1) { /* of which nothing was heard */
        bank.newest.ssrc[row] = -1;
        bank.reception.counted[row] = bank.delay.count[row] = bank.line.heard[row] = 0;
        bank.line.opened[row] = bank.srtp.unheard[row] = 1;
    }
    bank.addresses.mux[row] = octet() == 1;
    for (int64_t slot = 0; slot < SLOTS; slot++)
        bank.ring.frame[row * SLOTS + slot] = number();
}

/* What each call gets, on its own in the heap. */
static struct packets batch;
static struct lookup by;
static struct received received;
static struct frames frames;
static struct sizes sizes = {ROWS, SLOTS, NEAR, BINS, 0.2, 0.97, 0, 0};

static void prepare(void)
{
    allocate();
    batch = (struct packets){calloc(BATCH, WIDTH), calloc(BATCH, 4), calloc(BATCH, 4), calloc(BATCH, SOCKADDR),
                             calloc(BATCH, 8), calloc(BATCH, 8), BATCH, WIDTH};
    int64_t *rows = calloc(PORTS, 8), *owners = calloc(NAMES, 8);
    uint64_t *names = calloc(NAMES, 8);
    for (int64_t port = 0; port < PORTS; port++)
        rows[port] = port < ROWS ? port : port == 9 ? SHARED : port == 10 ? ROWS : port == 11 ? -5 : -1;
    owners[1] = 2;
    names[1] = 9;
    by = (struct lookup){rows, calloc(PORTS, 1), names, owners, PORTS, NAMES};
    received = (struct received){calloc(ROWS, 4), calloc(BATCH, 8), calloc(BATCH, 8), calloc(BATCH, 8),
                                 calloc(BATCH, 4), calloc(BATCH, 8), 0, 0, 0, 0, 0};
    frames = (struct frames){calloc(BATCH, 1), calloc(BATCH, 4), calloc(BATCH, 4), calloc(BATCH, 1),
                             calloc(BATCH, 1), calloc(BATCH, 8), 0};
    sizes.protect = (uintptr_t)transforms;
    sizes.unprotect = (uintptr_t)unprotects;
}

/* An RTP header that continues the row's stream, or nearly. */
static void fill_header(uint8_t *data, int64_t row, uint8_t kind)
{
    data[0] = kind == 3 ? octet() : 0x80;
    data[1] = kind == 4 ? octet() : bank.receiver.receive_type[row];
    write16(data + 2, (uint16_t)(bank.line.top_sequence[row] + 1));
    write32(data + 4, (uint32_t)(bank.line.top_timestamp[row] + (kind == 5 ? number() : 160)));
    write32(data + 8, bank.receiver.remote_ssrc[row]);
}

static void fill_packet(int64_t at)
{
    uint8_t *data = batch.data + at * WIDTH;
    int64_t row = octet() % ROWS;
    uint8_t kind = octet();

    memset(data, octet(), WIDTH);
    batch.port[at] = kind == 1 ? (int32_t)number() : (int32_t)row;
    batch.length[at] = kind == 2 ? (int32_t)(number() * 37) : bank.receiver.secure[row] ? 182 : 172;
    if (kind == 7)
        batch.length[at] = (int32_t)(HEADER + bank.line.frame_octets[row]) + (bank.receiver.secure[row] ? 10 : 0);
    batch.arrival[at] = seconds();
    fill_header(data, row, kind);
    if (kind == 6)
        batch.address[at * SOCKADDR + octet() % SOCKADDR] ^= 1;
}

static void send_some(void)
{
    int64_t rows[BATCH], failed[BATCH];
    int32_t ports[BATCH] = {0}, status[BATCH];
    uint8_t *payload = malloc(BATCH * 160), *address = calloc(BATCH, SOCKADDR);
    uint8_t *codes = calloc(65536, 1);
    int64_t feed[BATCH], dry[FEEDS];
    int16_t *pcm = malloc(FEEDS * AHEAD * 160 * 2);
    int64_t *numbers = malloc(FEEDS * 8);
    int32_t *frame = malloc(FEEDS * 4), *frames_of_feed = malloc(FEEDS * 4), *last = malloc(FEEDS * 4);
    struct feeds feeds = {pcm, numbers, frame, frames_of_feed, last, FEEDS, 160, AHEAD, dry};
    struct outgoing what = {rows, ports, address, payload, octet() & 1 ? &feeds : NULL, feed, codes,
                            octet() & 1 ? 160 : 0, 160, octet() % (BATCH + 2), number(), octet() & 1,
                            failed, status};
    if (octet() == 1)
        what.size = number();
    if (what.size > 160)
        what.size = 160;
    memset(payload, octet(), BATCH * 160);
    memset(pcm, octet(), FEEDS * AHEAD * 160 * 2);
    for (int64_t at = 0; at < FEEDS; at++) {
        numbers[at] = number();
        frame[at] = octet() == 1 ? (int32_t)(number() % 1000) : octet() % AHEAD;
        frames_of_feed[at] = octet() % (AHEAD + 1);
        last[at] = octet() % 161;
    }
    for (int64_t at = 0; at < BATCH; at++) {
        rows[at] = octet() == 1 ? number() : octet() % ROWS;
        feed[at] = octet() == 1 ? number() : octet() % FEEDS;
    }
    /* A group's feeds are distinct, so at most each of them is left. */
    int64_t group[FEEDS] = {0, 1, octet() == 1 ? number() : 2};
    if (kernel_advance(&feeds, group, FEEDS, number()) > FEEDS ||
        kernel_short(&feeds, group, FEEDS) > FEEDS)
        abort();
    if (what.count <= BATCH)
        kernel_send(&bank, &sizes, &batch, octet() % (BATCH + 1), &what);
    free(payload);
    free(pcm);
    free(numbers);
    free(frame);
    free(frames_of_feed);
    free(last);
    free(codes);
    free(address);
}

/* The state of concealment, each array on its own. */
static struct sound sound;

static void prepare_sound(void)
{
    int16_t *values = calloc(256, sizeof *values);
    for (int each = 0; each < 256; each++)
        values[each] = (int16_t)(each * 256 - 32768);
    sound = (struct sound){.positions = BATCH, .values = values, .last = calloc(ROWS * NEAR, 2),
                           .gap = calloc(ROWS, 8), .noise_floor = calloc(ROWS, 4),
                           .speech = calloc(ROWS, 8), .clock_rate = 8000,
                           .rest = calloc(BATCH, 8)};
}

static void decode_some(void)
{
    int64_t count = octet() % (BATCH + 1), *rows = malloc(8 * (size_t)count), *at = malloc(8 * (size_t)count);
    uint8_t row = octet() % ROWS;

    bank.delivery.pause_state[row] = octet() == 1;
    bank.delivery.clock_ssrc[row] = octet() % 3;
    bank.delivery.clock_timestamp[row] = number();
    bank.delivery.clock_wall[row] = seconds();
    ((int64_t *)sound.gap)[row] = octet() == 1;
    sound.noise_floor[row] = octet() == 1 ? (float)seconds() : 3.0f;
    bank.buffer.energy[row] = octet() == 1 ? (float)seconds() : 9e6f;
    sound.samples = octet() == 1 ? number() : NEAR;
    if (sound.samples < 0 || sound.samples > NEAR)
        sound.samples = octet() & 1 ? NEAR + 1 : 0;
    for (int64_t each = 0; each < BATCH; each++) {
        frames.status[each] = octet() % 8 ? 1 : 2;
        frames.slot[each] = octet() == 1 ? (int32_t)number() : octet() % SLOTS;
        frames.length[each] = octet() == 1 ? (int32_t)number() : (int32_t)sound.samples;
        frames.spliced[each] = octet() == 1;
    }
    for (int64_t each = 0; each < count; each++) {
        rows[each] = octet() == 1 ? number() : octet() % ROWS;
        at[each] = octet() == 1 ? number() : octet() % BATCH;
    }
    sound.rows = rows;
    sound.at = at;
    sound.count = count;
    sound.place = octet() % 3;
    sound.since_1970 = seconds();
    int64_t described = (sound.place + 1) * count;
    sound.pcm = malloc((size_t)(described * (sound.samples > 0 ? sound.samples : 0)) * 2);
    sound.concealed = malloc((size_t)described);
    sound.captured = malloc((size_t)described * 8);
    sound.captured_by_sender = malloc((size_t)described);
    if (kernel_decode(&bank, &sizes, &frames, &sound) > count)
        abort();
    free(rows);
    free(at);
    free(sound.pcm);
    free(sound.concealed);
    free(sound.captured);
    free(sound.captured_by_sender);
}

/* Sockets ---------------------------------------------------------------------------------------

   What the system may do with what the kernel hands to it: never beyond the lengths that it is
   told, and within those anything. */

static struct packets waiting;
static struct ports ports;
static int64_t came[SOCKETS];

static void prepare_sockets(void)
{
    waiting = (struct packets){calloc(WAITING, WIDTH), calloc(WAITING, 4), calloc(WAITING, 4),
                               calloc(WAITING, SOCKADDR), calloc(WAITING, 8), calloc(WAITING, 8),
                               WAITING, WIDTH};
    int32_t *descriptors = calloc(SOCKETS, 4);
    for (int32_t each = 0; each < SOCKETS; each++)
        descriptors[each] = each;
    ports = (struct ports){descriptors, calloc(SOCKETS, 4), SOCKETS, calloc(WAITING, 8), 0};
}

static int refused(void)
{
    static const int errors[] = {EAGAIN, ECONNREFUSED, EINTR, ENOBUFS, EBADF, EMSGSIZE, ENOMEM};
    errno = errors[octet() % (sizeof errors / sizeof errors[0])];
    return -1;
}

/* One piece of ancillary data; returns its place in the buffer.  The lengths may be malformed. */
static size_t fill_ancillary(uint8_t *at, size_t room, int32_t type, uint8_t kind)
{
    uint8_t piece[32] = {0};
    size_t length = type == TIMESTAMPNS ? 32 : 20, space = type == TIMESTAMPNS ? 32 : 24;
    int32_t level = kind == 1 ? octet() : SOL_SOCKET;
    int64_t first = number(), second = number();

    if (kind == 2)
        length = (size_t)number();
    if (kind == 3)
        space = octet() % 33;
    if (kind == 4)
        type = octet();
    if (kind == 5)
        first = second = octet() & 1 ? INT64_MIN : INT64_MAX;
    if (space > room)
        space = room; /* MSG_CTRUNC */
    memcpy(piece, &length, 8);
    memcpy(piece + 8, &level, 4);
    memcpy(piece + 12, &type, 4);
    memcpy(piece + 16, &first, 8);
    memcpy(piece + 24, &second, 8);
    memcpy(at, piece, space);
    return space;
}

static void fill_control(struct msghdr *header)
{
    uint8_t *octets = header->msg_control;
    uint8_t which = octet() % 8, kind = octet() % 16;
    size_t used = 0, room = header->msg_controllen;

    if (which & 1)
        used += fill_ancillary(octets, room, TIMESTAMPNS, kind);
    if (which & 2)
        used += fill_ancillary(octets + used, room - used, RXQ_OVFL, kind);
    if (which == 4)
        used += fill_ancillary(octets + used, room - used, TIMESTAMPNS, kind);
    header->msg_controllen = kind == 6 ? octet() % (room + 1) : used;
}

static void fill_source(struct msghdr *header, int64_t row, uint8_t kind)
{
    uint8_t source[sizeof(struct sockaddr_in6)];
    uint16_t family = kind == 8 ? AF_INET6 : kind == 9 ? octet() : AF_INET;
    socklen_t size = family == AF_INET6 ? sizeof source : sizeof(struct sockaddr_in);

    memcpy(source, bank.addresses.remote + row * SOCKADDR, sizeof source);
    memcpy(source, &family, sizeof family);
    if (kind == 10)
        size = octet() % (sizeof source + 1); /* a name that is short, or none */
    memcpy(header->msg_name, source, size < header->msg_namelen ? size : header->msg_namelen);
    header->msg_namelen = size;
}

static int scripted_recvmmsg(int descriptor, struct mmsghdr *headers, unsigned count, int flags,
                             struct timespec *timeout)
{
    uint8_t what = octet();
    unsigned got = what < 128 ? count : 1 + what % count;

    if (count < 1 || count > BURST || flags != MSG_DONTWAIT || timeout || descriptor >= SOCKETS)
        abort();
    if (!left || what % 8 == 7)
        return refused();
    for (unsigned at = 0; at < got; at++) {
        struct msghdr *header = &headers[at].msg_hdr;
        uint8_t data[2 * WIDTH], kind = octet() % 24;
        int64_t row = descriptor % ROWS;
        size_t room = header->msg_iov->iov_len, length = bank.receiver.secure[row] ? 182 : 172;

        if (header->msg_iovlen != 1 || header->msg_controllen != ANCILLARY)
            abort();
        memset(data, octet(), sizeof data);
        fill_header(data, row, kind);
        if (kind == 7)
            length = octet();
        if (kind == 11 || kind == 12)
            length = room + octet();
        header->msg_flags = length > room ? MSG_TRUNC : 0;
        memcpy(header->msg_iov->iov_base, data, length < room ? length : room);
        headers[at].msg_len = (unsigned)(kind == 12 || length < room ? length : room);
        fill_source(header, row, kind);
        fill_control(header);
    }
    came[descriptor] += got;
    return (int)got;
}

static void receive_datagrams(void)
{
    double now = seconds(), wall = octet() == 1 ? seconds() : 20.0;

    for (int at = 0; at < SOCKETS; at++) {
        ((int32_t *)ports.burst)[at] = octet() % 4 ? octet() % 4 : (int32_t)number();
        came[at] = 0;
    }
    ports.count = octet() % (SOCKETS + 1);
    waiting.capacity = octet() & 1 ? number() % (WAITING + 1) : WAITING;
    int64_t used = kernel_receive_datagrams(&waiting, &ports, now, wall), sum = 0;
    for (int at = 0; at < SOCKETS; at++) {
        sum += came[at];
        if (came[at] && came[at] > ports.burst[at])
            abort();
    }
    if (used != sum || (used && used > waiting.capacity) || ports.drops_seen > 2 * used)
        abort();
    for (int64_t at = 0; at < used; at++) {
        double age = now - waiting.arrival[at];
        if (waiting.length[at] < 0 || waiting.length[at] > WIDTH || age < 0.0 || age > 1.0 + 1e-9 ||
            ports.drops[at] < -1 || ports.drops[at] > UINT32_MAX)
            abort();
    }
    kernel_receive(&bank, &sizes, &waiting, used < BATCH ? used : BATCH, &by, &received, now);
}

/* Reads what is to be sent, so that a sanitizer sees where it lies. */
static void look_at(const uint8_t *octets, size_t size)
{
    static volatile uint8_t sum;
    if (size > WIDTH)
        abort();
    for (size_t at = 0; at < size; at++)
        sum ^= octets[at];
}

static int scripted_sendmmsg(int descriptor, struct mmsghdr *headers, unsigned count, int flags)
{
    uint8_t what = octet();

    if (count < 1 || count > BURST || flags != MSG_DONTWAIT || descriptor >= SOCKETS)
        abort();
    for (unsigned at = 0; at < count; at++) {
        const struct msghdr *header = &headers[at].msg_hdr;
        if (header->msg_iovlen != 1 || header->msg_control || header->msg_controllen)
            abort();
        look_at(header->msg_iov->iov_base, header->msg_iov->iov_len);
        look_at(header->msg_name, header->msg_namelen);
    }
    if (what % 4 == 3)
        return refused();
    return (int)(what % 4 == 2 ? 1 + octet() % count : count);
}

static ssize_t scripted_sendto(int descriptor, const void *data, size_t size, int flags,
                               const struct sockaddr *address, socklen_t length)
{
    if (flags != MSG_DONTWAIT || descriptor >= SOCKETS)
        abort();
    look_at(data, size);
    look_at((const uint8_t *)address, length);
    return octet() % 4 == 3 ? refused() : (ssize_t)size;
}

static void send_datagrams(void)
{
    int64_t start = octet() == 1 ? number() : octet() % 8, stop = number(), sent;
    uint8_t change = 1 + octet() % 100;

    waiting.capacity = WAITING;
    for (int64_t at = 0; at < WAITING; at++) {
        uint16_t family = (at + change) % 3 ? AF_INET : AF_INET6;
        waiting.port[at] = (int32_t)(at / change % SOCKETS);
        waiting.length[at] = (int32_t)((at * change) % (WIDTH + 1));
        memcpy(waiting.address + at * SOCKADDR, &family, sizeof family);
    }
    if (octet() & 1)
        stop = WAITING + 1 - octet() % 8;
    sent = kernel_send_datagrams(&waiting, start, stop);
    if (sent < 0 || sent > (stop > start ? stop - start : 0))
        abort();
}

static void run(const uint8_t *octets, size_t size)
{
    int64_t rows[ROWS] = {0, 1, 2, 3};

    script = octets;
    left = size;
    for (int64_t row = 0; row < ROWS; row++)
        state(row);
    while (left > 4) {
        uint8_t what = octet() % 7;
        if (what < 2) {
            int64_t count = 1 + octet() % BATCH;
            for (int64_t at = 0; at < count; at++)
                fill_packet(at);
            kernel_receive(&bank, &sizes, &batch, octet() == 1 ? BATCH + 3 : count, &by, &received, seconds());
            if (received.media_count + received.control_count + received.failed_count +
                    received.begun_count > BATCH)
                abort();
        } else if (what == 2) {
            rows[octet() % ROWS] = octet() == 1 ? number() : octet() % ROWS;
            kernel_play(&bank, &sizes, rows, ROWS, seconds(), &frames);
        } else if (what == 3)
            decode_some();
        else if (what == 4)
            send_some();
        else if (what == 5)
            receive_datagrams();
        else
            send_datagrams();
    }
}

int main(int count, char **words)
{
    static uint8_t kept[KEPT][MOST], changed[MOST];
    static size_t lengths[KEPT];
    size_t corpus = 1;
    unsigned long executions = 0, edges = 0;
    double until = count > 1 ? atof(words[1]) : 5.0;
    time_t begun = time(NULL);

    srand(count > 2 ? (unsigned)atoi(words[2]) : 1);
    prepare();
    prepare_sound();
    prepare_sockets();
    lengths[0] = 1024;
    for (size_t at = 0; at < lengths[0]; at++)
        kept[0][at] = (uint8_t)rand();
    while (difftime(time(NULL), begun) < until) {
        size_t from = (size_t)rand() % corpus, size = lengths[from];
        int fresh = 0;
        memcpy(changed, kept[from], size);
        for (int each = rand() % 8; each >= 0; each--)
            changed[(size_t)rand() % size] = rand() % 3 ? (uint8_t)(rand() % 8) : (uint8_t)rand();
        memset(reached, 0, sizeof reached);
        watching = 1;
        run(changed, size);
        watching = 0;
        executions++;
        for (size_t edge = 0; edge < EDGES; edge++)
            if (reached[edge] && !ever[edge])
                ever[edge] = 1, fresh = 1, edges++;
        if (fresh && corpus < KEPT) {
            memcpy(kept[corpus], changed, size);
            lengths[corpus++] = size;
        }
    }
    printf("{\"executions\": %lu, \"edges\": %lu, \"inputs\": %zu}\n", executions, edges, corpus);
    return 0;
}

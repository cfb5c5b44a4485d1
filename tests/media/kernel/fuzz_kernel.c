/* Fuzzes the kernel under AddressSanitizer and UndefinedBehaviorSanitizer, led by coverage.

   Each input is a script: the state of four rows, then packets, frames and commands, all read from
   its octets.  Every array has exactly the size that the interface promises and lies on its own in
   the heap, so that one octet beyond is seen.  kernel.c is compiled with -fsanitize-coverage=
   trace-pc; an input that reaches a new edge is kept and changed further.

   Usage: fuzz_kernel SECONDS SEED.  Prints executions, edges and kept inputs; a fault aborts. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernel.c"

enum { ROWS = 4, SLOTS = 8, NEAR = 160, BINS = 41, PORTS = 16, NAMES = 2, BATCH = 8, WIDTH = 256,
       FEEDS = 3, AHEAD = 2,
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
                                 calloc(BATCH, 4), 0, 0, 0, 0};
    frames = (struct frames){calloc(BATCH, 1), calloc(BATCH, 4), calloc(BATCH, 4), calloc(BATCH, 1),
                             calloc(BATCH, 1), calloc(BATCH, 8), 0};
    sizes.protect = (uintptr_t)transforms;
    sizes.unprotect = (uintptr_t)unprotects;
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
    data[0] = kind == 3 ? octet() : 0x80;
    data[1] = kind == 4 ? octet() : bank.receiver.receive_type[row];
    write16(data + 2, (uint16_t)(bank.line.top_sequence[row] + 1));
    write32(data + 4, (uint32_t)(bank.line.top_timestamp[row] + (kind == 5 ? number() : 160)));
    write32(data + 8, bank.receiver.remote_ssrc[row]);
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

static void run(const uint8_t *octets, size_t size)
{
    int64_t rows[ROWS] = {0, 1, 2, 3};

    script = octets;
    left = size;
    for (int64_t row = 0; row < ROWS; row++)
        state(row);
    while (left > 4) {
        uint8_t what = octet() % 5;
        if (what < 2) {
            int64_t count = 1 + octet() % BATCH;
            for (int64_t at = 0; at < count; at++)
                fill_packet(at);
            kernel_receive(&bank, &sizes, &batch, octet() == 1 ? BATCH + 3 : count, &by, &received, seconds());
            if (received.media_count + received.control_count + received.failed_count > BATCH)
                abort();
        } else if (what == 2) {
            rows[octet() % ROWS] = octet() == 1 ? number() : octet() % ROWS;
            kernel_play(&bank, &sizes, rows, ROWS, seconds(), &frames);
        } else if (what == 3)
            decode_some();
        else
            send_some();
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

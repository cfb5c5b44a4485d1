/* The ordinary packet's path, on the arrays of softphone.media.bank.

   A packet is ordinary if it is its row's first or continues its source, and nothing about it needs
   a decision: anything else is left to the NumPy path, which stays complete, and with which this
   file agrees to the bit.  So every condition below has its counterpart there, named in the comment.

   No allocation, no cipher, no hash.  Octets from the network are read behind a check of their
   length; rows and positions behind a check of their range. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "interface.h"
#include "layout.h"
#ifndef SOFTPHONE_NO_RECVMMSG
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "datagrams.h"
#endif

enum {
    HEADER = 12,        /* octets of an RTP header without CSRC and extension, RFC 3550 5.1 */
    SOCKADDR = 32,      /* octets of a padded socket address */
    NAME = 24,          /* of which host and port */
    TRAILER = 16,       /* most octets that protecting an RTP packet adds */
    LONG_LOSS = 5,      /* playout.jitter_buffer */
    ONE_BY_ONE = 5,     /* packets of a row, playout.batch_rounds */
    MANY = 100,
    LEFT = -1,          /* of a row's packets, in struct received */
    REFRESH = 16,       /* playout.target_delay */
    BURST = 64,         /* datagrams of one system call */
    FIRST = 2,          /* prepared for the first call to a socket */
    ANCILLARY = 64,     /* octets of ancillary data: a time stamp and a count of drops */
    RXQ_OVFL = 40,      /* SO_RXQ_OVFL, SO_TIMESTAMPNS */
    TIMESTAMPNS = 35,
    SHARED = -2         /* bank.demultiplexer */
};

static const double BIN = 0.005, WINDOW = 2.0, HEAVIEST = 1e6;
static const double NONE_YET = 1e300;
static const double GROWTH = 1.0 + 1.0 / 200;
static const double JUMP = 1.0;
static const float NOISE_RISE = 1.02f, NOISE_STEP = 0.1f, LOUDEST_NOISE = 20.0f;
static const float QUIET_ENERGY = 2500.0f, QUIET_SHARE = 0.1f;
static const float KEPT_ENERGY = 0.95f, NEW_ENERGY = 0.05f;
static const float SPEECH_ENERGY = 2500.0f;
static const double FOLLOWING = 0.05;
static const int64_t EMPTY = -((int64_t)1 << 62), HALF = (int64_t)1 << 31;

typedef int (*transform)(void *session, void *packet, int *length);

const char *kernel_layout(void)
{
    return LAYOUT;
}

#ifndef SOURCES
#define SOURCES "" /* of a tool */
#endif

const char *kernel_sources(void)
{
    return SOURCES;
}

static uint16_t read16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value)
{
    write16(at, (uint16_t)(value >> 16));
    write16(at + 2, (uint16_t)value);
}

/* Receiving ----------------------------------------------------------------------------------- */

/* bank.demultiplexer: the row of a packet by its socket, or by its source address. */
static int64_t find_row(const struct lookup *by, const struct packets *in, int64_t at)
{
    int64_t port = in->port[at], row, low = 0, high = by->names;
    uint64_t word, asked;

    if (by->ports < 1)
        return -1;
    port = port < 0 ? 0 : port < by->ports ? port : by->ports - 1;
    row = by->row_of_port[port];
    if (row != SHARED)
        return row;
    memcpy(&word, in->address + at * SOCKADDR, sizeof word);
    asked = (word & ~(uint64_t)0xFFFF) | ((uint64_t)in->port[at] & 0xFFFF);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (by->name[middle] < asked)
            low = middle + 1;
        else
            high = middle;
    }
    return low < by->names && by->name[low] == asked ? by->owner[low] : -1;
}

/* tick.receive.split_rtp_and_rtcp: RTCP has its own socket, or types 192 to 223 (RFC 5761 4). */
static int is_control(const struct bank *bank, const struct lookup *by, const struct packets *in,
                      int64_t at, int64_t row)
{
    int64_t port = in->port[at];
    uint8_t second = in->data[at * in->width + 1];

    if (port >= 0 && port < by->ports && by->control[port])
        return 1;
    return bank->addresses.mux[row] && second >= 192 && second <= 223;
}

/* Where an ordinary packet lies on its row's timeline. */
struct place {
    uint32_t timestamp;
    int64_t ticks, frame, size;
    double arrival, media_time;
};

/* Whether it is a packet of the row's sound from its far end, by what all packets have in common:
   tick.receive.  Changes nothing. */
static int is_sound(const struct bank *b, const struct packets *in, int64_t at, int64_t row,
                    struct place *place)
{
    const uint8_t *data = in->data + at * in->width;
    int32_t length = in->length[at];
    int64_t trailer = b->receiver.secure[row] ? b->srtp.receive_trailer[row] : 0;

    place->size = length - HEADER - trailer;
    if (length < HEADER || length > in->width || data[0] != 0x80 || place->size < 1)
        return 0;
    if (!b->receiver.receives[row] || !b->line.opened[row] ||
        (b->receiver.secure[row] && !b->srtp.receive[row]))
        return 0;
    if ((data[1] & 0x7F) != b->receiver.receive_type[row] ||
        (data[1] & 0x7F) == b->receiver.receive_event[row])
        return 0;
    if (memcmp(in->address + at * SOCKADDR, b->addresses.remote + row * SOCKADDR, NAME))
        return 0;
    place->timestamp = read32(data + 4);
    place->arrival = in->arrival[at];
    return read32(data + 8) != b->sender.ssrc[row];
}

/* Whether the packet is the first of a row of which nothing was heard, not even by another key:
   the first source is believed at once.  tick.receive, srtp.context, bank.reception,
   playout.rtp_timeline. */
static int begins(const struct bank *b, const struct sizes *sizes, int64_t row,
                  struct place *place)
{
    if (b->line.heard[row] || b->reception.counted[row] || b->delay.count[row] ||
        b->newest.ssrc[row] != -1 || (b->receiver.secure[row] && !b->srtp.unheard[row]))
        return 0;
    place->ticks = place->timestamp;
    place->frame = 0;
    place->media_time = 0.0;
    return place->arrival >= 0.0 && b->line.octets_per_tick[row] >= 1 &&
           place->size == b->line.frame_octets[row] && place->size <= sizes->near_octets;
}

/* Whether the row's source, counters and timeline simply continue with this packet:
   tick.receive, bank.newest_packets, bank.reception, playout.rtp_timeline. */
static int continues(const struct bank *b, const uint8_t *data, int64_t row, struct place *place)
{
    uint16_t sequence = read16(data + 2);
    uint32_t ssrc = read32(data + 8);
    int64_t relative, moved;

    if (ssrc != b->receiver.remote_ssrc[row])
        return 0;
    if (b->receiver.secure[row] && (b->newest.ssrc[row] != (int64_t)ssrc ||
                                    sequence != (uint16_t)(b->newest.sequence[row] + 1)))
        return 0;
    if (ssrc != b->reception.ssrc[row] || !b->reception.counted[row] ||
        sequence != (uint16_t)(b->reception.highest[row] + 1))
        return 0;
    if (!b->line.heard[row] || ssrc != b->line.ssrc[row] ||
        sequence != (uint16_t)(b->line.top_sequence[row] + 1))
        return 0;
    moved = (int32_t)(place->timestamp - (uint32_t)b->line.top_timestamp[row]);
    if (moved < 0 || b->line.frame_ticks[row] < 1)
        return 0;
    place->ticks = b->line.top_timestamp[row] + moved;
    place->media_time =
        (double)(place->ticks - b->line.clock_origin[row]) / b->line.rate[row];
    if (!(fabs(place->arrival - place->media_time - b->delay.baseline[row]) <= JUMP))
        return 0;
    relative = place->ticks - b->line.frame_origin[row];
    if (relative < 0 || relative % b->line.frame_ticks[row])
        return 0;
    place->frame = relative / b->line.frame_ticks[row];
    return 1;
}

/* Whether the jitter buffer takes the packet without a decision: playout.jitter_buffer (no restart
   after a pause: it missed few frames, or one waits that is not due; not late, one whole frame) and
   playout.target_delay (after a restart, not quicker than the packets before it). */
static int fits(const struct bank *b, const struct sizes *sizes, int64_t row,
                const struct place *place)
{
    double overdue = place->arrival - b->delay.window_end[row];
    double least = b->delay.current[row], previous = b->delay.previous[row];
    int64_t first;

    first = b->buffer.pending[row] ? b->buffer.floor[row] : b->buffer.head[row];
    if (b->buffer.missing[row] >= LONG_LOSS && b->buffer.newest[row] < first)
        return 0;
    if (place->frame < b->buffer.head[row])
        return 0;
    if (b->line.octets_per_tick[row] < 1 || place->size != b->line.frame_octets[row] ||
        place->size > sizes->near_octets)
        return 0;
    if (overdue >= 0.0) {
        if (!b->delay.count[row])
            return 0;
        previous = overdue < WINDOW ? least : INFINITY;
        least = INFINITY;
    }
    return !isinf(previous) || !(place->arrival - place->media_time < least - BIN);
}

/* playout.target_delay: the percentile of the histogram, from the row's minimum to the maximum. */
static void refresh_target(const struct bank *b, const struct sizes *sizes, int64_t row)
{
    const double *histogram = b->delay.histogram + row * sizes->bins;
    double total = 0.0, so_far = 0.0, wanted;
    int64_t bin;

    for (bin = 0; bin < sizes->bins; bin++)
        total += histogram[bin];
    for (bin = 0; bin < sizes->bins; bin++) {
        so_far += histogram[bin];
        if (so_far >= sizes->percentile * total)
            break;
    }
    if (bin == sizes->bins)
        bin = 0; /* argmax of nothing */
    wanted = (double)(bin + 1) * BIN;
    if (wanted < b->delay.minimum[row])
        wanted = b->delay.minimum[row];
    b->delay.target[row] = wanted < sizes->maximum ? wanted : sizes->maximum;
}

static void observe_transit(const struct bank *b, const struct sizes *sizes, int64_t row,
                            const struct place *place)
{
    double overdue = place->arrival - b->delay.window_end[row];
    double transit = place->arrival - place->media_time, weight, above;
    double *histogram = b->delay.histogram + row * sizes->bins;
    int64_t bin, count;

    if (overdue >= 0.0) {
        b->delay.previous[row] = !b->delay.count[row] ? NONE_YET
                                 : overdue < WINDOW   ? b->delay.current[row]
                                                      : INFINITY;
        b->delay.current[row] = INFINITY;
        b->delay.window_end[row] = place->arrival + WINDOW;
    }
    if (transit < b->delay.current[row])
        b->delay.current[row] = transit;
    b->delay.baseline[row] = b->delay.current[row] < b->delay.previous[row]
                                 ? b->delay.current[row]
                                 : b->delay.previous[row];
    above = (transit - b->delay.baseline[row]) / BIN;
    /* Compared as a number first: a cast of one that no integer holds is undefined. */
    bin = above >= 0.0 && above < (double)(sizes->bins - 1) ? (int64_t)above : sizes->bins - 1;
    weight = b->delay.weight[row];
    histogram[bin] += weight;
    weight *= GROWTH;
    b->delay.weight[row] = weight;
    if (weight > HEAVIEST) {
        for (int64_t each = 0; each < sizes->bins; each++)
            histogram[each] /= weight;
        b->delay.weight[row] = 1.0;
    }
    count = ++b->delay.count[row];
    if (((count + row) & (REFRESH - 1)) == 0 || count < REFRESH)
        refresh_target(b, sizes, row);
}

/* receiver.account, reception.update: RFC 3550 A.3 and A.8. */
static void account(const struct bank *b, int64_t row, const struct place *place, double now)
{
    double came = place->arrival * b->reception.rate[row], jitter = b->reception.jitter[row];
    int32_t ticks = (int32_t)(place->timestamp - b->reception.timestamp[row]);
    double variation = fabs(came - b->reception.transit[row] - (double)ticks);

    b->receiver.packets_received[row]++;
    b->receiver.octets_received[row] += place->size;
    b->receiver.last_received[row] = now;
    b->receiver.timed_out[row] = 0;
    b->reception.received[row]++;
    b->reception.counted[row]++;
    b->reception.highest[row]++;
    b->reception.jitter[row] = (variation - jitter) * (1.0 / 16.0) + jitter;
    b->reception.transit[row] = came;
    b->reception.timestamp[row] = place->timestamp;
}

/* playout.rtp_timeline and playout.payload_ring. */
static void store(const struct bank *b, const struct sizes *sizes, const uint8_t *data, int64_t row,
                  const struct place *place)
{
    int64_t slot = row * sizes->slots + (place->frame & (sizes->slots - 1));

    b->line.doubted[row] = 0;
    b->line.seen[row] = b->line.seen[row] << 1 | 1;
    b->line.top_sequence[row]++;
    b->line.top_timestamp[row] = place->ticks;
    if (place->frame > b->buffer.newest[row])
        b->buffer.newest[row] = place->frame;
    memcpy(b->ring.near + slot * sizes->near_octets, data + HEADER, (size_t)place->size);
    b->ring.frame[slot] = place->frame;
    b->ring.sequence[slot] = b->line.top_sequence[row] - b->buffer.void_[row];
    b->ring.length[slot] = (int32_t)place->size;
    b->ring.payload_type[slot] = data[1] & 0x7F;
}

/* The states of a row whose first packet this is, as they are just before it: what follows for any
   packet does the rest.  tick.receive, bank.reception, playout.rtp_timeline and
   playout.jitter_buffer, whose ring is empty. */
static void begin(const struct bank *b, const uint8_t *data, int64_t row, const struct place *place)
{
    uint16_t sequence = read16(data + 2);
    uint32_t ssrc = read32(data + 8);

    b->receiver.remote_ssrc[row] = ssrc;
    b->receiver.heard[row] = 1;
    b->reception.ssrc[row] = ssrc;
    b->reception.base[row] = sequence;
    b->reception.highest[row] = (int64_t)sequence - 1;
    b->reception.wild[row] = -1;
    b->reception.expected_prior[row] = b->reception.received_prior[row] = 0;
    b->line.heard[row] = 1;
    b->line.ssrc[row] = b->line.candidate_ssrc[row] = ssrc;
    b->line.candidate_sequence[row] = (uint16_t)(sequence + 1);
    b->line.clock_origin[row] = b->line.frame_origin[row] = place->timestamp;
    b->line.seen[row] = 0;
    b->line.top_sequence[row] = (int64_t)sequence - 1;
    b->buffer.head[row] = b->buffer.void_[row] = b->buffer.unsure[row] = 0;
    b->buffer.floor[row] = EMPTY + 1;
    b->buffer.newest[row] = EMPTY;
    b->buffer.pending[row] = 1;
    b->buffer.missing[row] = LONG_LOSS;
    b->buffer.wait[row] = 0.0;
    b->buffer.rested[row] = b->buffer.wanting[row] = 0;
    b->buffer.spliced[row] = 0;
    b->buffer.last_sequence[row] = (int64_t)sequence - 1;
    b->delay.current[row] = b->delay.previous[row] = INFINITY;
    b->delay.window_end[row] = 0.0;
}

/* Returns whether the packet is done with: taken, or refused by libsrtp. */
static int receive_one(const struct bank *b, const struct sizes *sizes, struct packets *in,
                       int64_t at, int64_t row, struct received *result, double now)
{
    struct place place;
    uint8_t *data = in->data + at * in->width;
    int first = !b->receiver.heard[row];

    if (!is_sound(b, in, at, row, &place))
        return 0;
    if (first ? !begins(b, sizes, row, &place)
              : !continues(b, data, row, &place) || !fits(b, sizes, row, &place))
        return 0;
    if (b->receiver.secure[row]) {
        int length = in->length[at];
        transform unprotect = (transform)sizes->unprotect;
        int status = unprotect((void *)b->srtp.receive[row], data, &length);
        if (!status && length != HEADER + place.size)
            status = 1; /* srtp_err_status_fail: no suite of ours does this */
        if (status) {
            in->length[at] = 0;
            result->failed[result->failed_count] = at;
            result->status[result->failed_count++] = status;
            return 1;
        }
        in->length[at] = length;
        b->newest.ssrc[row] = read32(data + 8);
        b->newest.sequence[row] = read16(data + 2);
    }
    if (first) {
        begin(b, data, row, &place);
        result->begun[result->begun_count++] = at;
    }
    account(b, row, &place, now);
    if (first)
        b->reception.jitter[row] = 0.0;
    observe_transit(b, sizes, row, &place);
    store(b, sizes, data, row, &place);
    return 1;
}

/* Whether the packet counts for those in front of it in the same batch.  NumPy does each step for
   all packets before the next step: it changes the codec (tick.codec_change) and adopts a source
   (tick.symmetric_rtp) before the packets in front are buffered. */
static int changes(const struct bank *b, const struct packets *in, int64_t at, int64_t row)
{
    uint8_t type = in->data[at * in->width + 1] & 0x7F;

    return (b->addresses.adopting[row] &&
            memcmp(in->address + at * SOCKADDR, b->addresses.remote + row * SOCKADDR, NAME)) ||
           (type != b->receiver.receive_type[row] && type != b->receiver.receive_event[row]);
}

/* The rows of `count` packets, and the ordinary ones of them.  A row's packets are taken in order,
   up to the first that is left to NumPy, and all after it are left, too.  A row with many is left
   with all of them: sums over runs of packets are rounded otherwise than one by one. */
void kernel_receive(const void *table, const struct sizes *sizes, struct packets *in, int64_t count,
                    const struct lookup *by, struct received *result, double now)
{
    const struct bank *bank = table;

    result->media_count = result->control_count = result->failed_count = result->unclaimed = 0;
    result->begun_count = 0;
    if (count > in->capacity)
        count = in->capacity;
    for (int64_t at = 0; at < count; at++) {
        int64_t row = in->row[at] = find_row(by, in, at);
        if (row < 0 || row >= sizes->rows || !bank->receiver.active[row])
            result->unclaimed++;
        else if (is_control(bank, by, in, at, row))
            result->control[result->control_count++] = at;
        else {
            result->media[result->media_count++] = at;
            /* One in front of all others is left to NumPy, and with it all others. */
            result->seen[row] += changes(bank, in, at, row) && result->seen[row] ? MANY : 1;
        }
    }
    int64_t media = result->media_count;
    result->media_count = 0;
    for (int64_t each = 0; each < media; each++) {
        int64_t at = result->media[each], row = in->row[at];
        if (result->seen[row] >= 1 && result->seen[row] <= ONE_BY_ONE &&
            receive_one(bank, sizes, in, at, row, result, now))
            continue;
        result->seen[row] = LEFT;
        result->media[result->media_count++] = at;
    }
    for (int64_t at = 0; at < count; at++) {
        int64_t row = in->row[at];
        if (row >= 0 && row < sizes->rows)
            result->seen[row] = 0;
    }
}

/* Playing -------------------------------------------------------------------------------------- */

/* playout.payload_ring.next_frame: the first frame at or after `from`; returns its slot in the ring,
   or -1. */
static int64_t next_frame(const struct bank *b, const struct sizes *sizes, int64_t row,
                          int64_t from)
{
    const int64_t *frames = b->ring.frame + row * sizes->slots;
    int64_t found = -1;

    for (int64_t slot = 0; slot < sizes->slots; slot++)
        if (frames[slot] >= from && (found < 0 || frames[slot] < frames[found]))
            found = slot;
    return found;
}

/* playout.jitter_buffer._place_by_target */
static int64_t place_by_target(const struct bank *b, int64_t row, double now)
{
    double position = now - b->delay.baseline[row] - b->delay.target[row];
    double shift = (double)(b->line.clock_origin[row] - b->line.frame_origin[row]);
    double frame = floor((position * b->line.rate[row] + shift) /
                             (double)b->line.frame_ticks[row] + 1e-6);

    return fabs(frame) < 1e15 ? (int64_t)frame : EMPTY;
}

/* Where a row stands that plays next. */
struct turn {
    int64_t head, dropped, steps;
    double wait;
    int anchored, idle, have, waits;
};

/* Whether the row plays its frame, or has none for a reason that is no loss: it has had no packet
   yet, its first frame is not due (playout.jitter_buffer._anchor_pending), or it is paused
   (_bridge).  Its delay stays as it is (_adapt).  Changes nothing. */
static int takes_turn(const struct bank *b, const struct sizes *sizes, int64_t row, double now,
                      struct turn *turn)
{
    int64_t newest = b->buffer.newest[row], floor_ = b->buffer.floor[row], slot, wanted, least;
    int pending = b->buffer.pending[row];
    double frame = b->line.frame_time[row], target = b->delay.target[row];
    int off;

    if (b->buffer.unsure[row] || b->line.octets_per_tick[row] < 1 || b->line.frame_ticks[row] < 1)
        return 0;
    turn->head = b->buffer.head[row];
    turn->dropped = turn->steps = 0;
    turn->idle = b->buffer.missing[row] >= LONG_LOSS;
    turn->anchored = pending && newest >= floor_;
    if (turn->anchored) {
        slot = next_frame(b, sizes, row, floor_);
        turn->head = place_by_target(b, row, now);
        if (slot < 0 || turn->head == EMPTY)
            return 0;
        turn->head = turn->head > floor_ ? turn->head : floor_;
        least = turn->head < newest ? turn->head : newest;
        turn->dropped = least - b->ring.frame[row * sizes->slots + slot];
        turn->dropped = turn->dropped > 0 ? turn->dropped : 0;
        pending = 0;
    }
    turn->wait = now - b->delay.baseline[row] -
                 (double)(turn->head * b->line.frame_ticks[row] +
                          (b->line.frame_origin[row] - b->line.clock_origin[row])) /
                     b->line.rate[row];
    off = turn->wait > target + 1.5 * frame || turn->wait < target - 0.03 * frame;
    if (off && newest >= turn->head && !pending)
        return 0;
    slot = turn->head & (sizes->slots - 1);
    turn->have = b->ring.frame[row * sizes->slots + slot] == turn->head;
    turn->waits = !turn->have && newest > EMPTY && newest >= turn->head;
    if (turn->have || newest == EMPTY)
        return 1;
    if (!turn->waits)
        return turn->idle;
    slot = next_frame(b, sizes, row, turn->head);
    if (slot < 0 || b->ring.sequence[row * sizes->slots + slot] > b->buffer.last_sequence[row] + 1)
        return 0;
    wanted = place_by_target(b, row, now);
    if (wanted == EMPTY)
        return 0;
    turn->steps = b->ring.frame[row * sizes->slots + slot] - turn->head;
    wanted = wanted + 1 - turn->head;
    wanted = wanted > 0 ? wanted : 0;
    turn->steps = wanted < turn->steps ? wanted : turn->steps;
    return 1;
}

static void take_turn(const struct bank *b, const struct sizes *sizes, int64_t row, int64_t at,
                      const struct turn *turn, struct frames *out)
{
    int64_t slot = turn->have ? turn->head & (sizes->slots - 1) : sizes->slots - 1;
    int64_t flat = row * sizes->slots + slot;

    if (turn->anchored) {
        b->buffer.pending[row] = 0;
        b->buffer.rested[row] = 0;
        b->buffer.dropped[row] += turn->dropped;
    }
    if (!turn->idle)
        b->buffer.wait[row] = turn->wait;
    b->buffer.rested[row]++;
    b->buffer.loud[row] = 0;
    b->buffer.wanting[row] = 0;
    out->payload_type[at] = b->ring.payload_type[flat];
    out->spliced[at] = 0;
    if (!turn->have) {
        /* Silence; sound that was just heard fades out (FrameStatus). */
        out->status[at] = turn->idle || b->buffer.newest[row] == EMPTY ? 0 : 2;
        out->slot[at] = -1;
        out->length[at] = 0;
        b->buffer.head[row] = turn->head + turn->steps;
        if (turn->waits && !turn->idle)
            b->buffer.missing[row]++;
        return;
    }
    out->status[at] = 1;
    out->slot[at] = (int32_t)slot;
    out->length[at] = b->ring.length[flat];
    out->odd += out->payload_type[at] != b->delivery.playing_type[row];
    out->spliced[at] = b->buffer.spliced[row];
    b->buffer.last_sequence[row] = b->ring.sequence[flat];
    b->ring.frame[flat] = EMPTY;
    b->buffer.head[row] = b->buffer.floor[row] = turn->head + 1;
    b->buffer.missing[row] = 0;
    b->buffer.spliced[row] = 0;
    b->buffer.played[row]++;
}

/* playout.jitter_buffer.next_frames.  Returns how many rows are left, with their positions in
   `rest`. */
int64_t kernel_play(const void *table, const struct sizes *sizes, const int64_t *rows,
                    int64_t count, double now, struct frames *out)
{
    const struct bank *b = table;
    int64_t rest = 0;
    struct turn turn;

    out->odd = 0;
    for (int64_t at = 0; at < count; at++) {
        int64_t row = rows[at];

        out->status[at] = 0;
        if (row >= 0 && row < sizes->rows && takes_turn(b, sizes, row, now, &turn))
            take_turn(b, sizes, row, at, &turn, out);
        else
            out->rest[rest++] = at;
    }
    return rest;
}

/* Decoding --------------------------------------------------------------------------------------

   tick.deliver._describe_blocks: whether the frame just played is concealed, when the far end
   captured it, and whether that is by its own clock. */
static void describe(const struct bank *b, const struct sound *what, int64_t row, int64_t to,
                     uint8_t status)
{
    int64_t frame = b->buffer.head[row] - 1, ticks = frame * b->line.frame_ticks[row];
    int known = b->delivery.clock_ssrc[row] == (int64_t)b->line.ssrc[row];
    double captured;

    if (known) {
        int64_t timestamp = (b->line.frame_origin[row] + ticks) & 0xFFFFFFFF;
        int64_t ahead = timestamp - b->delivery.clock_timestamp[row] + HALF;
        ahead = (ahead & 0xFFFFFFFF) - HALF;
        captured = b->delivery.clock_wall[row] + (double)ahead / (double)what->clock_rate;
    } else {
        int64_t shift = b->line.frame_origin[row] - b->line.clock_origin[row];
        captured = b->delay.baseline[row] + (double)(ticks + shift) / b->line.rate[row];
        captured = captured + what->since_1970;
    }
    what->concealed[to] = status == 2;
    what->captured[to] = b->receiver.heard[row] ? captured : 0.0;
    what->captured_by_sender[to] = known && b->receiver.heard[row];
}

/* tick.deliver._decode for rows that play a whole frame after the one before: G.711, the state of
   playout.concealment, JitterBufferBank.observe_energy, playout.loss_bursts.  Returns how many
   others there are, with their positions in `rest`; they are described, too, but their samples are
   not written. */
int64_t kernel_decode(const void *table, const struct sizes *sizes, const struct frames *frames,
                      const struct sound *what)
{
    const struct bank *b = table;
    int64_t rest = 0, samples = what->samples, first = what->place * what->count;
    int fits = samples > 0 && samples <= sizes->near_octets;

    for (int64_t each = 0; each < what->count; each++) {
        int64_t row = what->rows[each], at = what->at[each], sum = 0;
        const uint8_t *octets;
        int16_t *pcm;
        float energy, root, rise, mean;

        if (row < 0 || row >= sizes->rows || at < 0 || at >= what->positions) {
            what->rest[rest++] = each;
            continue;
        }
        describe(b, what, row, first + each, frames->status[at]);
        if (!fits || frames->status[at] != 1 || frames->spliced[at] ||
            frames->length[at] != samples || frames->slot[at] < 0 ||
            frames->slot[at] >= sizes->slots || b->delivery.pause_state[row] || what->gap[row]) {
            what->rest[rest++] = each;
            continue;
        }
        octets = b->ring.near + (row * sizes->slots + frames->slot[at]) * sizes->near_octets;
        pcm = what->pcm + (first + each) * samples;
        for (int64_t sample = 0; sample < samples; sample++) {
            int16_t value = what->values[octets[sample]];
            pcm[sample] = value;
            sum += (int32_t)value * value;
        }
        memcpy(what->last + row * samples, pcm, (size_t)samples * sizeof *pcm);
        energy = (float)((double)sum / (double)samples);
        root = sqrtf(energy);
        rise = what->noise_floor[row] * NOISE_RISE;
        rise = rise + NOISE_STEP;
        root = root < rise ? root : rise;
        what->noise_floor[row] = root < LOUDEST_NOISE ? root : LOUDEST_NOISE;
        mean = b->buffer.energy[row];
        b->buffer.loud[row] = energy > QUIET_ENERGY && energy > QUIET_SHARE * mean;
        mean = KEPT_ENERGY * mean;
        mean = mean + NEW_ENERGY * energy;
        b->buffer.energy[row] = mean > 0.0f ? mean : 0.0f;
        if (what->speech && energy > SPEECH_ENERGY) {
            double before = what->speech[row];
            double moved = (before > 0.0 ? FOLLOWING : 1.0) * ((double)energy - before);
            what->speech[row] = before + moved;
        }
    }
    return rest;
}

/* Sending ---------------------------------------------------------------------------------------

   bank.source_feed.FrameBank.read for the sources that have a further frame: go to the frame of
   packet `number`.  Returns how many have none, with their rows in `rest`. */
int64_t kernel_advance(struct feeds *feeds, const int64_t *rows, int64_t count, int64_t number)
{
    int64_t rest = 0;

    for (int64_t at = 0; at < count; at++) {
        int64_t row = rows[at];
        if (row < 1 || row >= feeds->rows || feeds->number[row] == number)
            continue;
        feeds->number[row] = number;
        if (++feeds->frame[row] >= feeds->frames[row])
            feeds->rest[rest++] = row;
    }
    return rest;
}

/* bank.source_feed.FrameBank.counts: how many rows' current frames are not whole. */
int64_t kernel_short(const struct feeds *feeds, const int64_t *rows, int64_t count)
{
    int64_t found = 0;

    for (int64_t at = 0; at < count; at++) {
        int64_t row = rows[at];
        found += row < 0 || row >= feeds->rows ||
                 (feeds->frame[row] >= feeds->frames[row] - 1 && feeds->last[row] < feeds->samples);
    }
    return found;
}

/* The current frame of a feed; NULL for a row that is none, or has none. */
static const int16_t *frame_of(const struct feeds *feeds, int64_t row)
{
    if (row < 0 || row >= feeds->rows || feeds->frame[row] < 0 || feeds->frame[row] >= feeds->ahead)
        return NULL;
    return feeds->pcm + (row * feeds->ahead + feeds->frame[row]) * feeds->samples;
}

/* tick.send._append_packets: headers, payloads (G711.encode for frames) and SRTP of one packet of
   each row, from `start` on.  Returns how many libsrtp refused, or -1 if the packets have no
   room. */
int64_t kernel_send(const void *table, const struct sizes *sizes, struct packets *out,
                    int64_t start, struct outgoing *what)
{
    const struct bank *b = table;
    transform protect = (transform)sizes->protect;
    int64_t failed = 0;

    if (start < 0 || what->count < 0 || what->count > out->capacity - start || what->size < 1 ||
        what->size > out->width - HEADER - TRAILER ||
        (what->feeds && what->size != what->feeds->samples))
        return -1;
    for (int64_t at = 0; at < what->count; at++) {
        int64_t row = what->rows[at];
        if (row < 0 || row >= sizes->rows || (what->secure && !b->srtp.send[row]) ||
            (what->feeds && !frame_of(what->feeds, what->feed[at])))
            return -1;
    }
    for (int64_t at = 0; at < what->count; at++) {
        int64_t row = what->rows[at], to = start + at;
        uint8_t *data = out->data + to * out->width;
        uint32_t ticks = (uint32_t)(what->milliseconds * b->sender.clock_rate[row] / 1000);
        int length = (int)(HEADER + what->size), status = 0;

        data[0] = 0x80;
        data[1] = b->sender.payload_type[row];
        if (!b->sender.talking[row]) {
            data[1] |= 0x80;
            b->sender.talking[row] = 1;
        }
        write16(data + 2, b->sender.sequence[row]++);
        write32(data + 4, ticks + b->sender.timestamp_base[row]);
        write32(data + 8, b->sender.ssrc[row]);
        if (what->feeds) {
            const int16_t *pcm = frame_of(what->feeds, what->feed[at]);
            for (int64_t sample = 0; sample < what->size; sample++)
                data[HEADER + sample] = what->codes[(uint16_t)pcm[sample]];
        } else
            memcpy(data + HEADER, what->payload + what->stride * at, (size_t)what->size);
        if (what->secure)
            status = protect((void *)b->srtp.send[row], data, &length);
        if (status) {
            length = 0;
            what->failed[failed] = at;
            what->status[failed++] = status;
        } else {
            b->sender.packets_sent[row]++;
            b->sender.octets_sent[row] += what->size;
        }
        out->length[to] = length;
        out->row[to] = row;
        out->port[to] = what->port[at];
        memcpy(out->address + to * SOCKADDR, what->address + at * SOCKADDR, SOCKADDR);
    }
    return failed;
}

/* Sockets --------------------------------------------------------------------------------------- */

#ifndef SOFTPHONE_NO_RECVMMSG

/* net.datagrams.batched_udp: the arrival of a datagram by its SCM_TIMESTAMPNS, and the count of
   drops by its SO_RXQ_OVFL. */
static void read_ancillary(struct packets *in, struct ports *ports, int64_t at,
                           const struct msghdr *header, const uint8_t *octets, double now,
                           double wall)
{
    double age = 0.0;
    int32_t type;

    if (header->msg_controllen >= 32) {
        memcpy(&type, octets + 12, sizeof type);
        if (type == TIMESTAMPNS) {
            int64_t seconds, nanoseconds;
            memcpy(&seconds, octets + 16, sizeof seconds);
            memcpy(&nanoseconds, octets + 24, sizeof nanoseconds);
            age = (double)nanoseconds * -1e-9;
            age += wall - (double)seconds;
            age = age > 0.0 ? age : 0.0;
            age = age < 1.0 ? age : 1.0;
        }
    }
    in->arrival[at] = now - age;
    ports->drops[at] = -1;
    for (size_t begin = 0; begin <= 32; begin += 32) {
        uint32_t drops;
        if (header->msg_controllen < begin + 20)
            break;
        memcpy(&type, octets + begin + 12, sizeof type);
        if (type == RXQ_OVFL) {
            memcpy(&drops, octets + begin + 16, sizeof drops);
            ports->drops[at] = drops;
            ports->drops_seen++;
        }
    }
}

/* Fill `in` from the sockets, each with its burst at most.  A socket of one stream nearly always
   has a datagram or two, so few are prepared at first. */
int64_t kernel_receive_datagrams(struct packets *in, struct ports *ports, double now, double wall)
{
    struct mmsghdr headers[BURST];
    struct iovec vectors[BURST];
    uint8_t ancillary[BURST][ANCILLARY] __attribute__((aligned(8)));
    int64_t used = 0;

    ports->drops_seen = 0;
    for (int64_t each = 0; each < ports->count; each++) {
        int64_t most = ports->burst[each], tried = FIRST;
        if (most > in->capacity - used)
            most = in->capacity - used;
        while (most > 0) {
            if (tried > most)
                tried = most;
            for (int64_t at = 0; at < tried; at++) {
                vectors[at].iov_base = in->data + (used + at) * in->width;
                vectors[at].iov_len = (size_t)in->width;
                memset(&headers[at], 0, sizeof headers[at]);
                headers[at].msg_hdr.msg_name = in->address + (used + at) * SOCKADDR;
                headers[at].msg_hdr.msg_namelen = sizeof(struct sockaddr_in6);
                headers[at].msg_hdr.msg_iov = &vectors[at];
                headers[at].msg_hdr.msg_iovlen = 1;
                headers[at].msg_hdr.msg_control = ancillary[at];
                headers[at].msg_hdr.msg_controllen = ANCILLARY;
                memset(ancillary[at], 0, ANCILLARY);
            }
            int got = recvmmsg(ports->descriptor[each], headers, (unsigned)tried, MSG_DONTWAIT, NULL);
            for (int at = 0; at < got; at++, used++) {
                const struct msghdr *header = &headers[at].msg_hdr;
                uint8_t *address = in->address + used * SOCKADDR;
                uint16_t family;
                memcpy(&family, address, sizeof family);
                if (family == AF_INET)
                    memset(address + sizeof(struct sockaddr_in), 0,
                           SOCKADDR - sizeof(struct sockaddr_in));
                in->length[used] =
                    header->msg_flags & MSG_TRUNC ? 0 : (int32_t)headers[at].msg_len;
                in->port[used] = ports->descriptor[each];
                read_ancillary(in, ports, used, header, ancillary[at], now, wall);
            }
            if (got < tried)
                break;
            most -= got;
            tried = BURST;
        }
    }
    return used;
}

static socklen_t name_length(const uint8_t *address)
{
    uint16_t family;
    memcpy(&family, address, sizeof family);
    return family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Send a run of datagrams of one socket; those that the system refuses are lost. */
static int64_t send_run(const struct packets *out, int64_t start, int64_t stop)
{
    struct mmsghdr headers[BURST];
    struct iovec vectors[BURST];
    int64_t sent = 0;

    while (start < stop) {
        int64_t count = stop - start < BURST ? stop - start : BURST;
        memset(headers, 0, sizeof headers[0] * (size_t)count);
        for (int64_t at = 0; at < count; at++) {
            vectors[at].iov_base = out->data + (start + at) * out->width;
            vectors[at].iov_len = (size_t)out->length[start + at];
            headers[at].msg_hdr.msg_name = out->address + (start + at) * SOCKADDR;
            headers[at].msg_hdr.msg_namelen = name_length(headers[at].msg_hdr.msg_name);
            headers[at].msg_hdr.msg_iov = &vectors[at];
            headers[at].msg_hdr.msg_iovlen = 1;
        }
        int got = sendmmsg(out->port[start], headers, (unsigned)count, MSG_DONTWAIT);
        if (got > 0) {
            sent += got;
            start += got;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == EBADF)
            break;
        else
            start++; /* this one is refused (no route, too long): the others may not be */
    }
    return sent;
}

/* Send packets `start` to `stop`, each on the socket of its `port`; returns how many went out. */
int64_t kernel_send_datagrams(const struct packets *out, int64_t start, int64_t stop)
{
    int64_t sent = 0;

    if (start < 0 || stop > out->capacity)
        return 0;
    while (start < stop) {
        int64_t end = start + 1;
        while (end < stop && out->port[end] == out->port[start])
            end++;
        if (end - start > 1)
            sent += send_run(out, start, end);
        else {
            const uint8_t *address = out->address + start * SOCKADDR;
            ssize_t size = sendto(out->port[start], out->data + start * out->width,
                                  (size_t)out->length[start], MSG_DONTWAIT,
                                  (const struct sockaddr *)address, name_length(address));
            sent += size >= 0;
        }
        start = end;
    }
    return sent;
}

#endif

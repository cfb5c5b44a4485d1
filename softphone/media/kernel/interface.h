/* What Python and the kernel hand to each other.  cffi reads this file, too: declarations only.

   `table` in each call is the `struct bank` of layout.h: pointers to the columns of the state
   groups.  Arrays have the dtypes that softphone.media.bank gives them; `int64_t` is NumPy's intp. */

struct sizes {
    int64_t rows;        /* of every column */
    int64_t slots;       /* frames in a ring, a power of two */
    int64_t near_octets; /* of a payload in the ring's near part */
    int64_t bins;        /* of a delay histogram */
    double maximum;      /* target delay, in seconds */
    double percentile;
    uintptr_t protect;   /* srtp_protect and srtp_unprotect of pylibsrtp's library */
    uintptr_t unprotect;
};

struct packets {
    uint8_t *data; /* [capacity][width] */
    int32_t *length;
    int32_t *port;
    uint8_t *address; /* [capacity][32] */
    double *arrival;
    int64_t *row;
    int64_t capacity;
    int64_t width;
};

struct lookup {
    const int64_t *row_of_port; /* [ports] */
    const uint8_t *control;     /* [ports] */
    const uint64_t *name;       /* [names], ascending */
    const int64_t *owner;       /* [names] */
    int64_t ports;
    int64_t names;
};

struct received {
    int32_t *seen;   /* [rows], zero between calls */
    int64_t *media;  /* packets that are left to NumPy */
    int64_t *control;
    int64_t *failed; /* packets that did not authenticate, and libsrtp's status */
    int32_t *status;
    int64_t *begun;  /* packets that were their rows' first */
    int64_t media_count;
    int64_t control_count;
    int64_t failed_count;
    int64_t begun_count;
    int64_t unclaimed;
};

struct frames {
    uint8_t *status;
    int32_t *slot;
    int32_t *length;
    uint8_t *payload_type;
    uint8_t *spliced;
    int64_t *rest; /* positions that are left to NumPy */
    int64_t odd; /* frames of a type that bank.delivery does not decode, of those not left */
};

/* k frames of a G.711 codec to decode. */
struct sound {
    const int64_t *rows; /* distinct */
    const int64_t *at;   /* their positions in struct frames */
    int64_t count;
    int64_t positions;     /* in struct frames */
    const int16_t *values; /* [256] of the codec's octets */
    int64_t samples;       /* of a frame */
    int16_t *last;         /* [rows][samples] playout.concealment */
    const int64_t *gap;    /* [rows] */
    float *noise_floor;    /* [rows] */
    double *speech;        /* [rows] playout.loss_bursts, or NULL */
    int64_t clock_rate;    /* of their timestamps */
    double since_1970;     /* seconds to zero of the clock of `now` */
    int64_t place;         /* in the arrays of audio.block_batch.BlockPage: */
    int16_t *pcm;          /* [...][count][samples] */
    uint8_t *concealed;    /* [...][count] */
    double *captured;
    uint8_t *captured_by_sender;
    int64_t *rest;         /* positions that are left to NumPy */
};

/* The frames of all sources, bank.source_feed.FrameBank. */
struct feeds {
    const int16_t *pcm; /* [rows][ahead][samples] */
    int64_t *number;
    int32_t *frame;
    const int32_t *frames;
    const int32_t *last;
    int64_t rows;
    int64_t samples;
    int64_t ahead;
    int64_t *rest; /* rows that have no further frame */
};

struct outgoing {
    const int64_t *rows;
    const int32_t *port;
    const uint8_t *address; /* [count][32] */
    const uint8_t *payload;
    const struct feeds *feeds; /* frames to encode in place of payloads, or NULL */
    const int64_t *feed;  /* [count] their rows */
    const uint8_t *codes; /* [65536] the octet of each sample */
    int64_t stride; /* octets between two payloads; 0: one for all */
    int64_t size;   /* octets of a payload */
    int64_t count;
    int64_t milliseconds;
    int64_t secure;
    int64_t *failed; /* rows' positions that libsrtp refused, and its status */
    int32_t *status;
};

const char *kernel_layout(void);
const char *kernel_sources(void);
void kernel_receive(const void *table, const struct sizes *, struct packets *, int64_t count,
                    const struct lookup *, struct received *, double now);
int64_t kernel_play(const void *table, const struct sizes *, const int64_t *rows, int64_t count,
                    double now, struct frames *);
int64_t kernel_decode(const void *table, const struct sizes *, const struct frames *,
                      const struct sound *);
int64_t kernel_advance(struct feeds *, const int64_t *rows, int64_t count, int64_t number);
int64_t kernel_short(const struct feeds *, const int64_t *rows, int64_t count);
int64_t kernel_send(const void *table, const struct sizes *, struct packets *, int64_t start,
                    struct outgoing *);

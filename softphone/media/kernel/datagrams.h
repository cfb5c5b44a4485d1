/* The part of the kernel that reads and writes sockets, where there are recvmmsg and sendmmsg; a
   build without them (SOFTPHONE_NO_RECVMMSG) has none of this.  After interface.h; cffi reads this
   file, too: declarations only. */

struct ports {
    const int32_t *descriptor;
    const int32_t *burst;
    int64_t count;
    int64_t *drops; /* [capacity] the system's running count of lost datagrams, or -1 */
    int64_t drops_seen;
};

int64_t kernel_receive_datagrams(struct packets *, struct ports *, double now, double wall);
int64_t kernel_send_datagrams(const struct packets *, int64_t start, int64_t stop);

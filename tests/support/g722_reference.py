"""A G.722 decoder at 64 kbit/s, written sample by sample from the Recommendation's own blocks.

ITU-T G.722 (09/2012) sections 4 to 6: block names and signal names are those of the text.  Slow and
plain: it is the oracle of the codec that we use.
"""

from __future__ import annotations

# fmt: off
QM6 = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192,
    -10232, -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168,
    -2776, -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512,
    12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168,
    2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
]
QM4 = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200,
    20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
]
QM2 = [-7408, -1616, 7408, 1616]
WL = [-60, -30, 58, 172, 334, 538, 1198, 3042]
RL42 = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0]
WH = [0, -214, 798]
RH2 = [2, 1, 2, 1]
ILB = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774,
    2834, 2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838,
    3922, 4008,
]
QMF = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876,
       3876, 951, -805, -210, 362, 32, -156, 12, 53, -11, -11, 3]
# fmt: on


def saturate(value: int) -> int:
    """To 16 bits."""
    return min(max(value, -32768), 32767)


class Band:
    """The adaptive predictor and scale factor of one sub-band (blocks 3 and 4)."""

    def __init__(self, det: int, limit: int, shift: int) -> None:
        self.nb, self.det, self.limit, self.shift = 0, det, limit, shift
        self.a1 = self.a2 = 0
        self.b = [0] * 6
        self.d = [0] * 7
        self.r1 = self.r2 = 0
        self.p1 = self.p2 = 0
        self.s = self.sz = 0

    def scale(self, weight: int) -> None:
        """LOGSC, SCALE: the next quantizer scale factor."""
        self.nb = min(max(((self.nb * 127) >> 7) + weight, 0), self.limit)
        exponent = self.shift - (self.nb >> 11)
        mantissa = ILB[(self.nb >> 6) & 31]
        self.det = (mantissa >> exponent if exponent >= 0 else mantissa << -exponent) << 2

    def predict(self, d: int) -> None:
        """Block 4: adapt the poles and zeros by the quantized difference; the next prediction."""
        p = saturate(self.sz + d)
        r = saturate(self.s + d)
        self._poles(p)
        self._zeros(d)
        self.r2, self.r1 = self.r1, r
        self.p2, self.p1 = self.p1, p
        poles = saturate(
            ((self.a1 * saturate(2 * self.r1)) >> 15) + ((self.a2 * saturate(2 * self.r2)) >> 15)
        )
        self.sz = saturate(
            sum((b * saturate(2 * x)) >> 15 for b, x in zip(self.b, self.d[1:], strict=True))
        )
        self.s = saturate(poles + self.sz)

    def _poles(self, p: int) -> None:
        sign = p < 0
        same1, same2 = sign == (self.p1 < 0), sign == (self.p2 < 0)
        first = saturate(4 * self.a1)
        first = first if not same1 else -first if first != -32768 else 32767
        second = (first >> 7) + (128 if same2 else -128) + ((self.a2 * 32512) >> 15)
        a2 = min(max(second, -12288), 12288)
        a1 = (192 if same1 else -192) + ((self.a1 * 32640) >> 15)
        bound = 15360 - a2
        self.a1, self.a2 = min(max(a1, -bound), bound), a2

    def _zeros(self, d: int) -> None:
        step = 0 if d == 0 else 128
        for i in range(6):
            grow = step if (d < 0) == (self.d[i + 1] < 0) else -step
            self.b[i] = saturate(grow + ((self.b[i] * 32640) >> 15))
        self.d = [0, d, *self.d[1:6]]


def decode(data: bytes) -> list[int]:
    """The samples at 16 kHz of octets in mode 1."""
    low, high = Band(32, 18432, 8), Band(8, 22528, 10)
    delay = [0] * 24
    out: list[int] = []
    for octet in data:
        ihr, ilr = octet >> 6, octet & 63
        rl = saturate(low.s + ((low.det * QM6[ilr]) >> 15))
        rl = min(max(rl, -16384), 16383)
        dlt = (low.det * QM4[ilr >> 2]) >> 15
        low.scale(WL[RL42[ilr >> 2]])
        low.predict(dlt)
        dh = (high.det * QM2[ihr]) >> 15
        rh = min(max(dh + high.s, -16384), 16383)
        high.scale(WH[RH2[ihr]])
        high.predict(dh)
        delay = [*delay[2:], rl + rh, rl - rh]
        even = sum(QMF[2 * i] * delay[2 * i] for i in range(12))
        odd = sum(QMF[2 * i + 1] * delay[2 * i + 1] for i in range(12))
        out += [saturate(odd >> 11), saturate(even >> 11)]
    return out

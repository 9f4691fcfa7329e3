/* Elementary functions of vectors of doubles, to about 1e-15, the same on every machine with the same vectors.
 *
 * libm's are scalar, and change with its version; these make the losses cheap and their bits ours. */
#ifndef GOLDENBENCH_ELEMENTARY_H
#define GOLDENBENCH_ELEMENTARY_H

#include "vector.h"

#define LN2_HIGH 0x1.62e42fee00000p-1 /* 32 bits, so that its product with an exponent is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33
#define ROUNDER 0x1.8p52 /* adding it rounds to an integer, which then stands in the low bits */

/* e^x for x <= 700; 0 below -700. */
INLINE doubles exponential(doubles x) {
    doubles clamped = choose_double(x > -700.0, x, all_double(-700.0));
    doubles shifted = clamped * 0x1.71547652b82fep0 + ROUNDER;
    longs exponent = (longs)shifted - (longs)all_double(ROUNDER);
    doubles whole = shifted - ROUNDER;
    doubles r = (clamped - whole * LN2_HIGH) - whole * LN2_LOW;
    static const double inverse_factorial[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                               1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                               1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5,
                                               1.0,              1.0};
    doubles total = all_double(inverse_factorial[0]);
    for (int i = 1; i < 14; i++) total = total * r + inverse_factorial[i];
    doubles scale = (doubles)((exponent + 1023) << 52);
    return choose_double(x > -700.0, total * scale, (doubles){0});
}

/* ln x for positive normal x; its relative error stays small near 1. */
INLINE doubles logarithm(doubles x) {
    longs root_half = (longs)all_double(0x1.6a09e667f3bcdp-1);
    longs shifted = (longs)x + ((longs)all_double(1.0) - root_half);
    longs exponent = (shifted >> 52) - 1023;
    doubles fraction = (doubles)((shifted & 0xfffffffffffffll) + root_half);
    doubles s = (fraction - 1.0) / (fraction + 1.0), z = s * s;
    doubles total = all_double(1.0 / 21);
    for (int odd = 19; odd >= 3; odd -= 2) total = total * z + 1.0 / odd;
    doubles whole = (doubles)(exponent + (longs)all_double(ROUNDER)) - ROUNDER;
    return whole * LN2_HIGH + (whole * LN2_LOW + 2.0 * (s + s * z * total));
}

/* ln(1 + x) for x >= -0.5, with a small relative error near 0: the logarithm corrects what rounding 1 + x lost. */
INLINE doubles logarithm_1p(doubles x) {
    doubles sum = 1.0 + x;
    return logarithm(sum) + (x - (sum - 1.0)) / sum;
}

/* sin(x) / x for x in [0, pi/4]. */
INLINE doubles sine_ratio(doubles x) {
    doubles z = x * x, total = all_double(-1.0 / 1307674368000);
    static const double terms[] = {1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1.0};
    for (int i = 0; i < 7; i++) total = total * z + terms[i];
    return total;
}

/* cos(x) for x in [0, pi/4]. */
INLINE doubles cosine(doubles x) {
    doubles z = x * x, total = all_double(1.0 / 20922789888000);
    static const double terms[] = {-1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
                                   -1.0 / 720,         1.0 / 24,        -0.5,           1.0};
    for (int i = 0; i < 8; i++) total = total * z + terms[i];
    return total;
}

INLINE doubles square_root(doubles x) {
    double lane[DOUBLES];
    memcpy(lane, &x, sizeof lane);
    for (int i = 0; i < DOUBLES; i++) lane[i] = __builtin_sqrt(lane[i]);
    memcpy(&x, lane, sizeof lane);
    return x;
}

#endif

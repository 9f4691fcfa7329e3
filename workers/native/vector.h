/* Vectors of the machine's width, in the vector extension that gcc and clang share.
 *
 * One source is compiled once per instruction set; the width and the shapes of the register tiles are all that
 * differs. A tile of accumulators and its operands fill the register file: 32 registers with AVX-512, else 16
 * (AArch64 has 32, and does not mind). */
#ifndef GOLDENBENCH_VECTOR_H
#define GOLDENBENCH_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define TILE_VECTORS 6 /* vectors of positions in a tile */
#define TILE_FILTERS 4 /* filters in a tile of the convolution */
#define TILE_IMAGES 4  /* images in a tile of the fully connected layer */
#define TILE_TAPS 5    /* filters beside a row of five taps, in a tile of the filters' gradient */
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define TILE_VECTORS 3
#define TILE_FILTERS 4
#define TILE_IMAGES 2
#define TILE_TAPS 2
#else
#define VECTOR_BYTES 16
#define TILE_VECTORS 3
#define TILE_FILTERS 4
#define TILE_IMAGES 2
#define TILE_TAPS 2
#endif

#define LANES (VECTOR_BYTES / 4)
#define DOUBLES (VECTOR_BYTES / 8)
#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES)));
typedef double doubles __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t longs __attribute__((vector_size(VECTOR_BYTES)));
/* Rows of shifted pixels start at any multiple of four bytes. */
typedef float unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

INLINE vector load(const float *from) { return *(const unaligned *)from; }
INLINE void store(float *to, vector value) { *(unaligned *)to = value; }
INLINE vector all(float value) { return value - (vector){0}; }
INLINE doubles all_double(double value) { return value - (doubles){0}; }

/* where ? yes : no, lane by lane; `where` is all ones or all zeros. */
INLINE vector choose(mask where, vector yes, vector no) { return (vector)((where & (mask)yes) | (~where & (mask)no)); }
INLINE doubles choose_double(longs where, doubles yes, doubles no) {
    return (doubles)((where & (longs)yes) | (~where & (longs)no));
}

/* Sum of the lanes, pairwise: the rounding error grows with the logarithm of their number. */
INLINE float sum(vector value) {
#if VECTOR_BYTES == 64
    typedef float half __attribute__((vector_size(32)));
    half low, high;
    memcpy(&low, &value, 32);
    memcpy(&high, (char *)&value + 32, 32);
    low += high;
#else
    vector low = value;
#endif
#if VECTOR_BYTES >= 32
    typedef float quarter __attribute__((vector_size(16)));
    quarter left, right;
    memcpy(&left, &low, 16);
    memcpy(&right, (char *)&low + 16, 16);
    left += right;
#else
    vector left = low;
#endif
    return (left[0] + left[2]) + (left[1] + left[3]);
}

#endif

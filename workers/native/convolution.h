/* The convolution with batch norm folded in, ReLU, and the gradient of the folded filters. */
#ifndef GOLDENBENCH_CONVOLUTION_H
#define GOLDENBENCH_CONVOLUTION_H

#include "network.h"
#include "vector.h"

/* `count` vectors of positions of TILE_FILTERS filters, from position `at`. */
INLINE void convolve_tile(const struct shape *shape, const float *planes, const float *weights, const float *offsets,
                          float *out, int at, const int count) {
    vector total[TILE_FILTERS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int f = 0; f < TILE_FILTERS; f++)
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) total[f][v] = all(offsets[f]);
    for (int y = 0; y < KERNEL; y++) {
        const float *row = planes + at + y * shape->columns;
#pragma GCC unroll 5
        for (int x = 0; x < KERNEL; x++) {
            vector pixel[TILE_VECTORS];
#pragma GCC unroll 8
            for (int v = 0; v < count; v++) pixel[v] = load(row + x * shape->plane + v * LANES);
#pragma GCC unroll 8
            for (int f = 0; f < TILE_FILTERS; f++) {
                vector weight = all(weights[f * TAPS + y * KERNEL + x]);
#pragma GCC unroll 8
                for (int v = 0; v < count; v++) total[f][v] += weight * pixel[v];
            }
        }
    }
#pragma GCC unroll 8
    for (int f = 0; f < TILE_FILTERS; f++)
#pragma GCC unroll 8
        for (int v = 0; v < count; v++)
            store(out + (f * shape->vectors + v) * LANES + at, choose(total[f][v] > 0, total[f][v], (vector){0}));
}

/* Features of one image: [TILE_FILTERS][vectors][LANES] from the image's planes; zero behind the last position. */
static void convolve(const struct shape *shape, const float *planes, const float *weights, const float *offsets,
                     float *out) {
    int vector_at = 0;
    for (; vector_at + TILE_VECTORS <= shape->vectors; vector_at += TILE_VECTORS)
        convolve_tile(shape, planes, weights, offsets, out, vector_at * LANES, TILE_VECTORS);
    for (; vector_at < shape->vectors; vector_at++)
        convolve_tile(shape, planes, weights, offsets, out, vector_at * LANES, 1);
    for (int f = 0; f < TILE_FILTERS; f++)
        for (int p = shape->positions; p < shape->vectors * LANES; p++) out[f * shape->vectors * LANES + p] = 0;
}

/* Adds the products of `count` filters' gradients with the five pixels of row `y` of the filter to
 * totals [count][TAPS] of vectors, whose lanes are still to be summed. */
INLINE void correlate_tile(const struct shape *shape, const float *planes, const float *gradient, vector *totals, int y,
                           const int count) {
    vector total[TILE_TAPS][KERNEL];
#pragma GCC unroll 8
    for (int f = 0; f < count; f++)
#pragma GCC unroll 8
        for (int x = 0; x < KERNEL; x++) total[f][x] = totals[f * TAPS + y * KERNEL + x];
    const float *row = planes + y * shape->columns;
    for (int v = 0; v < shape->vectors; v++) {
        vector pixel[KERNEL];
#pragma GCC unroll 8
        for (int x = 0; x < KERNEL; x++) pixel[x] = load(row + x * shape->plane + v * LANES);
#pragma GCC unroll 8
        for (int f = 0; f < count; f++) {
            vector slope = load(gradient + (f * shape->vectors + v) * LANES);
#pragma GCC unroll 8
            for (int x = 0; x < KERNEL; x++) total[f][x] += slope * pixel[x];
        }
    }
#pragma GCC unroll 8
    for (int f = 0; f < count; f++)
#pragma GCC unroll 8
        for (int x = 0; x < KERNEL; x++) totals[f * TAPS + y * KERNEL + x] = total[f][x];
}

/* Gradient of TILE_TAPS folded filters from one image, gradient [TILE_TAPS][vectors][LANES]. */
static void correlate(const struct shape *shape, const float *planes, const float *gradient, vector *totals) {
    for (int y = 0; y < KERNEL; y++) correlate_tile(shape, planes, gradient, totals, y, TILE_TAPS);
}

/* Gradient of TILE_TAPS folded offsets, likewise: side by side, as one sum would wait for itself at every term. */
static void add_up(const struct shape *shape, const float *gradient, vector *totals) {
    vector total[TILE_TAPS] = {0};
    for (int v = 0; v < shape->vectors; v++)
#pragma GCC unroll 8
        for (int f = 0; f < TILE_TAPS; f++) total[f] += load(gradient + (f * shape->vectors + v) * LANES);
#pragma GCC unroll 8
    for (int f = 0; f < TILE_TAPS; f++) totals[f] += total[f];
}

#endif

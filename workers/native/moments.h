/* Sums over patches of pixels and of their products: exact integers, so that any order gives the same. */
#ifndef GOLDENBENCH_MOMENTS_H
#define GOLDENBENCH_MOMENTS_H

#include <stdlib.h>

#include "network.h"
#include "pixels.h"
#include "vector.h"

enum {
    MOST_VECTORS = 256, /* of products of two bytes: their sum in a lane stays below 2^24, exact in float */
    MOST_SUMS = 64      /* of such sums: they stay below 2^31 */
};

/* Lane by lane, waiting to be added up in 64 bits. */
struct patch_totals {
    mask first[TAPS];
    mask second[TAPS][TAPS];
    int sums;
};

static void flush(struct patch_totals *totals, int64_t *first, int64_t (*second)[TAPS]) {
    for (int i = 0; i < TAPS; i++) {
        for (int lane = 0; lane < LANES; lane++) first[i] += totals->first[i][lane];
        for (int j = 0; j < TAPS; j++)
            for (int lane = 0; lane < LANES; lane++) second[i][j] += totals->second[i][j][lane];
    }
    memset(totals, 0, sizeof *totals);
}

/* Products of the five pixels of row `y` of the filter with those of row `z`, over `count` vectors of positions of
 * which the last has `last` lanes. */
static void multiply_rows(const struct shape *shape, const float *planes, int y, int z, int count, int last,
                          struct patch_totals *totals) {
    vector product[KERNEL][KERNEL] = {0}, plain[KERNEL] = {0};
    mask lane;
    for (int i = 0; i < LANES; i++) lane[i] = i;
    for (int v = 0; v < count; v++) {
        const mask counted = lane < (v == count - 1 ? last : LANES);
        vector b[KERNEL];
#pragma GCC unroll 8
        for (int j = 0; j < KERNEL; j++) b[j] = load(planes + j * shape->plane + z * shape->columns + v * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < KERNEL; i++) {
            vector a = load(planes + i * shape->plane + y * shape->columns + v * LANES);
            a = (vector)((mask)a & counted);
            if (y == z) plain[i] += a;
#pragma GCC unroll 8
            for (int j = 0; j < KERNEL; j++) product[i][j] += a * b[j];
        }
    }
    for (int i = 0; i < KERNEL; i++) {
        totals->first[y * KERNEL + i] += __builtin_convertvector(plain[i], mask);
        for (int j = 0; j < KERNEL; j++)
            totals->second[y * KERNEL + i][z * KERNEL + j] += __builtin_convertvector(product[i][j], mask);
    }
}

static void add_image(const struct shape *shape, const float *planes, struct patch_totals *totals, int64_t *first,
                      int64_t (*second)[TAPS]) {
    for (int at = 0; at < shape->vectors; at += MOST_VECTORS) {
        int count = shape->vectors - at < MOST_VECTORS ? shape->vectors - at : MOST_VECTORS;
        int left = shape->positions - (at + count - 1) * LANES;
        if (totals->sums == MOST_SUMS) flush(totals, first, second);
        totals->sums++;
        for (int y = 0; y < KERNEL; y++)
            for (int z = y; z < KERNEL; z++)
                multiply_rows(shape, planes + at * LANES, y, z, count, left < LANES ? left : LANES, totals);
    }
}

/* Sums over `count` images [height][width]: first [TAPS], second [TAPS][TAPS]. Returns 0, or 1 without memory. */
static int sum_patches(const uint8_t *images, int32_t height, int32_t width, const int64_t *index, int64_t count,
                       int64_t *first, int64_t (*second)[TAPS]) {
    const struct shape shape = shape_of_images(height, width);
    struct patch_totals totals = {0};
    float *floats = calloc(pixel_floats(&shape) + (size_t)KERNEL * shape.plane, sizeof *floats);
    if (!floats) return 1;
    float *planes = floats + pixel_floats(&shape);
    memset(first, 0, TAPS * sizeof *first);
    memset(second, 0, TAPS * sizeof *second);
    for (int64_t n = 0; n < count; n++) {
        shift_pixels(images + index[n] * height * width, &shape, 1, 0, floats, planes);
        add_image(&shape, planes, &totals, first, second);
    }
    flush(&totals, first, second);
    for (int i = 0; i < TAPS; i++)
        for (int j = 0; j < i / KERNEL * KERNEL; j++) second[i][j] = second[j][i];
    free(floats);
    return 0;
}

#endif

/* Sums over patches of pixels and of their products: exact integers, so that any order gives the same. */
#ifndef GOLDENBENCH_MOMENTS_H
#define GOLDENBENCH_MOMENTS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

/* Positions whose products of two bytes fit 32 bits in sum. */
enum { MOST_POSITIONS = 32768 };

/* Adds the 25 pixels [positions] under each tap of an image to `first`, their products to the upper half of `second`. */
static void add_image(const uint8_t *pixels, int width, int rows, int columns, int16_t *taps, int64_t *first,
                      int64_t (*second)[TAPS]) {
    const int positions = rows * columns;
    for (int i = 0; i < TAPS; i++)
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                taps[i * positions + row * columns + column] =
                    pixels[(row + i / KERNEL) * width + column + i % KERNEL];
    for (int i = 0; i < TAPS; i++) {
        const int16_t *a = taps + i * positions;
        int32_t plain = 0;
        for (int p = 0; p < positions; p++) plain += a[p];
        first[i] += plain;
        for (int j = i; j < TAPS; j++) {
            const int16_t *b = taps + j * positions;
            int32_t total = 0;
            for (int p = 0; p < positions; p++) total += (int32_t)a[p] * b[p];
            second[i][j] += total;
        }
    }
}

/* Sums over `count` images [height][width]: first [TAPS], second [TAPS][TAPS]. Returns 0, or 1 without memory. */
static int sum_patches(const uint8_t *images, int32_t height, int32_t width, const int64_t *index, int64_t count,
                       int64_t *first, int64_t (*second)[TAPS]) {
    const int rows = height - KERNEL + 1, columns = width - KERNEL + 1;
    /* Bands of rows keep the 32-bit sums of one call from overflowing; an image of less than 181 x 181 is one band. */
    const int band = columns >= MOST_POSITIONS ? 1 : MOST_POSITIONS / columns < rows ? MOST_POSITIONS / columns : rows;
    int16_t *taps = malloc((size_t)TAPS * band * columns * sizeof *taps);
    if (!taps) return 1;
    memset(first, 0, TAPS * sizeof *first);
    memset(second, 0, TAPS * TAPS * sizeof **second);
    for (int64_t n = 0; n < count; n++)
        for (int row = 0; row < rows; row += band)
            add_image(images + (index[n] * height + row) * width, width, rows - row < band ? rows - row : band, columns,
                      taps, first, second);
    for (int i = 0; i < TAPS; i++)
        for (int j = 0; j < i; j++) second[i][j] = second[j][i];
    free(taps);
    return 0;
}

#endif

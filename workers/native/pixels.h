/* An image as five planes of floats, shifted by 0..4 columns and cut to the width of the output.
 *
 * The pixels under tap (y, x) of all output positions are then the contiguous run that starts at row y of plane x,
 * and the convolution is a matrix product over contiguous vectors. */
#ifndef GOLDENBENCH_PIXELS_H
#define GOLDENBENCH_PIXELS_H

#include "network.h"
#include "vector.h"

static struct shape shape_of_images(int height, int width) {
    struct shape shape = {.width = width, .rows = height - KERNEL + 1, .columns = width - KERNEL + 1};
    shape.positions = shape.rows * shape.columns;
    shape.vectors = (shape.positions + LANES - 1) / LANES;
    /* Reading the last vector at the last row of the filter overshoots by less than a vector. */
    shape.plane = (height * shape.columns + LANES + 15) / 16 * 16;
    return shape;
}

/* Scratch of `shift_pixels`, in floats. */
static size_t pixel_floats(const struct shape *shape) {
    return (size_t)(shape->rows + KERNEL - 1) * shape->width + KERNEL + LANES;
}

/* Writes [KERNEL][plane] of scale * pixel - mean, by way of the image in `floats` [pixel_floats].
 * What lies behind the last row is finite; whoever reads it multiplies it by zero. */
INLINE void shift_pixels(const uint8_t *pixels, const struct shape *shape, float scale, float mean, float *floats,
                         float *planes) {
    const int size = (shape->rows + KERNEL - 1) * shape->width;
    for (int i = 0; i < size; i++) floats[i] = pixels[i] * scale - mean;
    for (int x = 0; x < KERNEL; x++) {
        float *to = planes + x * shape->plane;
        const float *from = floats + x;
        /* A row's last vector runs into the next row, which then overwrites it. */
        for (int row = 0; row < shape->rows + KERNEL - 1; row++, to += shape->columns, from += shape->width)
            for (int column = 0; column < shape->columns; column += LANES) store(to + column, load(from + column));
    }
}

#endif

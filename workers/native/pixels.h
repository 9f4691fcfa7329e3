/* An image as five planes of floats, shifted by 0..4 columns and cut to the width of the output.
 *
 * The pixels under tap (y, x) of all output positions are then the contiguous run that starts at row y of plane x,
 * and the convolution is a matrix product over contiguous vectors. */
#ifndef GOLDENBENCH_PIXELS_H
#define GOLDENBENCH_PIXELS_H

#include "network.h"
#include "vector.h"

/* Writes [KERNEL][plane], by way of the image in floats, [height * width + LANES]. What lies behind the last row is
 * finite, and is multiplied by zero wherever it is used. */
static void shift_pixels(const struct network *net, const struct shape *shape, int64_t image, float *floats,
                         float *planes) {
    const int size = net->height * net->width;
    const uint8_t *pixels = net->images + image * size;
    const float mean = net->pixel_mean;
    for (int i = 0; i < size; i++) floats[i] = pixels[i] * (1 / 255.0f) - mean;
    for (int x = 0; x < KERNEL; x++) {
        float *to = planes + x * shape->plane;
        const float *from = floats + x;
        /* A row's last vector runs into the next row, which then overwrites it. */
        for (int row = 0; row < net->height; row++, to += shape->columns, from += net->width)
            for (int column = 0; column < shape->columns; column += LANES) store(to + column, load(from + column));
    }
}

#endif

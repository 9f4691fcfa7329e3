/* One network in training: its shape, its data and its state, as the Python side hands them over. */
#ifndef GOLDENBENCH_NETWORK_H
#define GOLDENBENCH_NETWORK_H

#include <stddef.h>
#include <stdint.h>

enum { FILTERS = 20, KERNEL = 5, TAPS = KERNEL * KERNEL };

/* Images at once: fewer reload the connected layer's weights and gradient more often (8 take 5 % longer), more gain
 * nothing. */
#ifndef BLOCK
#define BLOCK 16
#endif
/* Classes are computed in fives: ten, the usual number, divides. Those that do not exist keep zero weights. */
enum { TILE_CLASSES = 5 };

enum loss { DUAL_PROCESS, ENERGY, SQUARED_ERROR, CROSS_ENTROPY };

/* Keep in step with `workers.native.library.Network`. */
struct network {
    int32_t height, width; /* of an image, in pixels */
    int32_t classes;
    int32_t loss; /* enum loss */
    int32_t batch;
    float learning_rate, momentum, weight_decay;
    float pixel_mean;      /* of the training images, in 0..1 */
    const uint8_t *images; /* [N][height][width], the whole data set */
    const int64_t *labels; /* [N] */
    float *parameters;     /* laid out by `struct parameters` */
    float *velocity;       /* the same */
    void *workspace;       /* `workspace_bytes` of them, aligned to 64 */
};

/* First and second moments of the 25 pixels under the filter: mean [25], covariance [25][25], of centred pixels. */
struct moments {
    double mean[TAPS];
    double covariance[TAPS][TAPS];
};

/* Sizes that follow from the network's. */
struct shape {
    int width;         /* of an image */
    int rows, columns; /* of a filter's output */
    int positions;     /* rows * columns */
    int vectors;       /* that hold the positions of one filter */
    int classes;       /* rounded up to TILE_CLASSES */
    int plane;         /* floats in one plane of shifted pixels */
};

#endif

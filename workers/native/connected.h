/* The fully connected layer: forward, gradient of the features, gradient of the weights with their update.
 *
 * Weights lie as [vector of features][class][LANES]: one stream for the prefetcher, whatever the order of classes. */
#ifndef GOLDENBENCH_CONNECTED_H
#define GOLDENBENCH_CONNECTED_H

#include "network.h"
#include "vector.h"

/* Adds the products of `count` vectors of features of TILE_IMAGES images and TILE_CLASSES classes to
 * totals [image][class] of vectors; images are `stride` floats apart. */
static void connect_tile(const float *features, size_t stride, const float *weights, int classes, int count,
                         vector *totals) {
    vector total[TILE_IMAGES][TILE_CLASSES];
#pragma GCC unroll 8
    for (int b = 0; b < TILE_IMAGES; b++)
#pragma GCC unroll 8
        for (int c = 0; c < TILE_CLASSES; c++) total[b][c] = totals[b * classes + c];
    for (int v = 0; v < count; v++) {
        vector feature[TILE_IMAGES];
#pragma GCC unroll 8
        for (int b = 0; b < TILE_IMAGES; b++) feature[b] = load(features + b * stride + v * LANES);
#pragma GCC unroll 8
        for (int c = 0; c < TILE_CLASSES; c++) {
            vector weight = load(weights + ((size_t)v * classes + c) * LANES);
#pragma GCC unroll 8
            for (int b = 0; b < TILE_IMAGES; b++) total[b][c] += weight * feature[b];
        }
    }
#pragma GCC unroll 8
    for (int b = 0; b < TILE_IMAGES; b++)
#pragma GCC unroll 8
        for (int c = 0; c < TILE_CLASSES; c++) totals[b * classes + c] = total[b][c];
}

/* Gradient of `count` vectors of features of TILE_IMAGES images, zero where the ReLU was, from the images'
 * deltas [image][class]. */
INLINE void feature_gradient_tile(const float *features, size_t stride, const float *weights, int classes,
                                  const float *deltas, float *gradient, size_t gradient_stride, const int count) {
    vector total[TILE_IMAGES][TILE_VECTORS];
#pragma GCC unroll 8
    for (int b = 0; b < TILE_IMAGES; b++)
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) total[b][v] = (vector){0};
    for (int c = 0; c < classes; c++) {
        vector weight[TILE_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) weight[v] = load(weights + (v * classes + c) * LANES);
#pragma GCC unroll 8
        for (int b = 0; b < TILE_IMAGES; b++) {
            vector delta = all(deltas[b * classes + c]);
#pragma GCC unroll 8
            for (int v = 0; v < count; v++) total[b][v] += delta * weight[v];
        }
    }
#pragma GCC unroll 8
    for (int b = 0; b < TILE_IMAGES; b++)
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) {
            mask passed = load(features + b * stride + v * LANES) > 0;
            store(gradient + b * gradient_stride + v * LANES, (vector)(passed & (mask)total[b][v]));
        }
}

/* Gradient of `count` vectors of features of `images` images, a multiple of TILE_IMAGES. */
static void feature_gradient(const float *features, size_t stride, const float *weights, int classes, int images,
                             int count, const float *deltas, float *gradient, size_t gradient_stride) {
    for (int b = 0; b < images; b += TILE_IMAGES) {
        const float *from = features + b * stride, *slopes = deltas + b * classes;
        float *to = gradient + b * gradient_stride;
        int v = 0;
        for (; v + TILE_VECTORS <= count; v += TILE_VECTORS)
            feature_gradient_tile(from + v * LANES, stride, weights + (size_t)v * classes * LANES, classes, slopes,
                                  to + v * LANES, gradient_stride, TILE_VECTORS);
        for (; v < count; v++)
            feature_gradient_tile(from + v * LANES, stride, weights + (size_t)v * classes * LANES, classes, slopes,
                                  to + v * LANES, gradient_stride, 1);
    }
}

/* Where the gradient of the weights goes: it grows over the blocks of a batch, and the last block applies it. */
struct update {
    int is_first, is_last;
    float learning_rate, momentum, weight_decay;
};

enum { WEIGHT_VECTORS = TILE_IMAGES < 4 ? 2 : 4 }; /* vectors of features in a tile of the weights' gradient */

INLINE void weight_gradient_tile(const float *features, size_t stride, int images, const float *deltas, int classes,
                                 float *gradient, float *weights, float *velocity, struct update update,
                                 const int count) {
    vector total[WEIGHT_VECTORS][TILE_CLASSES];
#pragma GCC unroll 8
    for (int v = 0; v < count; v++)
#pragma GCC unroll 8
        for (int c = 0; c < TILE_CLASSES; c++)
            total[v][c] = update.is_first ? (vector){0} : load(gradient + (v * classes + c) * LANES);
    for (int b = 0; b < images; b++) {
        vector feature[WEIGHT_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < count; v++) feature[v] = load(features + b * stride + v * LANES);
#pragma GCC unroll 8
        for (int c = 0; c < TILE_CLASSES; c++) {
            vector delta = all(deltas[b * classes + c]);
#pragma GCC unroll 8
            for (int v = 0; v < count; v++) total[v][c] += delta * feature[v];
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < count; v++)
#pragma GCC unroll 8
        for (int c = 0; c < TILE_CLASSES; c++) {
            size_t at = (size_t)(v * classes + c) * LANES;
            if (!update.is_last) {
                store(gradient + at, total[v][c]);
                continue;
            }
            vector weight = load(weights + at);
            vector speed = update.momentum * load(velocity + at) + (total[v][c] + update.weight_decay * weight);
            store(velocity + at, speed);
            store(weights + at, weight - update.learning_rate * speed);
        }
}

/* Gradient of the weights of `count` vectors of features over `images` images; the last block's also moves them. */
static void weight_gradient(const float *features, size_t stride, int images, int count, const float *deltas,
                            int classes, float *gradient, float *weights, float *velocity, struct update update) {
    for (int first = 0; first < classes; first += TILE_CLASSES) {
        int v = 0;
        for (; v + WEIGHT_VECTORS <= count; v += WEIGHT_VECTORS) {
            size_t at = ((size_t)v * classes + first) * LANES;
            weight_gradient_tile(features + v * LANES, stride, images, deltas + first, classes, gradient + at,
                                 weights + at, velocity + at, update, WEIGHT_VECTORS);
        }
        for (; v < count; v++) {
            size_t at = ((size_t)v * classes + first) * LANES;
            weight_gradient_tile(features + v * LANES, stride, images, deltas + first, classes, gradient + at,
                                 weights + at, velocity + at, update, 1);
        }
    }
}

#endif

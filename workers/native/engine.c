/* One epoch of one network, and its inference: compiled once per instruction set, named by SUFFIX. */
#include <stdlib.h>

#include "connected.h"
#include "convolution.h"
#include "loss.h"
#include "moments.h"
#include "network.h"
#include "normalisation.h"
#include "pixels.h"
#include "vector.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define JOIN(name, suffix) name##_##suffix
#define NAMED(name, suffix) JOIN(name, suffix)
#define EXPORT(name) __attribute__((visibility("default"))) NAMED(name, SUFFIX)

static struct shape shape_of(const struct network *net) {
    struct shape shape = shape_of_images(net->height, net->width);
    shape.classes = (net->classes + TILE_CLASSES - 1) / TILE_CLASSES * TILE_CLASSES;
    return shape;
}

/* Where each kind of parameter starts, in floats; the convolution's bias has no effect and no entry. */
struct parameters {
    float *filters, *scale, *offset, *bias, *weights;
};

enum { SMALL = FILTERS * TAPS + 2 * FILTERS + MOST_CLASSES + TILE_CLASSES, WEIGHTS_AT = (SMALL + 15) / 16 * 16 };

static struct parameters parameters_of(float *base) {
    struct parameters at = {.filters = base};
    at.scale = at.filters + FILTERS * TAPS;
    at.offset = at.scale + FILTERS;
    at.bias = at.offset + FILTERS;
    at.weights = base + WEIGHTS_AT;
    return at;
}

static size_t weight_floats(const struct shape *shape) {
    return (size_t)FILTERS * shape->vectors * shape->classes * LANES;
}

/* Scratch of one thread. */
struct workspace {
    float *pixels;   /* of one image */
    float *planes;   /* [BLOCK][KERNEL][plane] */
    float *features; /* [BLOCK][FILTERS][vectors][LANES] */
    float *slopes;   /* [BLOCK][TILE_TAPS][vectors][LANES], gradient of a few filters' features */
    float *gradient; /* of the connected weights, as they lie */
    float *logits, *deltas; /* [BLOCK][classes] */
    vector *totals;  /* [BLOCK][classes] */
    vector *filter_totals; /* [FILTERS][TAPS] */
    vector *offset_totals; /* [FILTERS] */
    size_t bytes;
};

static struct workspace workspace_of(const struct network *net, const struct shape *shape) {
    const uintptr_t base = (uintptr_t)net->workspace;
    struct workspace at;
    size_t used = 0;
    const size_t maps = (size_t)shape->vectors * LANES * sizeof(float);
#define TAKE(field, size) (at.field = (void *)(base + used), used += ((size) + 63) / 64 * 64)
    TAKE(pixels, pixel_floats(shape) * sizeof(float));
    TAKE(planes, (size_t)BLOCK * KERNEL * shape->plane * sizeof(float));
    TAKE(features, BLOCK * FILTERS * maps);
    TAKE(slopes, BLOCK * TILE_TAPS * maps);
    TAKE(gradient, weight_floats(shape) * sizeof(float));
    TAKE(logits, BLOCK * shape->classes * sizeof(float));
    TAKE(deltas, BLOCK * shape->classes * sizeof(float));
    TAKE(totals, BLOCK * shape->classes * sizeof(vector));
    TAKE(filter_totals, FILTERS * TAPS * sizeof(vector));
    TAKE(offset_totals, FILTERS * sizeof(vector));
#undef TAKE
    at.bytes = used;
    return at;
}

/* Sums over a batch, in double: they lose digits to cancellation when batch norm is unfolded. */
struct sums {
    double weights[FILTERS * TAPS], offsets[FILTERS], bias[MOST_CLASSES + TILE_CLASSES];
    double loss;
};

/* Features and logits of the block's first `images` images; the rest of the last tile is computed and ignored. */
static void forward(const struct network *net, const struct shape *shape, const struct workspace *at,
                    const struct folded *folded, const int64_t *index, int images) {
    const struct parameters parameter = parameters_of(net->parameters);
    const size_t map = (size_t)shape->vectors * LANES, stride = FILTERS * map;
    for (int b = 0; b < images; b++)
        shift_pixels(net->images + index[b] * net->height * net->width, shape, 1 / 255.0f, net->pixel_mean, at->pixels,
                     at->planes + (size_t)b * KERNEL * shape->plane);
    memset(at->totals, 0, BLOCK * shape->classes * sizeof(vector));
    for (int f = 0; f < FILTERS; f += TILE_FILTERS) {
        for (int b = 0; b < images; b++)
            convolve(shape, at->planes + (size_t)b * KERNEL * shape->plane, folded->weights[f], folded->offsets + f,
                     at->features + b * stride + f * map);
        for (int g = f; g < f + TILE_FILTERS; g++)
            for (int b = 0; b < images; b += TILE_IMAGES)
                for (int c = 0; c < shape->classes; c += TILE_CLASSES)
                    connect_tile(at->features + b * stride + g * map, stride,
                                 parameter.weights + (g * map * shape->classes + c * LANES), shape->classes,
                                 shape->vectors, at->totals + b * shape->classes + c);
    }
    for (int b = 0; b < images; b++)
        for (int c = 0; c < shape->classes; c++)
            at->logits[b * shape->classes + c] = sum(at->totals[b * shape->classes + c]) + parameter.bias[c];
}

/* Losses of a block and its deltas, the gradient of the batch's mean loss by the logits. */
static void score(const struct network *net, const struct shape *shape, const struct workspace *at,
                  const int64_t *index, int images, struct sums *sums) {
    doubles logits[MOST_CLASSES], gradient[MOST_CLASSES];
    memset(at->deltas, 0, BLOCK * shape->classes * sizeof(float));
    for (int b = 0; b < images; b += DOUBLES) {
        longs target = {0};
        for (int i = 0; i < DOUBLES; i++) {
            /* A lane without an image repeats the last one, and is ignored. */
            int image = b + i < images ? b + i : images - 1;
            target[i] = net->labels[index[image]];
            for (int c = 0; c < net->classes; c++) logits[c][i] = at->logits[image * shape->classes + c];
        }
        doubles value = loss_and_gradient((enum loss)net->loss, logits, target, net->classes, gradient);
        for (int i = 0; i < DOUBLES && b + i < images; i++) {
            sums->loss += value[i];
            for (int c = 0; c < net->classes; c++) {
                at->deltas[(b + i) * shape->classes + c] = (float)(gradient[c][i] / net->batch);
                sums->bias[c] += gradient[c][i] / net->batch;
            }
        }
    }
}

/* Gradients of a block into `sums` and the workspace; the last block's moves the connected weights. */
static void backward(const struct network *net, const struct shape *shape, const struct workspace *at, int images,
                     struct update update, struct sums *sums) {
    const struct parameters parameter = parameters_of(net->parameters), speed = parameters_of(net->velocity);
    const size_t map = (size_t)shape->vectors * LANES, stride = FILTERS * map, slopes = TILE_TAPS * map;
    memset(at->filter_totals, 0, FILTERS * TAPS * sizeof(vector));
    memset(at->offset_totals, 0, FILTERS * sizeof(vector));
    const int whole = (images + TILE_IMAGES - 1) / TILE_IMAGES * TILE_IMAGES;
    /* Against the order of `forward`, so that what it touched last is still in the cache. */
    for (int f = FILTERS - TILE_TAPS; f >= 0; f -= TILE_TAPS) {
        for (int g = f; g < f + TILE_TAPS; g++) {
            const float *features = at->features + g * map;
            size_t weights = g * map * shape->classes;
            feature_gradient(features, stride, parameter.weights + weights, shape->classes, whole, shape->vectors,
                             at->deltas, at->slopes + (g - f) * map, slopes);
            /* After the features' gradient, which takes the weights from before their update. */
            weight_gradient(features, stride, whole, shape->vectors, at->deltas, shape->classes,
                            at->gradient + weights, parameter.weights + weights, speed.weights + weights, update);
        }
        for (int b = 0; b < images; b++) {
            const float *slope = at->slopes + b * slopes;
            correlate(shape, at->planes + (size_t)b * KERNEL * shape->plane, slope, at->filter_totals + f * TAPS);
            add_up(shape, slope, at->offset_totals + f);
        }
    }
    for (int i = 0; i < FILTERS * TAPS; i++) sums->weights[i] += sum(at->filter_totals[i]);
    for (int f = 0; f < FILTERS; f++) sums->offsets[f] += sum(at->offset_totals[f]);
}

static void move(float *parameter, float *velocity, double gradient, const struct network *net, float decay) {
    *velocity = net->momentum * *velocity + ((float)gradient + decay * *parameter);
    *parameter -= net->learning_rate * *velocity;
}

/* The update of everything but the connected weights. */
static void move_small(const struct network *net, const struct moments *moments, const struct folded *folded,
                       const struct sums *sums) {
    const struct parameters parameter = parameters_of(net->parameters), speed = parameters_of(net->velocity);
    for (int f = 0; f < FILTERS; f++) {
        double of_filter[TAPS], of_scale;
        float *w = parameter.filters + f * TAPS;
        unfold(w, parameter.scale[f], moments, folded, f, sums->weights + f * TAPS, sums->offsets[f], of_filter,
               &of_scale);
        for (int i = 0; i < TAPS; i++) move(w + i, speed.filters + f * TAPS + i, of_filter[i], net, net->weight_decay);
        move(parameter.scale + f, speed.scale + f, of_scale, net, net->weight_decay);
        move(parameter.offset + f, speed.offset + f, sums->offsets[f], net, net->weight_decay);
    }
    for (int c = 0; c < net->classes; c++) move(parameter.bias + c, speed.bias + c, sums->bias[c], net, 0);
}

/* One step on one batch; returns the mean loss before it. */
static double step(const struct network *net, const struct shape *shape, const struct workspace *at,
                   const int64_t *index, const struct moments *moments) {
    const struct parameters parameter = parameters_of(net->parameters);
    struct sums sums = {0};
    struct folded folded;
    fold(parameter.filters, parameter.scale, parameter.offset, moments, (double)net->batch * shape->positions, &folded);
    if (!folded.is_finite) return NAN;
    for (int b = 0; b < net->batch; b += BLOCK) {
        int images = net->batch - b < BLOCK ? net->batch - b : BLOCK;
        struct update update = {b == 0, b + images == net->batch, net->learning_rate, net->momentum, net->weight_decay};
        forward(net, shape, at, &folded, index + b, images);
        score(net, shape, at, index + b, images, &sums);
        backward(net, shape, at, images, update, &sums);
    }
    move_small(net, moments, &folded, &sums);
    return sums.loss / net->batch;
}

static int all_finite(const float *values, size_t count) {
    float check = 0;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) check = 1;
    return check == 0;
}

/* Numbers below the smallest normal one count as zero while this runs: momentum that fades away would otherwise pass
 * through them, and they are slow. */
static unsigned int flush_subnormals(void) {
#if defined(__x86_64__)
    unsigned int before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
#else
    return 0;
#endif
}

static void restore(unsigned int before) {
#if defined(__x86_64__)
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

size_t EXPORT(parameter_floats)(const struct network *net) {
    struct shape shape = shape_of(net);
    return WEIGHTS_AT + weight_floats(&shape);
}

size_t EXPORT(workspace_bytes)(const struct network *net) {
    struct shape shape = shape_of(net);
    return workspace_of(net, &shape).bytes;
}

/* Copies the connected weights between rows [classes][FILTERS][positions] and the order they train in, among
 * parameters or velocities. */
void EXPORT(exchange_weights)(const struct network *net, float *laid_out, float *rows, int into_network) {
    const struct shape shape = shape_of(net);
    float *weights = parameters_of(laid_out).weights;
    for (int c = 0; c < net->classes; c++)
        for (int f = 0; f < FILTERS; f++)
            for (int p = 0; p < shape.positions; p++) {
                size_t at = ((size_t)(f * shape.vectors + p / LANES) * shape.classes + c) * LANES + p % LANES;
                float *row = rows + ((size_t)c * FILTERS + f) * shape.positions + p;
                if (into_network)
                    weights[at] = *row;
                else
                    *row = weights[at];
            }
}

/* Trains one epoch.
 *
 * index [batches][batch] and moments [batches] belong together. Returns the mean of the batches' losses before their
 * updates, or NaN if a loss or, at the end, a weight is not finite: one that ever was not never recovers. */
double EXPORT(train_epoch)(const struct network *net, const int64_t *index, const struct moments *moments,
                           int64_t batches) {
    const struct shape shape = shape_of(net);
    const struct workspace at = workspace_of(net, &shape);
    unsigned int before = flush_subnormals();
    double total = 0;
    for (int64_t i = 0; i < batches && isfinite(total); i++)
        total += step(net, &shape, &at, index + i * net->batch, moments + i);
    restore(before);
    int finite = isfinite(total) && all_finite(net->parameters, WEIGHTS_AT + weight_floats(&shape));
    return finite ? total / batches : NAN;
}

/* Logits [count][classes] of the images in `index`, with batch statistics replaced by `moments`; NaN if folded filters
 * are not finite. */
void EXPORT(infer)(const struct network *net, const int64_t *index, int64_t count, const struct moments *moments,
                   float *logits) {
    const struct parameters parameter = parameters_of(net->parameters);
    const struct shape shape = shape_of(net);
    const struct workspace at = workspace_of(net, &shape);
    struct folded folded;
    unsigned int before = flush_subnormals();
    fold(parameter.filters, parameter.scale, parameter.offset, moments, 1, &folded);
    /* The ReLU would turn what is not a number into zeros. */
    if (!folded.is_finite)
        for (int64_t i = 0; i < count * net->classes; i++) logits[i] = NAN;
    for (int64_t i = 0; folded.is_finite && i < count; i += BLOCK) {
        int images = count - i < BLOCK ? (int)(count - i) : BLOCK;
        forward(net, &shape, &at, &folded, index + i, images);
        for (int b = 0; b < images; b++)
            memcpy(logits + (i + b) * net->classes, at.logits + b * shape.classes, net->classes * sizeof(float));
    }
    restore(before);
}

/* Losses [count] and gradients [count][classes] of logits [count][classes], for the tests of `loss.h`. */
void EXPORT(losses)(int32_t loss, int32_t classes, int64_t count, const float *logits, const int64_t *targets,
                    double *values, double *gradients) {
    doubles lanes[MOST_CLASSES], gradient[MOST_CLASSES];
    unsigned int before = flush_subnormals();
    for (int64_t i = 0; i < count; i += DOUBLES) {
        longs target = {0};
        for (int j = 0; j < DOUBLES; j++) {
            int64_t image = i + j < count ? i + j : count - 1;
            target[j] = targets[image];
            for (int c = 0; c < classes; c++) lanes[c][j] = logits[image * classes + c];
        }
        doubles value = loss_and_gradient((enum loss)loss, lanes, target, classes, gradient);
        for (int j = 0; j < DOUBLES && i + j < count; j++) {
            values[i + j] = value[j];
            for (int c = 0; c < classes; c++) gradients[(i + j) * classes + c] = gradient[c][j];
        }
    }
    restore(before);
}

/* Sums over `count` images: first [TAPS], second [TAPS][TAPS]. Returns 0, or 1 without memory. */
int EXPORT(patch_sums)(const uint8_t *images, int32_t height, int32_t width, const int64_t *index, int64_t count,
                       int64_t *first, int64_t (*second)[TAPS]) {
    return sum_patches(images, height, width, index, count, first, second);
}

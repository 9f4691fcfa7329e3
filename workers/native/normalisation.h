/* Batch norm without a second pass: its statistics follow from the moments of the pixels under the filter.
 *
 * With mean m and covariance C of the patches and s = sqrt(w'Cw + eps),
 * convolution and batch norm are one convolution by (gamma/s) w with offset beta - (gamma/s) w'm. */
#ifndef GOLDENBENCH_NORMALISATION_H
#define GOLDENBENCH_NORMALISATION_H

#include <math.h>

#include "network.h"
#include "vector.h"

#define BN_EPSILON 1e-5

/* What a batch's statistics make of the filters, and what their gradient needs later. */
struct folded {
    float weights[FILTERS][TAPS];
    float offsets[FILTERS];
    double deviation[FILTERS];            /* s */
    double covariance_w[FILTERS][TAPS];   /* C w */
    int is_finite;
};

/* `terms`: outputs of a filter that one float32 sum of squares is over. */
static void fold(const float *filters, const float *scale, const float *offset, const struct moments *moments,
                 double terms, struct folded *out) {
    double check = 0;
    for (int f = 0; f < FILTERS; f++) {
        const float *w = filters + f * TAPS;
        double mean = 0, variance = 0;
        for (int i = 0; i < TAPS; i++) {
            double along = 0;
            for (int j = 0; j < TAPS; j++) along += moments->covariance[i][j] * w[j];
            out->covariance_w[f][i] = along;
            variance += w[i] * along;
            mean += w[i] * moments->mean[i];
        }
        /* As the reference has it, which adds up squares in float32: beyond it nothing is normalised any more. */
        check += (float)(terms * variance) * 0.0f;
        /* Rounding may leave a variance of zero a little negative. */
        out->deviation[f] = sqrt((variance < 0 ? 0 : variance) + BN_EPSILON);
        double factor = scale[f] / out->deviation[f];
        out->offsets[f] = (float)(offset[f] - factor * mean);
        check += out->offsets[f] * 0.0f;
        for (int i = 0; i < TAPS; i++) {
            out->weights[f][i] = (float)(factor * w[i]);
            check += out->weights[f][i] * 0.0f;
        }
    }
    out->is_finite = check == 0;
}

/* Gradients of filters, scale and offset of one filter, from those of its folded weights and offset. */
static void unfold(const float *w, float scale, const struct moments *moments, const struct folded *folded, int f,
                   const double *of_weights, double of_offset, double *of_filter, double *of_scale) {
    double centred[TAPS], along = 0;
    for (int i = 0; i < TAPS; i++) {
        centred[i] = of_weights[i] - moments->mean[i] * of_offset;
        along += w[i] * centred[i];
    }
    *of_scale = along / folded->deviation[f];
    for (int i = 0; i < TAPS; i++)
        of_filter[i] = (scale / folded->deviation[f]) *
                       (centred[i] - (*of_scale / folded->deviation[f]) * folded->covariance_w[f][i]);
}

#endif

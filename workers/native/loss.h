/* The four losses and their gradients from logits, in closed form and without cancellation.
 *
 * A translation of `studies/losses.py`, which derives every line; the lanes of a vector are images. */
#ifndef GOLDENBENCH_LOSS_H
#define GOLDENBENCH_LOSS_H

#include "elementary.h"
#include "network.h"

enum { MOST_CLASSES = 64 };

#define PI_4 0x1.921fb54442d18p-1
#define ROOT_2 0x1.6a09e667f3bcdp0
#define EQUILIBRIUM_ENERGY (0x1.62e42fefa39efp-1 / ROOT_2) /* ln 2 / sqrt 2 */
#define SMALLEST_AGREEMENT 0x1p-511 /* its square is still a normal number */

/* Softmax of DOUBLES images, per class. */
struct softmax {
    doubles probability[MOST_CLASSES], complement[MOST_CLASSES], log_probability[MOST_CLASSES];
    doubles among_others[MOST_CLASSES]; /* y / (1 - y_top), 0 at the top */
    longs is_top[MOST_CLASSES], is_greatest[MOST_CLASSES], is_target[MOST_CLASSES];
    doubles top_complement, log_top_complement;
};

static void softmax(const doubles *logits, longs target, int classes, struct softmax *out) {
    doubles greatest = logits[0];
    for (int c = 1; c < classes; c++) greatest = choose_double(logits[c] > greatest, logits[c], greatest);
    doubles second = all_double(-1e300);
    longs seen = {0};
    for (int c = 0; c < classes; c++) {
        out->is_greatest[c] = logits[c] == greatest;
        out->is_top[c] = out->is_greatest[c] & ~seen;
        out->is_target[c] = target == c;
        seen |= out->is_top[c];
        second = choose_double(~out->is_top[c] & (logits[c] > second), logits[c], second);
    }
    doubles others = {0};
    for (int c = 0; c < classes; c++) {
        out->among_others[c] = choose_double(out->is_top[c], (doubles){0}, exponential(logits[c] - second));
        others += out->among_others[c];
    }
    doubles log_odds = (second - greatest) + logarithm(others), odds = exponential(log_odds);
    doubles log_total = logarithm_1p(odds);
    out->top_complement = odds / (1.0 + odds);
    out->log_top_complement = log_odds - log_total;
    for (int c = 0; c < classes; c++) {
        out->among_others[c] /= others;
        out->log_probability[c] = (logits[c] - greatest) - log_total;
        out->probability[c] =
            choose_double(out->is_top[c], 1.0 / (1.0 + odds), out->among_others[c] * out->top_complement);
        out->complement[c] = choose_double(out->is_greatest[c], out->top_complement, 1.0 - out->probability[c]);
    }
}

/* Value and pull, u dL/da, of one class of a loss that is a sum over the classes. */
struct term {
    doubles value, pull;
};

INLINE struct term energy_term(const struct softmax *at, int c) {
    doubles distance = choose_double(at->is_target[c], at->complement[c], at->probability[c]);
    doubles agreement = choose_double(at->is_target[c], at->probability[c], at->complement[c]);
    doubles safe = choose_double(agreement > SMALLEST_AGREEMENT, agreement, all_double(SMALLEST_AGREEMENT));
    doubles x = distance * PI_4, v = safe * PI_4;
    doubles sine_v_ratio = sine_ratio(v), cosine_v = cosine(v), sine_v = v * sine_v_ratio;
    doubles sine_x = x * sine_ratio(x), cosine_x = cosine(x);

    /* ln(1 - y) need not be accurate relative to itself here, only to 1; off the top, y <= 1/2. */
    longs near_top = at->is_greatest[c] & ~at->is_target[c];
    doubles plain = logarithm(choose_double(near_top | at->is_target[c], all_double(1.0), agreement));
    doubles log_agreement =
        choose_double(at->is_target[c], at->log_probability[c], choose_double(near_top, at->log_top_complement, plain));
    doubles log_sine = log_agreement + logarithm(sine_v_ratio * PI_4);

    doubles double_sine = 2.0 * sine_v * cosine_v;
    doubles ratio = sine_x / square_root(double_sine);
    doubles half_log_ratio = logarithm_1p(ratio + ratio * ratio / (1.0 + square_root(1.0 + ratio * ratio)));
    doubles half_log_product = logarithm(sine_v * cosine_v) * 0.5;
    doubles along = sine_x * (v * (half_log_product + 1.0) + 2.0 * v / double_sine);
    return (struct term){
        .value = -cosine_v * log_sine - sine_v * logarithm(cosine_v),
        .pull = ROOT_2 * (along + cosine_x * v * half_log_ratio),
    };
}

INLINE struct term dual_process_term(const struct softmax *at, int c) {
    struct term energy = energy_term(at, c);
    doubles shrinkage = exponential((EQUILIBRIUM_ENERGY - energy.value) * 0.5);
    doubles whole = 1.0 + shrinkage;
    return (struct term){.value = ROOT_2 / whole, .pull = shrinkage / (whole * whole) * energy.pull / ROOT_2};
}

INLINE struct term squared_error_term(const struct softmax *at, int c) {
    doubles distance = choose_double(at->is_target[c], at->complement[c], at->probability[c]);
    doubles agreement = choose_double(at->is_target[c], at->probability[c], at->complement[c]);
    return (struct term){.value = distance * distance, .pull = 2.0 * distance * agreement};
}

/* Gradient of the logits from the pulls; see `_through_softmax` of studies/losses.py. */
static void through_softmax(const struct softmax *at, const doubles *pull, int classes, doubles *gradient) {
    doubles of_top = {0}, total = {0};
    for (int c = 0; c < classes; c++) {
        doubles here = choose_double(at->is_target[c], -at->complement[c] * pull[c] / at->probability[c], pull[c]);
        of_top = choose_double(at->is_top[c], here, of_top);
    }
    for (int c = 0; c < classes; c++) {
        doubles off_target = at->among_others[c] * (pull[c] * (at->top_complement / at->complement[c]));
        doubles own = choose_double(at->is_target[c], -pull[c], off_target);
        own = choose_double(at->is_top[c], (doubles){0}, own);
        gradient[c] = own - at->among_others[c] * of_top;
        total += gradient[c];
    }
    for (int c = 0; c < classes; c++) gradient[c] -= at->probability[c] * total;
}

/* Loss of DOUBLES images and its gradient [class]. A logit that is not finite makes the loss NaN. */
static doubles loss_and_gradient(enum loss loss, const doubles *logits, longs target, int classes, doubles *gradient) {
    struct softmax at;
    doubles value = {0}, pull[MOST_CLASSES];
    softmax(logits, target, classes, &at);
    for (int c = 0; c < classes; c++) value += logits[c] * 0.0;
    if (loss == CROSS_ENTROPY) {
        for (int c = 0; c < classes; c++) {
            value -= choose_double(at.is_target[c], at.log_probability[c], (doubles){0});
            gradient[c] = choose_double(at.is_target[c], -at.complement[c], at.probability[c]);
        }
        return value;
    }
    for (int c = 0; c < classes; c++) {
        struct term term = loss == DUAL_PROCESS ? dual_process_term(&at, c)
                           : loss == ENERGY     ? energy_term(&at, c)
                                                : squared_error_term(&at, c);
        value += term.value;
        pull[c] = term.pull;
    }
    through_softmax(&at, pull, classes, gradient);
    return value;
}

#endif

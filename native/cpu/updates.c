// SPDX-License-Identifier: Apache-2.0
//
// Steps of optimizers and moving averages, element by element and usually in place.
#include "vector.h"

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2) on elements from `first` to `end`.
 *
 * control: learning rate, 1 - beta1^t, 1 - beta2^t, factor for the gradient
 */
EXPORT void reverie_adamw(const float *p, const float *g, const float *m, const float *v,
                          const float *control, float *p_out, float *m_out, float *v_out,
                          long first, long end, float beta1, float beta2, float one_minus_beta1,
                          float one_minus_beta2, float epsilon, float weight_decay) {
  const float rate = control[0], factor = control[3];
  const float correction1 = control[1], correction2 = control[2];
  for (long i = first; i < end; i += WIDTH) {
    long n = end - i;
    vec p0 = load_lanes(p + i, n);
    vec g0 = load_lanes(g + i, n) * factor;
    vec m1 = load_lanes(m + i, n) * beta1 + g0 * one_minus_beta1;
    vec v1 = load_lanes(v + i, n) * beta2 + g0 * g0 * one_minus_beta2;
    vec denominator = square_root(v1 / correction2) + epsilon;
    vec step = m1 / correction1 / denominator + p0 * weight_decay;
    store_lanes(p_out + i, p0 - step * rate, n);
    store_lanes(m_out + i, m1, n);
    store_lanes(v_out + i, v1, n);
  }
}

/** out = a + (b - a) * weight[0] on elements from `first` to `end`: a moving average. */
EXPORT void reverie_lerp(const float *a, const float *b, const float *weight, float *out,
                         long first, long end) {
  const float w = weight[0];
  for (long i = first; i < end; i += WIDTH) {
    long n = end - i;
    vec from = load_lanes(a + i, n);
    store_lanes(out + i, (load_lanes(b + i, n) - from) * w + from, n);
  }
}

// SPDX-License-Identifier: Apache-2.0
#include "check.h"

void reverie_attention(const float *, const float *, const float *, float *, float *, long, long,
                       long, long, long, float, long, float *);
void reverie_attention_backward(const float *, const float *, const float *, const float *,
                                const float *, const float *, float *, float *, float *, long,
                                long, long, long, long, float, long, float *);

static double *doubles(long count) { return calloc((size_t)count + 1, sizeof(double)); }

static void attention(long b, long tq, long tk, long heads, long d, long dv, float scale) {
  long rq = heads * d, rv = heads * dv;
  float *q = numbers(b * tq * rq, 1), *k = numbers(b * tk * rq, 2), *v = numbers(b * tk * rv, 3);
  float *dy = numbers(b * tq * rv, 4);
  float *y = floats(b * tq * rv), *logs = floats(b * heads * tq);
  float *dq = floats(b * tq * rq), *dk = floats(b * tk * rq), *dv_ = floats(b * tk * rv);
  double *y1 = doubles(b * tq * rv), *logs1 = doubles(b * heads * tq);
  double *dq1 = doubles(b * tq * rq), *dk1 = doubles(b * tk * rq), *dv1 = doubles(b * tk * rv);
  double *p = doubles(tk), *dp = doubles(tk);
  for (long n = 0; n < b; n++) {
    for (long h = 0; h < heads; h++) {
      const float *kh = k + n * tk * rq + h * d, *vh = v + n * tk * rv + h * dv;
      for (long i = 0; i < tq; i++) {
        long at_q = (n * tq + i) * rq + h * d, at_v = (n * tq + i) * rv + h * dv;
        double total = 0, dot = 0;
        for (long t = 0; t < tk; t++) {
          double s = 0;
          for (long j = 0; j < d; j++) {
            s += (double)q[at_q + j] * kh[t * rq + j];
          }
          total += p[t] = exp(scale * s);
        }
        logs1[(n * heads + h) * tq + i] = log(total);
        for (long t = 0; t < tk; t++) {
          p[t] /= total;
          dp[t] = 0;
          for (long j = 0; j < dv; j++) {
            y1[at_v + j] += p[t] * vh[t * rv + j];
            dp[t] += (double)dy[at_v + j] * vh[t * rv + j];
            dv1[(n * tk + t) * rv + h * dv + j] += p[t] * dy[at_v + j];
          }
          dot += p[t] * dp[t];
        }
        for (long t = 0; t < tk; t++) {
          double ds = scale * p[t] * (dp[t] - dot);
          for (long j = 0; j < d; j++) {
            dq1[at_q + j] += ds * kh[t * rq + j];
            dk1[(n * tk + t) * rq + h * d + j] += ds * q[at_q + j];
          }
        }
      }
    }
  }
  float *scratch = floats(321 * d + 320 * dv + 2560);
  for (long block = b * heads * ((tq + 255) / 256) - 1; block >= 0; block--) {
    reverie_attention(q, k, v, y, logs, tq, tk, heads, d, dv, scale, block, scratch);
  }
  const double size = scale > 1 ? scale : 1; // of scores: their rounding is seen in their powers
  expect_close("y", y, y1, b * tq * rv, 1e-6 * size);
  expect_close("log_sum_exp", logs, logs1, b * heads * tq, 1e-6 * size);
  float *more = floats(128 * (4 * d + 3 * dv + 90));
  for (long block = b * heads - 1; block >= 0; block--) {
    reverie_attention_backward(q, k, v, y, logs, dy, dq, dk, dv_, tq, tk, heads, d, dv, scale,
                               block, more);
  }
  expect_close("dq", dq, dq1, b * tq * rq, 2e-6 * size);
  expect_close("dk", dk, dk1, b * tk * rq, 1e-5 * size);
  expect_close("dv", dv_, dv1, b * tk * rv, 1e-5 * size);
  free(q), free(k), free(v), free(dy), free(y), free(logs), free(dq), free(dk), free(dv_);
  free(y1), free(logs1), free(dq1), free(dk1), free(dv1), free(p), free(dp);
  free(scratch), free(more);
}

int main(void) {
  static const long sizes[][6] = {
      {1, 1, 1, 1, 1, 1},      {2, 3, 5, 2, 4, 3},      {1, 0, 3, 2, 4, 4},
      {2, 64, 64, 4, 16, 16},  {1, 256, 10, 4, 8, 8},   {1, 33, 65, 3, 8, 8},
      {1, 300, 77, 1, 32, 32}, {1, 17, 130, 1, 40, 40}, {1, 40, 31, 2, 64, 64},
      {1, 31, 66, 2, 33, 5},   {1, 513, 19, 1, 7, 9},   {1, 45, 10, 2, 16, 8},
      {1, 64, 77, 1, 24, 4},   {1, 150, 200, 1, 40, 40}, {1, 140, 70, 2, 80, 80}};
  for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    const long *s = sizes[i];
    attention(s[0], s[1], s[2], s[3], s[4], s[5], 0.5f);
  }
  attention(1, 70, 67, 2, 8, 8, 12); // some scores are too large to be exponents as they are
}

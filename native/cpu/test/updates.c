// SPDX-License-Identifier: Apache-2.0
#include "check.h"

void reverie_adamw(const float *, const float *, const float *, const float *, const float *,
                   float *, float *, float *, long, long, float, float, float, float, float,
                   float);
void reverie_lerp(const float *, const float *, const float *, float *, long, long);

static void adamw(long n, long cut) {
  float *p = numbers(n, 1), *g = numbers(n, 2), *m = numbers(n, 3), *v = numbers(n, 4);
  float control[4] = {0.1f, 0.19f, 0.0199f, 0.5f};
  float *out[3] = {floats(n), floats(n), floats(n)};
  double *want[3] = {malloc(8 * n + 8), malloc(8 * n + 8), malloc(8 * n + 8)};
  for (long i = 0; i < n; i++) {
    v[i] = fabsf(v[i]);
    double g0 = g[i] * 0.5, m1 = 0.9 * m[i] + 0.1 * g0, v1 = 0.99 * v[i] + 0.01 * g0 * g0;
    want[0][i] = p[i] - 0.1 * (m1 / 0.19 / (sqrt(v1 / 0.0199) + 1e-8) + 0.01 * p[i]);
    want[1][i] = m1;
    want[2][i] = v1;
  }
  for (long i = 0; i < n; i += cut) {
    long end = i + cut < n ? i + cut : n;
    reverie_adamw(p, g, m, v, control, out[0], out[1], out[2], i, end, 0.9f, 0.99f, 0.1f, 0.01f,
                  1e-8f, 0.01f);
  }
  for (int i = 0; i < 3; i++) {
    expect_close("adamw", out[i], want[i], n, 1e-6);
    free(out[i]);
    free(want[i]);
  }
  free(p), free(g), free(m), free(v);
}

static void lerp(long n) {
  float *a = numbers(n, 5), *b = numbers(n, 6), weight = 0.25f;
  float *out = floats(n);
  double *want = malloc(8 * n + 8);
  for (long i = 0; i < n; i++) {
    want[i] = 0.75 * a[i] + 0.25 * b[i];
  }
  reverie_lerp(a, b, &weight, out, 0, n);
  expect_close("lerp", out, want, n, 1e-6);
  free(a), free(b), free(out), free(want);
}

int main(void) {
  for (long n = 1; n < 70; n += 3) {
    adamw(n, 16);
    lerp(n);
  }
}

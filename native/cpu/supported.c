// SPDX-License-Identifier: Apache-2.0
//
// Asked before anything else; compiled for any x86-64.

/** Whether this processor and its system have all that this library was compiled for. */
__attribute__((visibility("default"))) int reverie_supported(void) {
  __builtin_cpu_init();
#if WIDTH == 16
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#else
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#endif
}

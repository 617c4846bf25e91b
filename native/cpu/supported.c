// SPDX-License-Identifier: Apache-2.0
//
// Asked before anything else; compiled for any x86-64.
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/** Whether this processor and its system have all that this library was compiled for. */
__attribute__((visibility("default"))) int reverie_supported(void) {
  __builtin_cpu_init();
#if WIDTH == 8 || defined(EMULATED)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
#else
  int vectors = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#ifdef AMX
  unsigned a, b, c, d;
  int tiles = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1);
  int bfloat16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
  // ARCH_REQ_XCOMP_PERM of the tiles' state: Linux gives it to a process that asks.
  return vectors && tiles && bfloat16 && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
  return vectors;
#endif
#endif
}

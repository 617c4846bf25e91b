// SPDX-License-Identifier: Apache-2.0
//
// A library under the name of an older version, whose functions jump to those of a newer one:
// JCuda asks for cuBLAS 12 and cuDNN 8 by name. FUNCTIONS is a file of FORWARD(name) lines, CONNECT
// the name of the function that finds their addresses.
#include <dlfcn.h>
#include <stddef.h>

// The jump leaves all arguments, in registers and on the stack, where they are.
#define FORWARD(name)                                                       \
  __attribute__((used, visibility("hidden"))) void *reverie_to_##name;      \
  __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":" \
          "\n\tjmp *reverie_to_" #name "(%rip)\n.size " #name ", .-" #name "\n");
#include FUNCTIONS
#undef FORWARD

static const struct {
  const char *name;
  void **address;
} functions[] = {
#define FORWARD(name) {#name, &reverie_to_##name},
#include FUNCTIONS
};

// From here on calls go to the library in this file. Returns what is wrong, or null.
__attribute__((visibility("default"))) const char *CONNECT(const char *file) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    return dlerror();
  }
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    *functions[i].address = dlsym(library, functions[i].name);
    if (*functions[i].address == NULL) {
      return dlerror();
    }
  }
  return NULL;
}

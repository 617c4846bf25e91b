# SPDX-License-Identifier: Apache-2.0
#
# Makes a table of what ptxas says about every kernel: registers of a thread and blocks that a
# multiprocessor holds on each device, shared memory of a block, and bytes that did not fit into
# registers.
BEGIN {
  shared_of["sm_80"] = 164 * 1024
  shared_of["sm_90"] = 228 * 1024
}
function value(pattern, after, found) {
  return match($0, pattern) ? substr($0, RSTART + after, RLENGTH) + 0 : 0
}
/Compiling entry function/ {
  split($0, quoted, "'")
  kernel = quoted[2]
  sub(/^reverie_/, "", kernel)
  device = quoted[4]
  devices[device] = 1
  kernels[kernel] = 1
}
/spill stores/ {
  spilled[kernel] += value("[0-9]+ bytes spill stores", 0)
}
/Used [0-9]+ registers/ {
  registers[kernel, device] = value("Used [0-9]+", 5)
  shared[kernel] = value("[0-9]+ bytes smem", 0)
}
END {
  count = sorted_keys(devices, names)
  line = "| kernel |"
  rule = "| --- |"
  for (i = 1; i <= count; i++) {
    line = line " registers, " names[i] " | blocks, " names[i] " |"
    rule = rule " ---: | ---: |"
  }
  print "# Kernels for CUDA, as compiled\n"
  print "`make -C native/cuda report` writes this: registers of a thread, shared memory of a block of"
  print "256 threads, and bytes that registers had no room for, as `ptxas` counts them; and how many blocks"
  print "registers and shared memory leave on a multiprocessor at once, of the 8 that its threads allow.\n"
  print line " shared memory, bytes | spilled, bytes |"
  print rule " ---: | ---: |"
  total = sorted_keys(kernels, sorted)
  for (k = 1; k <= total; k++) {
    line = "| " sorted[k] " |"
    for (i = 1; i <= count; i++) {
      used = registers[sorted[k], names[i]]
      line = line " " used " | " blocks(used, shared[sorted[k]], shared_of[names[i]]) " |"
    }
    print line " " shared[sorted[k]] " | " spilled[sorted[k]] + 0 " |"
  }
}
# Blocks at once: each of 8 warps whose registers are counted by 256, of 65536; of shared memory each
# takes a multiple of 128 bytes and 1024 for the system.
function blocks(registers, shared, memory, most, fit) {
  most = int(65536 / (int((registers + 7) / 8) * 256) / 8)
  if (most > 8) most = 8
  fit = int(memory / (int((shared + 127) / 128) * 128 + 1024))
  return fit < most ? fit : most
}
# The keys of an array in their order; not every awk has asorti.
function sorted_keys(from, to, n, i, key, other) {
  n = 0
  for (key in from) {
    for (i = ++n; i > 1 && to[i - 1] > key; i--) to[i] = to[i - 1]
    to[i] = key
  }
  return n
}

# SPDX-License-Identifier: Apache-2.0
#
# Makes a table of what ptxas says about every kernel: registers of a thread on each device, shared
# memory of a block, and bytes that did not fit into registers.
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
    line = line " registers, " names[i] " |"
    rule = rule " ---: |"
  }
  print "# Kernels for CUDA, as compiled\n"
  print "`make -C native/cuda report` writes this: registers of a thread, shared memory of a block of"
  print "256 threads, and bytes that registers had no room for, as `ptxas` counts them.\n"
  print line " shared memory, bytes | spilled, bytes |"
  print rule " ---: | ---: |"
  total = sorted_keys(kernels, sorted)
  for (k = 1; k <= total; k++) {
    line = "| " sorted[k] " |"
    for (i = 1; i <= count; i++) line = line " " registers[sorted[k], names[i]] " |"
    print line " " shared[sorted[k]] " | " spilled[sorted[k]] + 0 " |"
  }
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

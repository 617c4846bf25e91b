#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the CUDA backend relies on, asked of NVIDIA's libraries without Java:

probe.py symbols FOLDER   every function listed in FOLDER/cublas.txt and cudnn.txt is exported, and
                          whether those are that the backend does without
probe.py algorithms       cuDNN's choice for each direction, precision and shape, timed beside PyTorch's
probe.py capture          a direction's first use inside a stream capture, replayed
probe.py misaligned       convolutions and products at 4, 8 and 12 mod 16 bytes; errors stick: run it last
"""
import ctypes
import os
import sys
import sysconfig
import time

SITE = sysconfig.get_paths()["purelib"] + "/nvidia"
DIRECTIONS = ("Forward", "BackwardData", "BackwardFilter")
PRECISIONS = ("bf16", "tf32", "float32")
TENSOR_OP, FMA = 1, 3  # cudnnMathType_t
NHWC = 1  # cudnnTensorFormat_t
FLOAT, BFLOAT16 = 0, 9  # cudnnDataType_t
MOST_WORKSPACE = 1 << 30

# n, height = width, channels, outputs, kernel, stride, padding
SHAPES = [
    (8, 64, 320, 320, 3, 1, 1), (8, 64, 960, 320, 3, 1, 1), (8, 32, 640, 640, 3, 1, 1),
    (8, 16, 1280, 1280, 3, 1, 1), (8, 16, 2560, 1280, 3, 1, 1), (8, 64, 320, 320, 3, 2, 1),
    (8, 64, 4, 320, 3, 1, 1), (8, 64, 320, 4, 3, 1, 1), (512, 32, 64, 64, 3, 1, 1),
    (512, 32, 3, 64, 3, 1, 1), (128, 16, 32, 32, 3, 1, 1), (2, 7, 2, 3, 5, 3, 2),
    (1, 4, 1, 1, 3, 1, 1)]

# What is called without JCuda, if it is there.
OPTIONAL = {
    "libcublasLt.so.13": [
        "cublasLtCreate", "cublasLtDestroy", "cublasLtMatmul", "cublasLtMatmulAlgoGetHeuristic",
        "cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy", "cublasLtMatmulDescSetAttribute",
        "cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceDestroy",
        "cublasLtMatmulPreferenceSetAttribute", "cublasLtMatrixLayoutCreate",
        "cublasLtMatrixLayoutDestroy"],
    "libcudnn.so.9": [
        "cudnnBackendCreateDescriptor", "cudnnBackendDestroyDescriptor", "cudnnBackendExecute",
        "cudnnBackendFinalize", "cudnnBackendGetAttribute", "cudnnBackendSetAttribute"]}


def load(name):
    """A library from pip's packages, or else where the system finds it."""
    for folder in ("/cu13/lib/", "/cublas/lib/", "/cudnn/lib/"):
        if os.path.exists(SITE + folder + name):
            return ctypes.CDLL(SITE + folder + name)
    return ctypes.CDLL(name)


def symbols(folder):
    for name, file in (("cublas", "libcublas.so.13"), ("cudnn", "libcudnn.so.9")):
        if lacks(file, open(os.path.join(folder, name + ".txt")).read().split()):
            sys.exit(1)
    for file, wanted in OPTIONAL.items():
        try:
            lacks(file, wanted)
        except OSError as missing:
            print(f"{file}: {missing}")


def lacks(file, wanted):
    library = load(file)
    missing = [function for function in wanted if not hasattr(library, function)]
    print(f"{file}: {len(wanted)} functions, missing: {', '.join(missing) or 'none'}")
    return missing


class Performance(ctypes.Structure):
    """cudnnConvolutionFwdAlgoPerf_t and its like."""
    _fields_ = [("algorithm", ctypes.c_int), ("status", ctypes.c_int), ("time", ctypes.c_float),
                ("memory", ctypes.c_size_t), ("determinism", ctypes.c_int),
                ("math", ctypes.c_int), ("reserved", ctypes.c_int * 3)]


class Session:
    """PyTorch's context, a stream of its own kind and a handle of cuDNN on it."""

    def __init__(self):
        import torch
        self.torch = torch
        torch.zeros(1, device="cuda")
        self.dnn = load("libcudnn.so.9")
        self.dnn.cudnnGetVersion.restype = ctypes.c_size_t
        self.dnn.cudnnGetErrorString.restype = ctypes.c_char_p
        self.stream = torch.cuda.Stream()
        self.handle = ctypes.c_void_p()
        self.ok(self.dnn.cudnnCreate(ctypes.byref(self.handle)), "cudnnCreate")
        self.ok(self.dnn.cudnnSetStream(self.handle, ctypes.c_void_p(self.stream.cuda_stream)), "stream")
        print("cuDNN", self.dnn.cudnnGetVersion(), torch.cuda.get_device_name(), torch.__version__)

    def ok(self, status, what):
        if status:
            raise RuntimeError(f"{what}: {status} {self.dnn.cudnnGetErrorString(status).decode()}")

    def timed(self, call, times=10):
        """Milliseconds a call."""
        with self.torch.cuda.stream(self.stream):
            for _ in range(3):
                call()
            begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record(self.stream)
            for _ in range(times):
                call()
            end.record(self.stream)
        end.synchronize()
        return begin.elapsed_time(end) / times


class Convolution:
    """A problem on buffers of PyTorch's, chosen and run as the backend does."""

    def __init__(self, session, shape, precision):
        n, side, c, k, kernel, self.stride, self.padding = shape
        self.session, self.dnn = session, session.dnn
        torch, kind = session.torch, BFLOAT16 if precision == "bf16" else FLOAT
        dtype = torch.bfloat16 if kind == BFLOAT16 else torch.float32
        out = (side + 2 * self.padding - kernel) // self.stride + 1
        self.flops = 2.0 * n * out * out * kernel * kernel * c * k
        self.x = torch.randn(n, side, side, c, device="cuda").to(dtype)
        self.w = torch.randn(k, kernel, kernel, c, device="cuda").to(dtype)
        self.y = torch.randn(n, out, out, k, device="cuda").to(dtype)
        self.maths = (FMA,) if precision == "float32" else (TENSOR_OP, FMA)
        self.descriptors = [ctypes.c_void_p() for _ in range(4)]
        for name, d in zip(("Tensor", "Filter", "Tensor", "Convolution"), self.descriptors):
            session.ok(getattr(self.dnn, f"cudnnCreate{name}Descriptor")(ctypes.byref(d)), name)
        x, w, y, convolution = self.descriptors
        session.ok(self.dnn.cudnnSetTensor4dDescriptor(x, NHWC, kind, n, c, side, side), "x")
        session.ok(self.dnn.cudnnSetFilter4dDescriptor(w, kind, NHWC, k, c, kernel, kernel), "w")
        session.ok(self.dnn.cudnnSetTensor4dDescriptor(y, NHWC, kind, n, k, out, out), "y")
        session.ok(self.dnn.cudnnSetConvolution2dDescriptor(
            convolution, self.padding, self.padding, self.stride, self.stride, 1, 1, 1, FLOAT), "convolution")

    def operands(self, direction):
        x, w, y, convolution = self.descriptors
        return ((x, w, convolution, y), (w, y, convolution, x), (x, y, convolution, w))[direction]

    def suggested(self, direction, math):
        self.session.ok(self.dnn.cudnnSetConvolutionMathType(self.descriptors[3], math), "math")
        found, count = (Performance * 16)(), ctypes.c_int()
        heuristics = getattr(self.dnn, f"cudnnGetConvolution{DIRECTIONS[direction]}Algorithm_v7")
        self.session.ok(heuristics(
            self.session.handle, *self.operands(direction), 16, ctypes.byref(count), found), "heuristics")
        return found[:count.value]

    def choose(self, direction):
        """Algorithm, bytes and a line about it; None with what was offered if nothing fits."""
        offered = []
        for math in self.maths:
            for p in self.suggested(direction, math):
                size = ctypes.c_size_t()
                ask = getattr(self.dnn, f"cudnnGetConvolution{DIRECTIONS[direction]}WorkspaceSize")
                status = ask(self.session.handle, *self.operands(direction), p.algorithm, ctypes.byref(size))
                offered.append((math, p.algorithm, p.status, p.determinism, status, size.value))
                if not (p.status or status) and p.determinism == 1 and size.value <= MOST_WORKSPACE:
                    return p.algorithm, size.value, f"math {math} algorithm {p.algorithm} {size.value >> 20} MB"
        return None, 0, f"NONE of (math, algorithm, status, determinism, status, bytes) {offered}"

    def run(self, direction, algorithm, space, shift=0):
        px, pw, py = (ctypes.c_void_p(t.data_ptr() + shift) for t in (self.x, self.w, self.y))
        x, w, y, convolution = self.descriptors
        one, zero = ctypes.byref(ctypes.c_float(1)), ctypes.byref(ctypes.c_float(0))
        a, pa, b, pb, c, pc = ((x, px, w, pw, y, py), (w, pw, y, py, x, px), (x, px, y, py, w, pw))[direction]
        name = "cudnnConvolution" + DIRECTIONS[direction]
        self.session.ok(getattr(self.dnn, name)(
            self.session.handle, one, a, pa, b, pb, convolution, algorithm,
            ctypes.c_void_p(space.data_ptr()), ctypes.c_size_t(space.numel()), zero, c, pc), name)

    def pytorch(self, direction):
        torch = self.session.torch
        x, w, y = (t.permute(0, 3, 1, 2) for t in (self.x, self.w, self.y))
        if direction == 0:
            return lambda: torch.nn.functional.conv2d(x, w, None, self.stride, self.padding)
        wanted = [direction == 1, direction == 2, False]
        return lambda: torch.ops.aten.convolution_backward(
            y, x, w, None, [self.stride] * 2, [self.padding] * 2, [1, 1], False, [0, 0], 1, wanted)


def cases(shapes):
    """Session, label, convolution and direction of every case; what cannot be made is a line."""
    session = Session()
    for precision in PRECISIONS:
        session.torch.backends.cudnn.allow_tf32 = precision == "tf32"
        for shape in shapes:
            try:
                convolution = Convolution(session, shape, precision)
            except Exception as e:
                print(precision, shape, "FAILED", e, flush=True)
                continue
            for direction, name in enumerate(DIRECTIONS):
                yield session, f"{precision} {shape} {name}:", convolution, direction


def workspace(session, size):
    return session.torch.empty(max(1, size), dtype=session.torch.uint8, device="cuda")


def algorithms():
    for session, label, convolution, direction in cases(SHAPES):
        session.torch.backends.cudnn.benchmark = True
        try:
            algorithm, size, line = convolution.choose(direction)
            peer = session.timed(convolution.pytorch(direction))
            if algorithm is not None:
                space = workspace(session, size)
                ours = session.timed(lambda: convolution.run(direction, algorithm, space))
                line += f" {ours:.3f} ms {convolution.flops / ours / 1e9:.0f} TFLOP/s"
            print(label, line, f"PyTorch {peer:.3f} ms", flush=True)
        except Exception as e:
            print(label, "FAILED", e, flush=True)


def capture():
    driver = ctypes.CDLL("libcuda.so.1")
    for session, label, convolution, direction in cases(SHAPES[2:3]):
        algorithm, size, line = convolution.choose(direction)
        if algorithm is None:
            print(label, line, flush=True)
            continue
        space, stream = workspace(session, size), ctypes.c_void_p(session.stream.cuda_stream)
        session.torch.cuda.synchronize()
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        steps = {"begin": driver.cuStreamBeginCapture_v2(stream, 2)}
        try:
            convolution.run(direction, algorithm, space)
            steps["run"] = 0
        except RuntimeError as e:
            steps["run"] = str(e)
        steps["end"] = driver.cuStreamEndCapture(stream, ctypes.byref(graph))
        if not steps["end"]:
            steps["instantiate"] = driver.cuGraphInstantiateWithFlags(
                ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
            steps["launch"] = steps["instantiate"] or driver.cuGraphLaunch(executable, stream)
        steps["synchronize"] = driver.cuStreamSynchronize(stream)
        print(label, line, steps, flush=True)


def misaligned():
    for session, label, convolution, direction in cases([(2, 16, 32, 32, 3, 1, 1)]):
        algorithm, size, line = convolution.choose(direction)
        if algorithm is None:
            print(label, line, flush=True)
            continue
        torch, space = session.torch, workspace(session, size)
        if direction == 0:  # once: room to shift
            convolution.x, convolution.w, convolution.y = (
                torch.cat([t.flatten(), t.flatten()[:64]])
                for t in (convolution.x, convolution.w, convolution.y))
        for shift in (0, 4, 8, 12):
            try:
                convolution.run(direction, algorithm, space, shift)
                torch.cuda.synchronize()
                print(label, "shift", shift, "ok", flush=True)
            except Exception as e:
                print(label, "shift", shift, "FAILED", str(e).splitlines()[0], flush=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    numbers = torch.randn(2 * 256 * 1024 + 8, device="cuda")
    for shift in range(4):
        a = numbers[shift:shift + 256 * 1024].view(256, 1024)
        b = numbers[256 * 1024 + shift:2 * 256 * 1024 + shift].view(1024, 256)
        out = torch.empty(256 * 256 + 8, device="cuda")[shift:shift + 256 * 256].view(256, 256)
        same = bool((torch.mm(a, b, out=out) == torch.mm(a.clone(), b.clone())).all())
        print(f"product at {4 * shift} mod 16: the bits of aligned operands: {same}", flush=True)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    start = time.time()
    if what == "symbols" and len(sys.argv) == 3:
        symbols(sys.argv[2])
    elif what in ("algorithms", "capture", "misaligned"):
        globals()[what]()
    else:
        sys.exit(__doc__)
    print(f"{what}: {time.time() - start:.1f} s")


main()
